//! The hit rate of the last minutes, without a clock read on a hit.
//!
//! Hits are counted by the store in plain counters. Once a second, when something else happens
//! anyway (a miss, a question), the totals are written down; the rate of a window is the
//! difference between now and the record at its start.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use larder_core::Moment;

const SECOND: Duration = Duration::from_secs(1);

/// Ten minutes of seconds.
const RECORDS: usize = 600;

/// Totals at one moment.
#[derive(Clone, Copy, Debug)]
struct Record {
    at: Moment,
    hits: u64,
    misses: u64,
}

/// Everybody looks at the clock until this many looks in a row found the same second; after that
/// one in [`PERIOD`], until the looks are too few.
const BUSY: u32 = 4096;

/// One in how many looks at the clock when there is much to do.
const PERIOD: u64 = 64;

#[derive(Debug)]
pub(super) struct Window {
    records: Mutex<VecDeque<Record>>,
    /// How many looks in a row found the second that was written down.
    looks: AtomicU32,
    /// 0 while everybody looks, then [`PERIOD`] - 1: a mask of a random number.
    mask: AtomicU64,
}

impl Window {
    pub(super) fn new(now: Moment) -> Self {
        let window =
            Self { records: Mutex::default(), looks: AtomicU32::new(0), mask: AtomicU64::new(0) };
        window.reset(now);
        window
    }

    pub(super) fn reset(&self, now: Moment) {
        let mut records = self.lock();
        records.clear();
        records.push_back(Record { at: now, hits: 0, misses: 0 });
    }

    /// Whether it is the caller's turn to look at the clock.
    pub(super) fn is_due(&self) -> bool {
        let mask = self.mask.load(Ordering::Relaxed);
        mask == 0 || fastrand::u64(..) & mask == 0
    }

    /// Writes the totals down if the last record is a second old.
    pub(super) fn observe(&self, now: Moment, totals: impl FnOnce() -> (u64, u64)) {
        // Somebody else writes them down: once is enough.
        let Ok(mut records) = self.records.try_lock() else {
            return;
        };
        let age = records.back().map_or(Duration::MAX, |last| now.since(last.at));
        if age < SECOND {
            if self.looks.fetch_add(1, Ordering::Relaxed) == BUSY {
                self.mask.store(PERIOD - 1, Ordering::Relaxed);
            }
            return;
        }
        self.looks.store(0, Ordering::Relaxed);
        if age > 2 * SECOND {
            self.mask.store(0, Ordering::Relaxed);
        }
        let (hits, misses) = totals();
        if records.len() == RECORDS {
            records.pop_front();
        }
        records.push_back(Record { at: now, hits, misses });
    }

    /// The hit rate since the latest record that is at least `window` old, or since the first.
    pub(super) fn rate(
        &self,
        now: Moment,
        window: Duration,
        (hits, misses): (u64, u64),
    ) -> Option<f64> {
        let start = {
            let records = self.lock();
            let covers = |record: &&Record| now.since(record.at) >= window;
            *records.iter().rev().find(covers).or_else(|| records.front())?
        };
        self.observe(now, || (hits, misses));
        let (hits, misses) = (hits.saturating_sub(start.hits), misses.saturating_sub(start.misses));
        let lookups = hits + misses;
        (lookups > 0).then(|| hits as f64 / lookups as f64)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_window() {
        let at = |seconds: u64| Moment::from_nanos(seconds * 1_000_000_000);
        let window = Window::new(at(0));
        window.observe(at(10), || (100, 0));
        window.observe(at(20), || (100, 100));
        let rate = |seconds| window.rate(at(25), Duration::from_secs(seconds), (150, 150));
        assert_eq!(rate(5), Some(0.5), "since 20 s: 50 hits, 50 misses");
        assert_eq!(rate(15), Some(0.25), "since 10 s: 50 hits, 150 misses");
        assert_eq!(rate(1000), Some(0.5), "since the start: 150 hits, 150 misses");
        assert_eq!(window.rate(at(25), Duration::ZERO, (150, 150)), None, "no look-ups since");
    }

    #[test]
    fn memory_is_bounded() {
        let window = Window::new(Moment::default());
        for second in 0..5 * RECORDS as u64 {
            window.observe(Moment::from_nanos(second * 1_000_000_000), || (second, 0));
        }
        assert_eq!(window.lock().len(), RECORDS);
    }
}
