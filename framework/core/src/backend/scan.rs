//! [`ScanRequest`] and [`ScanPage`]: listing keys, a page at a time.

/// Which keys to list, and from where.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ScanRequest {
    /// The cursor of the page before; `None` for the first page.
    pub cursor: Option<String>,
    /// Only keys that start with this; empty for all. A backend may return others as well: the
    /// caller filters again.
    pub prefix: String,
    /// How many keys a page should have; 0 leaves it to the backend.
    pub limit: usize,
    /// Only keys that are under a [lease](super::Backend::lease), whether they have an entry or
    /// not. A backend may return others as well. Asked only of those with
    /// [`Capabilities::LEASE_SCAN`](crate::Capabilities::LEASE_SCAN).
    pub leased: bool,
}

impl ScanRequest {
    /// All keys from the start.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Only keys that start with `prefix`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// At most about `limit` keys a page.
    #[must_use]
    pub const fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Only keys that are under a lease.
    #[must_use]
    pub const fn leased(mut self) -> Self {
        self.leased = true;
        self
    }

    /// The page after `cursor`.
    #[must_use]
    pub fn from_cursor(mut self, cursor: Option<String>) -> Self {
        self.cursor = cursor;
        self
    }
}

/// Some keys, and where to go on.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct ScanPage {
    /// The keys of this page; may be empty although more follow.
    pub keys: Vec<String>,
    /// The cursor of the next page; `None` when this was the last.
    pub next: Option<String>,
}
