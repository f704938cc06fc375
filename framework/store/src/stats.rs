//! [`StoreStats`], the numbers of a store.

/// What happened in a [`Store`](crate::Store) since it was built or
/// [`reset`](crate::Store::reset_stats), and what is in it now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// Look-ups that found a value.
    pub hits: u64,
    /// Look-ups of keys that were there when everything was removed.
    pub misses_cleared: u64,
    /// Look-ups of keys that nothing is known about.
    pub misses_cold: u64,
    /// Look-ups of keys that were deleted.
    pub misses_deleted: u64,
    /// Look-ups of keys that had to make room.
    pub misses_evicted: u64,
    /// Look-ups of keys whose life was over.
    pub misses_expired: u64,
    /// Look-ups of keys that were invalidated.
    pub misses_invalidated: u64,
    /// New keys.
    pub inserts: u64,
    /// New values of keys that had one.
    pub replacements: u64,
    /// Entries that had to make room.
    pub evictions: u64,
    /// Entries that were removed because their life was over.
    pub expirations: u64,
    /// Entries that were refused, for lack of room or by the policy.
    pub rejections: u64,
    /// Entries that are there now, expired ones included until they are removed.
    pub entries: u64,
    /// The sum of their weights.
    pub weight: u64,
}

impl StoreStats {
    /// Look-ups that found nothing, whatever the cause.
    #[must_use]
    pub const fn misses(&self) -> u64 {
        self.misses_cleared
            + self.misses_cold
            + self.misses_deleted
            + self.misses_evicted
            + self.misses_expired
            + self.misses_invalidated
    }

    /// The numbers since `start`; entries and weight are not counters and stay.
    pub(crate) const fn since(self, start: &Self) -> Self {
        Self {
            hits: self.hits.saturating_sub(start.hits),
            misses_cleared: self.misses_cleared.saturating_sub(start.misses_cleared),
            misses_cold: self.misses_cold.saturating_sub(start.misses_cold),
            misses_deleted: self.misses_deleted.saturating_sub(start.misses_deleted),
            misses_evicted: self.misses_evicted.saturating_sub(start.misses_evicted),
            misses_expired: self.misses_expired.saturating_sub(start.misses_expired),
            misses_invalidated: self.misses_invalidated.saturating_sub(start.misses_invalidated),
            inserts: self.inserts.saturating_sub(start.inserts),
            replacements: self.replacements.saturating_sub(start.replacements),
            evictions: self.evictions.saturating_sub(start.evictions),
            expirations: self.expirations.saturating_sub(start.expirations),
            rejections: self.rejections.saturating_sub(start.rejections),
            entries: self.entries,
            weight: self.weight,
        }
    }
}

/// What the writers of one shard count, under its lock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) inserts: u64,
    pub(crate) replacements: u64,
    pub(crate) evictions: u64,
    pub(crate) expirations: u64,
    pub(crate) rejections: u64,
}

impl Tally {
    pub(crate) const fn add_to(self, stats: &mut StoreStats) {
        stats.inserts += self.inserts;
        stats.replacements += self.replacements;
        stats.evictions += self.evictions;
        stats.expirations += self.expirations;
        stats.rejections += self.rejections;
    }
}
