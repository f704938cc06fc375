//! [`Stripes`], the counters of hits and misses.
//!
//! Every thread counts in the stripe of its [number](Guard::thread_number). As nobody else writes
//! there, counting is a load and a store: exact, without a locked instruction, on a line that no
//! other thread writes. Threads whose number is too high share the last stripe.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::outcome::MissCause;
use crate::stats::StoreStats;
use crate::threads::Guard;

/// Counters of one thread. Two cache lines, as processors fetch lines in pairs.
#[repr(align(128))]
#[derive(Default)]
struct Stripe {
    hits: AtomicU64,
    cleared: AtomicU64,
    cold: AtomicU64,
    deleted: AtomicU64,
    evicted: AtomicU64,
    expired: AtomicU64,
    invalidated: AtomicU64,
}

impl Stripe {
    const fn misses(&self, cause: MissCause) -> &AtomicU64 {
        match cause {
            MissCause::Cleared => &self.cleared,
            MissCause::Cold => &self.cold,
            MissCause::Deleted => &self.deleted,
            MissCause::Evicted => &self.evicted,
            MissCause::Expired => &self.expired,
            MissCause::Invalidated => &self.invalidated,
        }
    }
}

pub(crate) struct Stripes {
    /// One per thread number.
    own: Box<[Stripe]>,
    /// For all other threads.
    shared: Stripe,
}

impl Stripes {
    /// Counters for as many threads without sharing.
    pub(crate) fn new(threads: usize) -> Self {
        Self { own: (0..threads).map(|_| Stripe::default()).collect(), shared: Stripe::default() }
    }

    /// Counts a hit; which one of this thread it is.
    #[inline(always)]
    pub(crate) fn hit(&self, guard: &Guard) -> u64 {
        self.count(guard, |stripe| &stripe.hits)
    }

    #[inline]
    pub(crate) fn miss(&self, guard: &Guard, cause: MissCause) {
        self.count(guard, |stripe| stripe.misses(cause));
    }

    #[inline(always)]
    fn count(&self, guard: &Guard, counter: impl Fn(&Stripe) -> &AtomicU64) -> u64 {
        if let Some(stripe) = self.own.get(guard.thread_number()) {
            let counter = counter(stripe);
            let count = counter.load(Ordering::Relaxed) + 1;
            counter.store(count, Ordering::Relaxed);
            count
        } else {
            counter(&self.shared).fetch_add(1, Ordering::Relaxed) + 1
        }
    }

    /// All hits.
    pub(crate) fn hits(&self) -> u64 {
        let stripes = self.own.iter().chain([&self.shared]);
        stripes.map(|stripe| stripe.hits.load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn add_to(&self, stats: &mut StoreStats) {
        for stripe in self.own.iter().chain([&self.shared]) {
            stats.hits += stripe.hits.load(Ordering::Relaxed);
            stats.misses_cleared += stripe.cleared.load(Ordering::Relaxed);
            stats.misses_cold += stripe.cold.load(Ordering::Relaxed);
            stats.misses_deleted += stripe.deleted.load(Ordering::Relaxed);
            stats.misses_evicted += stripe.evicted.load(Ordering::Relaxed);
            stats.misses_expired += stripe.expired.load(Ordering::Relaxed);
            stats.misses_invalidated += stripe.invalidated.load(Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_count_is_lost_whether_threads_share_or_not() {
        const HITS: u64 = if cfg!(miri) { 100 } else { 10_000 };
        for own in [1, 64] {
            let stripes = Stripes::new(own);
            for _ in 0..2 {
                std::thread::scope(|scope| {
                    for _ in 0..6 {
                        scope.spawn(|| {
                            for _ in 0..HITS {
                                stripes.hit(&Guard::enter());
                            }
                            stripes.miss(&Guard::enter(), MissCause::Evicted);
                        });
                    }
                });
            }
            let mut stats = StoreStats::default();
            stripes.add_to(&mut stats);
            assert_eq!((stats.hits, stats.misses_evicted), (12 * HITS, 12));
        }
    }
}
