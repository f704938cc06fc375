//! `gdsf`: the entry that is worth least for its weight goes.
//!
//! Greedy-dual size frequency: Cherkasova, "Improving WWW proxies performance with
//! greedy-dual-size-frequency caching policy" (HP Laboratories HPL-98-69R1, 1998). The worth of an
//! entry is how often it was asked for, divided by its weight, plus the worth of what was evicted
//! last, so that what was popular once is overtaken in the end. Many light entries stay where one
//! heavy one would; with equal weights it is least frequently used with aging.
//!
//! As the worth of what is evicted only grows, a radix heap keeps the order (Ahuja, Mehlhorn,
//! Orlin and Tarjan, "Faster algorithms for the shortest path problem", 1990): an entry moves at
//! most 64 times for each change of its worth, however many entries there are.

use larder_core::policy::{Capacity, HitMode, Policy, SlotId, Slots};
use larder_core::{Descriptor, PolicyConfig, descriptor, register};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::lists::Lists;

/// Options of `gdsf`: none.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct GdsfConfig {}

impl PolicyConfig for GdsfConfig {
    const KIND: &'static str = "gdsf";
    const SUMMARY: &'static str = "evicts what was hit least for its weight";
    type Policy = Gdsf;

    fn build(&self, _: Capacity) -> Gdsf {
        Gdsf { buckets: Lists::new(65), entries: Vec::new(), floor: 0 }
    }
}

/// The worth of one use of an entry of weight 1. Weights up to this number are told apart.
const ONE: u64 = 1 << 24;
/// Where counting the uses of an entry stops.
const MAX_USES: u32 = 1 << 16;

/// What is known about the entry of a slot.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    worth: u64,
    uses: u32,
}

/// The policy of one shard.
#[derive(Debug)]
pub struct Gdsf {
    /// Slots by the highest bit in which their worth differs from `floor`; list 0 is equal to it.
    buckets: Lists,
    entries: Vec<Known>,
    /// The worth of what was named as victim last: no entry is worth less.
    floor: u64,
}

impl Gdsf {
    fn bucket_of(&self, worth: u64) -> u8 {
        // From 0 to 64, so it fits.
        (u64::BITS - (worth ^ self.floor).leading_zeros()) as u8
    }

    /// Notes one use more, and what that makes the entry worth.
    fn note_use(&mut self, slot: SlotId, slots: &dyn Slots) {
        let uses = (self.entries[slot.index()].uses + 1).min(MAX_USES);
        let gain = u64::from(uses) * ONE / u64::from(slots.weight(slot).max(1));
        let worth = self.floor.saturating_add(gain.max(1));
        self.entries[slot.index()] = Known { worth, uses };
        self.buckets.push_front(self.bucket_of(worth), slot);
    }

    /// Raises the floor to what the least worthy entry is worth, which then is in bucket 0; `false`
    /// when there is no entry.
    fn raise_floor(&mut self) -> bool {
        if self.buckets.len_of(0) > 0 {
            return true;
        }
        let Some(lowest) = (1..=64).find(|bucket| self.buckets.len_of(*bucket) > 0) else {
            return false;
        };
        let slots = self.buckets.slots(lowest);
        let worths = slots.iter().map(|slot| self.entries[slot.index()].worth);
        self.floor = worths.min().unwrap_or(self.floor);
        for slot in slots {
            self.buckets.push_front(self.bucket_of(self.entries[slot.index()].worth), slot);
        }
        true
    }
}

impl Policy for Gdsf {
    fn hit_mode(&self) -> HitMode {
        HitMode::Record
    }

    fn on_insert(&mut self, slot: SlotId, slots: &mut dyn Slots) {
        if self.entries.len() <= slot.index() {
            self.entries.resize(slot.index() + 1, Known::default());
        }
        self.entries[slot.index()] = Known::default();
        self.note_use(slot, slots);
    }

    fn on_remove(&mut self, slot: SlotId, _: bool, _: &mut dyn Slots) {
        self.buckets.remove(slot);
        if self.buckets.len() == 0 {
            self.entries = Vec::new();
            self.floor = 0;
        }
    }

