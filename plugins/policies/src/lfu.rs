//! `lfu`: the entry that was hit least goes, the older one of two.
//!
//! Least frequently used, with the frequency lists of Shah, Mitra and Matani, "An O(1) algorithm
//! for implementing the LFU cache eviction scheme" (2010), but lazy: the store counts hits in a
//! byte, and an entry moves to the list of its count only when it is about to be evicted. Counts
//! are halved from time to time (Robinson and Devarakonda, "Data cache management using
//! frequency-based replacement", SIGMETRICS 1990), so that what was popular once does not stay for
//! ever.

use larder_core::policy::{Capacity, HitMode, Policy, SlotId, Slots};
use larder_core::{Descriptor, PolicyConfig, descriptor, register};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::lists::Lists;

/// Options of `lfu`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct LfuConfig {
    /// Halves all counts each time ten times as many entries came in as there are, so that
    /// entries that were popular once can leave. Default `true`.
    pub aging: bool,
}

impl Default for LfuConfig {
    fn default() -> Self {
        Self { aging: true }
    }
}

impl PolicyConfig for LfuConfig {
    const KIND: &'static str = "lfu";
    const SUMMARY: &'static str = "evicts what was hit least";
    type Policy = Lfu;

    fn build(&self, _: Capacity) -> Lfu {
        Lfu { counts: Lists::new(MAX_HITS + 1), aging: self.aging, inserts: 0 }
    }
}

/// Where counting stops. Entries beyond are all "popular".
const MAX_HITS: u8 = 63;
/// How many inserts per entry make the counts age.
const AGING_PERIOD: usize = 10;

/// The policy of one shard: a list for each count.
#[derive(Debug)]
pub struct Lfu {
    /// Entries by the count that they had when they were last looked at; it only grows.
    counts: Lists,
    aging: bool,
    inserts: usize,
}

impl Lfu {
    /// Halves all counts. Costs a step per entry, after ten inserts per entry.
    fn age(&mut self, slots: &mut dyn Slots) {
        self.inserts = 0;
        for count in 0..=MAX_HITS {
            for slot in self.counts.slots(count) {
                let hits = slots.hits(slot).min(MAX_HITS) / 2;
                slots.set_hits(slot, hits);
                self.counts.push_front(hits.min(count), slot);
            }
        }
    }
}

impl Policy for Lfu {
    fn hit_mode(&self) -> HitMode {
        HitMode::Counter { max: MAX_HITS }
    }

    fn on_insert(&mut self, slot: SlotId, slots: &mut dyn Slots) {
        self.inserts += 1;
        if self.aging && self.inserts > AGING_PERIOD * (self.counts.len() + 1) {
            self.age(slots);
        }
        self.counts.push_front(0, slot);
    }

    fn on_remove(&mut self, slot: SlotId, _: bool, _: &mut dyn Slots) {
        self.counts.remove(slot);
    }

    fn victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
        for count in 0..=MAX_HITS {
            while let Some(slot) = self.counts.oldest_unpinned(count, slots) {
                let hits = slots.hits(slot).min(MAX_HITS);
                if hits <= count {
                    return Some(slot);
                }
                self.counts.push_front(hits, slot);
            }
        }
        None
    }

    fn resize(&mut self, _: Capacity) {}

    fn len(&self) -> usize {
        self.counts.len()
    }
}

/// `lfu` for explicit registration.
pub const LFU: Descriptor = descriptor!(policy: LfuConfig);

register!(policy: LfuConfig);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::{Reference, Simulation, compare_by};

    /// Entries with their hits; the victim must be one of those with the fewest.
    #[derive(Default)]
    struct Counts(Vec<(SlotId, u8)>);

    impl Reference for Counts {
        fn insert(&mut self, slot: SlotId, _: u64) {
            self.0.push((slot, 0));
        }

        fn hit(&mut self, slot: SlotId) {
            let entry = self.0.iter_mut().find(|entry| entry.0 == slot).unwrap();
            entry.1 = (entry.1 + 1).min(MAX_HITS);
        }

        fn remove(&mut self, slot: SlotId, _: bool) {
            self.0.retain(|entry| entry.0 != slot);
        }

        fn victim(&mut self) -> SlotId {
            self.0.iter().min_by_key(|entry| entry.1).unwrap().0
        }
    }

    #[test]
    fn victims_have_the_fewest_hits() {
        let same_count = |model: &Counts, named: SlotId, expected: SlotId| {
            let hits = |slot| model.0.iter().find(|entry| entry.0 == slot).unwrap().1;
            hits(named) == hits(expected)
        };
        compare_by(&LfuConfig { aging: false }, Counts::default, same_count);
    }

    #[test]
    fn of_entries_that_were_never_hit_the_oldest_goes() {
        let mut simulation = Simulation::new(&LfuConfig::default(), 1);
        let first = simulation.insert(1);
        simulation.insert(2);
        assert_eq!(simulation.victim(), Some(first));
    }

    #[test]
    fn what_was_popular_once_leaves_in_the_end() {
        let mut simulation = Simulation::new(&LfuConfig::default(), 1);
        let popular = simulation.insert(0);
        for _ in 0..MAX_HITS {
            simulation.hit(popular);
        }
        let mut evicted = false;
        for hash in 1..1000 {
            let slot = simulation.insert(hash);
            simulation.hit(slot);
            if simulation.len() > 4 {
                let victim = simulation.victim().unwrap();
                evicted |= victim == popular;
                simulation.remove(victim, true);
            }
        }
        assert!(evicted);
    }
}
