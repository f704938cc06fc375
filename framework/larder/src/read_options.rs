//! Options of one look-up.

use larder_core::Tier;

use crate::engine::Look;

/// Options of one look-up; see [`Cache::get_with`](crate::Cache::get_with).
///
/// ```
/// use larder::{ReadOptions, Tier};
///
/// // Past the memory of this process, which is filled with what is found.
/// let options = ReadOptions::new().skip(Tier::L1);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "hand it to `get_with`"]
pub struct ReadOptions {
    pub(crate) look: Look,
}

impl ReadOptions {
    /// All tiers are asked, and filled with what is found below them.
    pub fn new() -> Self {
        Self::default()
    }

    /// Does not ask a tier. It is still filled with what a tier below it has.
    pub const fn skip(mut self, tier: Tier) -> Self {
        self.look.skip = self.look.skip.with(tier);
        self
    }

    /// Does not fill a tier with what a tier below it has. It is still asked.
    pub const fn no_fill(mut self, tier: Tier) -> Self {
        self.look.keep_from = self.look.keep_from.with(tier);
        self
    }
}
