//! `tinylfu`: an LRU that a key only gets into if it was asked for more often than the one to go.
//!
//! Einziger, Friedman and Manes, "TinyLFU: a highly efficient cache admission policy" (ACM
//! Transactions on Storage 13(4), 2017), without the window that [`w-tinylfu`](crate::w_tinylfu)
//! has for keys that are new. A sketch counts how often keys were asked for lately, whether they
//! are there or not. What is refused is not stored at all, so this is for keys that stay popular
//! and for loops, and not for keys that are asked for a few times within a short while.

use larder_core::policy::{Capacity, HitMode, Policy, SlotId, Slots};
use larder_core::{Descriptor, PolicyConfig, descriptor, register};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::lists::Lists;
use crate::sketch::Sketch;

/// Options of `tinylfu`: none.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TinyLfuConfig {}

impl PolicyConfig for TinyLfuConfig {
    const KIND: &'static str = "tinylfu";
    const SUMMARY: &'static str = "refuses what was asked for less often than what would go";
    type Policy = TinyLfu;

    fn build(&self, _: Capacity) -> TinyLfu {
        TinyLfu { list: Lists::new(1), sketch: Sketch::default() }
    }
}

/// From which estimate on a key is let in now and then although it lost, so that nobody can keep
/// all others out by keys that collide with an entry.
const WARM: u8 = 6;
/// How seldom that happens.
const LUCK: u32 = 4096;

/// The policy of one shard.
#[derive(Debug)]
pub struct TinyLfu {
    list: Lists,
    sketch: Sketch,
}

impl Policy for TinyLfu {
    fn hit_mode(&self) -> HitMode {
        HitMode::Record
    }

    fn on_insert(&mut self, slot: SlotId, _: &mut dyn Slots) {
        // A use was counted when the key asked to be let in. What did not have to ask, as there was
        // room, has not shown that it is worth more than any other.
        self.list.push_front(0, slot);
        self.sketch.fit(self.list.len());
    }

    fn on_remove(&mut self, slot: SlotId, _: bool, _: &mut dyn Slots) {
        self.list.remove(slot);
    }

    fn on_hits(&mut self, hits: &[SlotId], slots: &mut dyn Slots) {
        for slot in hits {
            if self.list.list_of(*slot).is_some() {
                self.list.move_to_front(*slot);
                self.sketch.add(slots.hash(*slot));
            }
        }
    }

    fn victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
        self.list.oldest_unpinned(0, slots)
    }

    fn admit(&mut self, hash: u64, _: u32, victim: SlotId, slots: &mut dyn Slots) -> bool {
        self.sketch.add(hash);
        let uses = self.sketch.estimate(hash);
        let is_better = uses > self.sketch.estimate(slots.hash(victim));
        is_better || (uses >= WARM && slots.random(LUCK) == 0)
    }

    fn resize(&mut self, _: Capacity) {}

    fn len(&self) -> usize {
        self.list.len()
    }
}

/// `tinylfu` for explicit registration.
pub const TINYLFU: Descriptor = descriptor!(policy: TinyLfuConfig);

register!(policy: TinyLfuConfig);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::{Reference, Simulation, compare};

    /// The oldest is first. What is not let in never comes here.
    #[derive(Default)]
    struct Model(Vec<SlotId>);

    impl Reference for Model {
        fn insert(&mut self, slot: SlotId, _: u64) {
            self.0.push(slot);
        }

        fn hit(&mut self, slot: SlotId) {
            self.remove(slot, false);
            self.0.push(slot);
        }

        fn remove(&mut self, slot: SlotId, _: bool) {
            self.0.retain(|other| *other != slot);
        }

        fn victim(&mut self) -> SlotId {
            self.0[0]
        }
    }

    #[test]
    fn victims_are_those_of_an_lru() {
        compare(&TinyLfuConfig::default(), Model::default);
    }

    #[test]
    fn a_key_gets_in_once_it_was_asked_for_more_often_than_the_victim() {
        let mut simulation = Simulation::new(&TinyLfuConfig::default(), 1);
        let slot = simulation.insert(1);
        simulation.hit(slot);
        simulation.hit(slot);
        let asked: Vec<bool> = (0..3).map(|_| simulation.admit(2)).collect();
        assert_eq!(asked, [false, false, true], "the victim was hit twice");
    }
}
