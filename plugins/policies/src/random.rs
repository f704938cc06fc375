//! `random`: any entry goes.
//!
//! Random replacement, the other baseline of Belady, "A study of replacement algorithms for a
//! virtual-storage computer" (IBM Systems Journal 5(2), 1966). Better than `lru` for loops that are
//! a little larger than the cache; else a yardstick. A hit costs nothing at all.

use larder_core::policy::{Capacity, HitMode, Policy, SlotId, Slots};
use larder_core::{Descriptor, PolicyConfig, descriptor, register};
use schemars::JsonSchema;
use serde::Deserialize;

/// Options of `random`: none.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RandomConfig {}

impl PolicyConfig for RandomConfig {
    const KIND: &'static str = "random";
    const SUMMARY: &'static str = "evicts any entry";
    type Policy = Random;

    fn build(&self, _: Capacity) -> Random {
        Random { slots: Vec::new(), places: Vec::new() }
    }
}

/// The policy of one shard: all slots without gaps, so that one can be drawn.
#[derive(Debug)]
pub struct Random {
    slots: Vec<SlotId>,
    /// Where each slot stands in `slots`.
    places: Vec<u32>,
}

/// The place of a slot that is not there.
const NOWHERE: u32 = u32::MAX;

impl Policy for Random {
    fn hit_mode(&self) -> HitMode {
        HitMode::None
    }

    fn on_insert(&mut self, slot: SlotId, _: &mut dyn Slots) {
        if self.places.len() <= slot.index() {
            self.places.resize(slot.index() + 1, NOWHERE);
        }
        // Slot numbers have 32 bits, so there cannot be more slots.
        self.places[slot.index()] = self.slots.len() as u32;
        self.slots.push(slot);
    }

    fn on_remove(&mut self, slot: SlotId, _: bool, _: &mut dyn Slots) {
        let Some(place) = self.places.get_mut(slot.index()) else {
            return;
        };
        let place = std::mem::replace(place, NOWHERE) as usize;
        if place >= self.slots.len() {
            return;
        }
        self.slots.swap_remove(place);
        if let Some(moved) = self.slots.get(place) {
            self.places[moved.index()] = place as u32;
        }
        if self.slots.is_empty() {
            *self = Self { slots: Vec::new(), places: Vec::new() };
        }
    }

    fn victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
        let count = self.slots.len();
        if count == 0 {
            return None;
        }
        let drawn = slots.random(u32::try_from(count).unwrap_or(u32::MAX)) as usize;
        let mut candidates = (0..count).map(|step| self.slots[(drawn + step) % count]);
        candidates.find(|slot| !slots.is_pinned(*slot))
    }

    fn resize(&mut self, _: Capacity) {}

    fn len(&self) -> usize {
        self.slots.len()
    }
}

/// `random` for explicit registration.
pub const RANDOM: Descriptor = descriptor!(policy: RandomConfig);

register!(policy: RandomConfig);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::simulation::{Reference, Simulation, compare_by};

    #[derive(Default)]
    struct Present(BTreeSet<SlotId>);

    impl Reference for Present {
        fn insert(&mut self, slot: SlotId, _: u64) {
            self.0.insert(slot);
        }

        fn hit(&mut self, _: SlotId) {}

        fn remove(&mut self, slot: SlotId, _: bool) {
            self.0.remove(&slot);
        }

        fn victim(&mut self) -> SlotId {
            *self.0.first().unwrap()
        }
    }

    #[test]
    fn victims_are_entries_that_are_there() {
        compare_by(&RandomConfig::default(), Present::default, |model, named, _| {
            model.0.contains(&named)
        });
    }

    #[test]
    fn every_entry_can_be_drawn() {
        let mut simulation = Simulation::new(&RandomConfig::default(), 7);
        for hash in 0..8 {
            simulation.insert(hash);
        }
        let drawn: BTreeSet<_> = (0..200).filter_map(|_| simulation.victim()).collect();
        assert_eq!(drawn.len(), 8);
    }
}
