//! [`Stripes`], the counters of hits and misses.
//!
//! Every thread leases a number while it lives and counts in the stripe of that number. As nobody
//! else writes there, counting is a load and a store: exact, without a locked instruction, on a
//! line that no other thread writes. Threads whose number is too high share the last stripe.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::outcome::MissCause;
use crate::stats::StoreStats;

/// Counters of one thread. Two cache lines, as processors fetch lines in pairs.
#[repr(align(128))]
#[derive(Default)]
struct Stripe {
    hits: AtomicU64,
    cold: AtomicU64,
    expired: AtomicU64,
    evicted: AtomicU64,
    invalidated: AtomicU64,
}

impl Stripe {
    const fn misses(&self, cause: MissCause) -> &AtomicU64 {
        match cause {
            MissCause::Cold => &self.cold,
            MissCause::Expired => &self.expired,
            MissCause::Evicted => &self.evicted,
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
    #[inline]
    pub(crate) fn hit(&self) -> u64 {
        self.count(|stripe| &stripe.hits)
    }

    #[inline]
    pub(crate) fn miss(&self, cause: MissCause) {
        self.count(|stripe| stripe.misses(cause));
    }

    #[inline]
    fn count(&self, counter: impl Fn(&Stripe) -> &AtomicU64) -> u64 {
        if let Some(stripe) = self.own.get(THREAD.get()) {
            let counter = counter(stripe);
            let count = counter.load(Ordering::Relaxed) + 1;
            counter.store(count, Ordering::Relaxed);
            count
        } else {
            self.count_slowly(counter)
        }
    }

    /// The first count of a thread, and every count of a thread that shares.
    #[cold]
    fn count_slowly(&self, counter: impl Fn(&Stripe) -> &AtomicU64) -> u64 {
        let thread = match THREAD.get() {
            UNKNOWN => lease_number(),
            thread => thread,
        };
        let stripe = self.own.get(thread).unwrap_or(&self.shared);
        counter(stripe).fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn add_to(&self, stats: &mut StoreStats) {
        for stripe in self.own.iter().chain([&self.shared]) {
            stats.hits += stripe.hits.load(Ordering::Relaxed);
            stats.misses_cold += stripe.cold.load(Ordering::Relaxed);
            stats.misses_expired += stripe.expired.load(Ordering::Relaxed);
            stats.misses_evicted += stripe.evicted.load(Ordering::Relaxed);
            stats.misses_invalidated += stripe.invalidated.load(Ordering::Relaxed);
        }
    }
}

/// The number of a thread that has not counted yet.
const UNKNOWN: usize = usize::MAX;
/// The number of a thread that is about to end, and has given its own number back.
const ENDING: usize = usize::MAX - 1;

thread_local! {
    /// The leased number. Apart from the lease, so that reading it needs no check.
    static THREAD: Cell<usize> = const { Cell::new(UNKNOWN) };
    static LEASE: Lease = Lease::take();
}

#[cold]
fn lease_number() -> usize {
    let number = LEASE.try_with(|lease| lease.0).unwrap_or(ENDING);
    THREAD.set(number);
    number
}

/// A number that no other living thread has.
struct Lease(usize);

/// Numbers that were given back, and the lowest that was never taken. The lock also orders the
/// last count of one owner before the first count of the next.
static NUMBERS: Mutex<(BTreeSet<usize>, usize)> = Mutex::new((BTreeSet::new(), 0));

impl Lease {
    fn take() -> Self {
        let mut numbers = NUMBERS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = numbers.0.pop_first() {
            return Self(number);
        }
        let number = numbers.1;
        numbers.1 += 1;
        Self(number)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        THREAD.set(ENDING);
        let mut numbers = NUMBERS.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.0.insert(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_count_is_lost_whether_threads_share_or_not() {
        for own in [1, 64] {
            let stripes = Stripes::new(own);
            for _ in 0..2 {
                std::thread::scope(|scope| {
                    for _ in 0..6 {
                        scope.spawn(|| {
                            for _ in 0..10_000 {
                                stripes.hit();
                            }
                            stripes.miss(MissCause::Evicted);
                        });
                    }
                });
            }
            let mut stats = StoreStats::default();
            stripes.add_to(&mut stats);
            assert_eq!((stats.hits, stats.misses_evicted), (120_000, 12));
        }
    }
}
