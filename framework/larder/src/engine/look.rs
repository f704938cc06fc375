//! How a look-up treats the tiers.

use larder_core::Tier;

use crate::tier::Lane;

/// Some of the tiers of a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TierSet(u8);

impl TierSet {
    pub(crate) const fn with(self, tier: Tier) -> Self {
        Self(self.0 | 1 << tier as u8)
    }

    pub(crate) const fn has(self, tier: Tier) -> bool {
        self.0 & 1 << tier as u8 != 0
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Which tiers are asked, and how long each may take.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look {
    /// These are not asked.
    pub(crate) skip: TierSet,
    /// These are not filled with what is found below them.
    pub(crate) keep_from: TierSet,
    /// Whether a stale value is at hand, so that little time is spent on a better one.
    pub(crate) is_soon: bool,
}

impl Look {
    pub(super) const fn lane(self) -> Lane {
        if self.is_soon { Lane::Soon } else { Lane::Usual }
    }
}
