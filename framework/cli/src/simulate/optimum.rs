//! The optimum: what a cache could reach that knows the future.
//!
//! Belady, "A study of replacement algorithms for a virtual-storage computer" (IBM Systems Journal,
//! 1966), known as MIN or OPT: every key that is asked for comes in, and what is asked for last of
//! all has to go.

use std::collections::BTreeSet;

use super::progress::{Pace, Progress};

/// That a key is never asked for again.
const NEVER: u64 = u64::MAX;

/// For each request of a trace, when its key is asked for next: 8 bytes for each request.
#[derive(Debug, Default)]
pub(crate) struct NextUses(Vec<u64>);

impl NextUses {
    /// Adds a request for a key, with the position of the request for it before, if there was one.
    pub(crate) fn push(&mut self, previous: Option<u64>) {
        let now = self.0.len() as u64;
        let previous = previous.and_then(|position| usize::try_from(position).ok());
        if let Some(next) = previous.and_then(|position| self.0.get_mut(position)) {
            *next = now;
        }
        self.0.push(NEVER);
    }
}

/// How many requests the optimum answers from a cache of this capacity.
pub(crate) fn hits(next_uses: &NextUses, capacity: u64, progress: &Progress) -> u64 {
    let mut pace = Pace::new(progress);
    let requests = next_uses.0.len() as u64;
    // What is in the cache, as the positions at which it is asked for next. All of them are still
    // to come, so that a request is a hit if it is the first of them. What is never asked for again
    // gets positions of its own behind the end.
    let mut cached = BTreeSet::new();
    let mut hits = 0;
    for (now, next) in (0..).zip(&next_uses.0) {
        if cached.first() == Some(&now) {
            cached.pop_first();
            hits += 1;
        } else if cached.len() as u64 >= capacity {
            cached.pop_last();
        }
        cached.insert(if *next == NEVER { requests + now } else { *next });
        pace.step();
    }
    hits
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use fastrand::Rng;

    use super::*;

    fn optimum(keys: &[u8], capacity: usize) -> u64 {
        let mut next_uses = NextUses::default();
        let mut last_uses = HashMap::new();
        for (now, key) in (0..).zip(keys) {
            next_uses.push(last_uses.insert(key, now));
        }
        hits(&next_uses, capacity as u64, &Progress::new(false))
    }

    /// The most hits of all ways to make room.
    fn best(keys: &[u8], cached: &[u8], capacity: usize) -> u64 {
        let Some((key, rest)) = keys.split_first() else { return 0 };
        if cached.contains(key) {
            return 1 + best(rest, cached, capacity);
        }
        if cached.len() < capacity {
            return best(rest, &[cached, &[*key]].concat(), capacity);
        }
        let ways = (0..capacity).map(|victim| {
            let mut cached = cached.to_vec();
            cached[victim] = *key;
            best(rest, &cached, capacity)
        });
        ways.max().unwrap_or(0)
    }

    #[test]
    fn a_loop_of_four_keys_in_a_cache_of_three_hits_two_times_of_three() {
        let keys = [0, 1, 2, 3].repeat(3);
        // 0 1 2 come in; 3 replaces 2; 0 and 1 hit; 2 replaces 1; 3 and 0 hit; 1 replaces 0; 2 and
        // 3 hit.
        assert_eq!(optimum(&keys, 3), 6);
        assert_eq!(optimum(&keys, 1), 0);
        assert_eq!(optimum(&keys, 4), 8);
        assert_eq!(optimum(&keys, 100), 8);
    }

    #[test]
    fn no_way_to_make_room_is_better_than_the_optimum() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = Rng::with_seed(seed);
        for _ in 0..300 {
            let keys: Vec<u8> = (0..random.usize(..14)).map(|_| random.u8(..5)).collect();
            let capacity = random.usize(1..4);
            let expected = best(&keys, &[], capacity);
            assert_eq!(optimum(&keys, capacity), expected, "{keys:?}, capacity {capacity}");
        }
    }
}
