//! The hottest keys, in bounded memory: the Space-Saving sketch of Metwally, Agrawal and El
//! Abbadi, "Efficient computation of frequent and top-k elements in data streams" (2005), over a
//! sample of the hits.
//!
//! The sketch holds hashes, not keys, so that a hit allocates nothing; names are found by going
//! through the store when somebody asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many keys are tracked.
const TRACKED: usize = 128;

/// Every hit is looked at until there were this many; after that one in [`PERIOD`].
const WARM_UP: u64 = 4096;

/// One in how many hits is looked at.
const PERIOD: u64 = 1024;

#[derive(Debug)]
pub(crate) struct Heat {
    sketch: Mutex<Sketch>,
    /// 0 while every hit is looked at, then [`PERIOD`] - 1: a mask of the count of hits.
    mask: AtomicU64,
}

#[derive(Debug, Default)]
struct Sketch {
    seen: u64,
    tracked: Vec<Tracked>,
}

#[derive(Clone, Copy, Debug)]
struct Tracked {
    hash: u64,
    hits: u64,
}

impl Heat {
    /// A sketch with all the memory it will ever use.
    pub(crate) fn new() -> Self {
        let tracked = Vec::with_capacity(TRACKED);
        let sketch = Mutex::new(Sketch { seen: 0, tracked });
        Self { sketch, mask: AtomicU64::new(0) }
    }

    /// A key was hit, the `count`th hit of this thread. Cost: mostly one load of a line that
    /// nobody writes; `hash` is asked for one in 1024.
    #[inline]
    pub(crate) fn hit(&self, count: u64, hash: impl FnOnce() -> u64) {
        if count & self.mask.load(Ordering::Relaxed) == 0 {
            self.record(hash());
        }
    }

    #[cold]
    fn record(&self, hash: u64) {
        // A sample that meets another thread is dropped: it is only a sample.
        let Ok(mut sketch) = self.sketch.try_lock() else { return };
        let mask = self.mask.load(Ordering::Relaxed);
        sketch.add(hash, mask + 1);
        if mask == 0 && sketch.seen >= WARM_UP {
            self.mask.store(PERIOD - 1, Ordering::Relaxed);
        }
    }

    /// The tracked hashes with their estimated hits, most first.
    pub(crate) fn hottest(&self) -> Vec<(u64, u64)> {
        let sketch = self.sketch.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hottest: Vec<_> =
            sketch.tracked.iter().map(|tracked| (tracked.hash, tracked.hits)).collect();
        hottest.sort_by_key(|(hash, hits)| (std::cmp::Reverse(*hits), *hash));
        hottest
    }

    pub(crate) fn reset(&self) {
        let mut sketch = self.sketch.lock().unwrap_or_else(PoisonError::into_inner);
        sketch.seen = 0;
        sketch.tracked.clear();
        self.mask.store(0, Ordering::Relaxed);
    }
}

impl Sketch {
    fn add(&mut self, hash: u64, weight: u64) {
        self.seen += weight;
        if let Some(tracked) = self.tracked.iter_mut().find(|tracked| tracked.hash == hash) {
            tracked.hits += weight;
        } else if self.tracked.len() < TRACKED {
            self.tracked.push(Tracked { hash, hits: weight });
        } else if let Some(coldest) = self.tracked.iter_mut().min_by_key(|tracked| tracked.hits) {
            // The newcomer takes over the count of the coldest: never too low, at most that much
            // too high.
            *coldest = Tracked { hash, hits: coldest.hits + weight };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hottest_of_many_keys_are_found_in_bounded_memory() {
        let heat = Heat::new();
        let seed = 7;
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for count in 0..400_000 {
            let hash = if random.u8(..) < 64 { random.u64(0..3) } else { random.u64(1000..9000) };
            heat.hit(count, || hash);
        }
        let hottest = heat.hottest();
        assert_eq!(hottest.len(), TRACKED);
        let mut top: Vec<u64> = hottest[..3].iter().map(|(hash, _)| *hash).collect();
        top.sort_unstable();
        assert_eq!(top, [0, 1, 2]);
        let share = hottest[0].1 as f64 / 400_000.0;
        assert!((0.06..0.12).contains(&share), "about a twelfth of the hits: {share}");
    }

    #[test]
    fn the_first_hits_are_counted_exactly() {
        let heat = Heat::new();
        for count in 0..5 {
            heat.hit(count, || 1);
        }
        heat.hit(5, || 2);
        assert_eq!(heat.hottest(), [(1, 5), (2, 1)]);
        heat.reset();
        assert_eq!(heat.hottest(), []);
    }
}
