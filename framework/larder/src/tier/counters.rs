//! What is counted of each tier.

use std::sync::atomic::{AtomicU64, Ordering};

/// What happened in one tier.
#[derive(Debug, Default)]
pub(crate) struct TierCounters {
    pub(crate) hits: AtomicU64,
    pub(crate) misses: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) undecodable: AtomicU64,
    /// Calls that took longer than their limit; they are failures as well.
    pub(crate) timeouts: AtomicU64,
    /// Calls that were not made, as the breaker was open.
    pub(crate) skipped: AtomicU64,
    /// How often the breaker opened.
    pub(crate) opened: AtomicU64,
    /// Writes that were not done, as the tier had something newer.
    pub(crate) outdated: AtomicU64,
    /// Invalidations that had to wait, and were delivered.
    pub(crate) recovered: AtomicU64,
    /// Invalidations that were never delivered.
    pub(crate) lost: AtomicU64,
}

impl TierCounters {
    pub(crate) fn reset(&self) {
        for counter in [
            &self.hits,
            &self.misses,
            &self.writes,
            &self.failures,
            &self.undecodable,
            &self.timeouts,
            &self.skipped,
            &self.opened,
            &self.outdated,
            &self.recovered,
            &self.lost,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

/// Adds one. Counters are read for statistics only, so no order is needed.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
