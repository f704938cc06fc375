//! The hottest keys, in bounded memory: the Space-Saving sketch of Metwally, Agrawal and El
//! Abbadi, "Efficient computation of frequent and top-k elements in data streams" (2005), over a
//! sample of the hits.
//!
//! The sketch holds hashes, not keys, so that a hit allocates nothing; names are found by going
//! through the store when somebody asks.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

/// How many keys are tracked.
const TRACKED: usize = 128;

/// Every hit is looked at until there were this many; after that one in [`PERIOD`].
const WARM_UP: u64 = 4096;

/// One in how many hits is looked at.
const PERIOD: u32 = 64;

thread_local! {
    /// Hits of this thread, in all caches, until the next one that is looked at, and for how many
    /// that one stands.
    static SKIP: Cell<(u32, u32)> = const { Cell::new((0, 1)) };
}

#[derive(Debug, Default)]
pub(crate) struct Heat {
    sketch: Mutex<Sketch>,
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
        Self { sketch: Mutex::new(Sketch { seen: 0, tracked }) }
    }

    /// A key was hit. Cost: mostly one thread-local counter; `hash` is asked for one in 64.
    #[inline]
    pub(crate) fn hit(&self, hash: impl FnOnce() -> u64) {
        let (skip, weight) = SKIP.get();
        if skip > 0 {
            SKIP.set((skip - 1, weight));
        } else {
            SKIP.set(self.record(hash(), weight));
        }
    }

    #[cold]
    fn record(&self, hash: u64, weight: u32) -> (u32, u32) {
        // A sample that meets another thread is dropped: it is only a sample.
        let Ok(mut sketch) = self.sketch.try_lock() else {
            return (0, weight);
        };
        sketch.add(hash, u64::from(weight));
        if sketch.seen < WARM_UP { (0, 1) } else { (PERIOD - 1, PERIOD) }
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
        for _ in 0..400_000 {
            let hash = if random.u8(..) < 64 { random.u64(0..3) } else { random.u64(1000..9000) };
            heat.hit(|| hash);
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
        SKIP.set((0, 1));
        for _ in 0..5 {
            heat.hit(|| 1);
        }
        heat.hit(|| 2);
        assert_eq!(heat.hottest(), [(1, 5), (2, 1)]);
        heat.reset();
        assert_eq!(heat.hottest(), []);
    }
}