    fn on_hits(&mut self, hits: &[SlotId], slots: &mut dyn Slots) {
        for slot in hits {
            if self.buckets.list_of(*slot).is_some() {
                self.note_use(*slot, slots);
            }
        }
    }

    fn victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
        let mut pinned = Vec::new();
        let mut victim = None;
        while victim.is_none() && self.raise_floor() {
            victim = self.buckets.oldest_unpinned(0, slots);
            if victim.is_none() {
                for slot in self.buckets.slots(0) {
                    self.buckets.remove(slot);
                    pinned.push(slot);
                }
            }
        }
        // Entries that must stay rise with the floor, or they would be below it.
        for slot in pinned {
            self.entries[slot.index()].worth = self.floor;
            self.buckets.push_front(0, slot);
        }
        victim
    }

    fn resize(&mut self, _: Capacity) {}

    fn len(&self) -> usize {
        self.buckets.len()
    }
}

/// `gdsf` for explicit registration.
pub const GDSF: Descriptor = descriptor!(policy: GdsfConfig);

register!(policy: GdsfConfig);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::{Reference, Simulation, compare_by, weight_of_hash};

    /// Slot, hash, uses and worth of each entry, as the paper defines them.
    #[derive(Default)]
    struct Worths {
        entries: Vec<(SlotId, u64, u64, u64)>,
        floor: u64,
    }

    impl Worths {
        fn worth(&self, hash: u64, uses: u64) -> u64 {
            self.floor + uses * ONE / u64::from(weight_of_hash(hash))
        }

        fn worth_of(&self, slot: SlotId) -> u64 {
            self.entries.iter().find(|entry| entry.0 == slot).unwrap().3
        }
    }

    impl Reference for Worths {
        fn insert(&mut self, slot: SlotId, hash: u64) {
            let worth = self.worth(hash, 1);
            self.entries.push((slot, hash, 1, worth));
        }

        fn hit(&mut self, slot: SlotId) {
            let at = self.entries.iter().position(|entry| entry.0 == slot).unwrap();
            let (_, hash, uses, _) = self.entries[at];
            self.entries[at] = (slot, hash, uses + 1, self.worth(hash, uses + 1));
        }

        fn remove(&mut self, slot: SlotId, _: bool) {
            self.entries.retain(|entry| entry.0 != slot);
            if self.entries.is_empty() {
                self.floor = 0;
            }
        }

        fn victim(&mut self) -> SlotId {
            let least = self.entries.iter().min_by_key(|entry| entry.3).unwrap();
            self.floor = least.3;
            least.0
        }
    }

    #[test]
    fn victims_are_worth_least() {
        compare_by(&GdsfConfig::default(), Worths::default, |model, named, expected| {
            model.worth_of(named) == model.worth_of(expected)
        });
    }

    #[test]
    fn of_two_entries_that_are_used_alike_the_heavier_one_goes() {
        let light = (0..).map(|key| key << 40).find(|hash| weight_of_hash(*hash) == 1).unwrap();
        let heavy = (0..).map(|key| key << 40).find(|hash| weight_of_hash(*hash) == 9).unwrap();
        let mut simulation = Simulation::new(&GdsfConfig::default(), 1);
        simulation.insert(light);
        let heavy = simulation.insert(heavy);
        assert_eq!(simulation.victim(), Some(heavy));
        for _ in 0..9 {
            simulation.hit(heavy);
        }
        assert_ne!(simulation.victim(), Some(heavy), "ten uses outweigh a weight of nine");
    }

    #[test]
    fn what_was_popular_once_leaves_in_the_end() {
        let mut simulation = Simulation::new(&GdsfConfig::default(), 1);
        let popular = simulation.insert(0);
        for _ in 0..50 {
            simulation.hit(popular);
        }
        let mut evicted = false;
        for hash in 1..1000 {
            simulation.insert(hash);
            if simulation.len() > 4 {
                let victim = simulation.victim().unwrap();
                evicted |= victim == popular;
                simulation.remove(victim, true);
            }
        }
        assert!(evicted);
    }
}
