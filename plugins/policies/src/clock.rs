//! `clock`: the oldest entry goes, unless it was hit since it was last looked at.
//!
//! Second chance, or CLOCK: Corbató, "A paging experiment with the Multics system" (MIT Project
//! MAC, 1968). Nearly as good as `lru`, and a hit only sets a bit.

use larder_core::policy::{Capacity, HitMode, Policy, SlotId, Slots};
use larder_core::{Descriptor, PolicyConfig, descriptor, register};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::queues::Queues;

/// Options of `clock`: none.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ClockConfig {}

impl PolicyConfig for ClockConfig {
    const KIND: &'static str = "clock";
    const SUMMARY: &'static str = "evicts the oldest entry that was not hit in the last round";
    type Policy = ClockPolicy;

    fn build(&self, _: Capacity) -> ClockPolicy {
        ClockPolicy { ring: Queues::new() }
    }
}

/// The kind of all entries.
const ENTRY: u8 = 1;

/// The policy of one shard: the ring is a queue whose front is under the hand.
#[derive(Debug)]
pub struct ClockPolicy {
    ring: Queues<()>,
}

impl Policy for ClockPolicy {
    fn hit_mode(&self) -> HitMode {
        HitMode::Bit
    }

    fn on_insert(&mut self, slot: SlotId, _: &mut dyn Slots) {
        self.ring.push(ENTRY, slot, ());
    }

    fn on_remove(&mut self, slot: SlotId, _: bool, _: &mut dyn Slots) {
        self.ring.remove(slot);
    }

    fn victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
        // Two rounds: hits that come in meanwhile cannot keep the hand going for ever.
        for _ in 0..2 * self.ring.len() {
            let (slot, ()) = self.ring.oldest(ENTRY)?;
            if slots.hits(slot) == 0 && !slots.is_pinned(slot) {
                return Some(slot);
            }
            slots.set_hits(slot, 0);
            self.ring.push(ENTRY, slot, ());
        }
        self.ring.slots().find(|slot| !slots.is_pinned(*slot))
    }

    fn resize(&mut self, _: Capacity) {}

    fn len(&self) -> usize {
        self.ring.len()
    }
}

/// `clock` for explicit registration.
pub const CLOCK: Descriptor = descriptor!(policy: ClockConfig);

register!(policy: ClockConfig);

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::simulation::{Reference, compare};

    #[derive(Default)]
    struct SecondChance(VecDeque<(SlotId, bool)>);

    impl Reference for SecondChance {
        fn insert(&mut self, slot: SlotId, _: u64) {
            self.0.push_back((slot, false));
        }

        fn hit(&mut self, slot: SlotId) {
            let entry = self.0.iter_mut().find(|entry| entry.0 == slot);
            entry.unwrap().1 = true;
        }

        fn remove(&mut self, slot: SlotId, _: bool) {
            self.0.retain(|entry| entry.0 != slot);
        }

        fn victim(&mut self) -> SlotId {
            while self.0[0].1 {
                let (slot, _) = self.0.pop_front().unwrap();
                self.0.push_back((slot, false));
            }
            self.0[0].0
        }
    }

    #[test]
    fn victims_are_those_of_a_queue_with_second_chances() {
        compare(&ClockConfig::default(), SecondChance::default);
    }
}
