//! `sieve`: a hand walks from old to new and evicts the first entry that was not hit since it
//! passed.
//!
//! Zhang, Yang, Yue, Vigfusson and Rashmi, "SIEVE is simpler than LRU: an efficient turn-key
//! eviction algorithm for web caches" (NSDI 2024). Unlike `clock`, entries that were hit stay where
//! they are, so new ones that nobody asks for are found soon. A hit only sets a bit. Not for scans
//! of a whole data set, which it does not resist.

use larder_core::policy::{Capacity, HitMode, Policy, SlotId, Slots};
use larder_core::{Descriptor, PolicyConfig, descriptor, register};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::lists::Lists;

/// Options of `sieve`: none.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SieveConfig {}

impl PolicyConfig for SieveConfig {
    const KIND: &'static str = "sieve";
    const SUMMARY: &'static str = "evicts what was not hit since a hand last passed";
    type Policy = Sieve;

    fn build(&self, _: Capacity) -> Sieve {
        Sieve { queue: Lists::new(1), hand: None }
    }
}

/// The policy of one shard: a queue and a hand.
#[derive(Debug)]
pub struct Sieve {
    queue: Lists,
    /// Where the next search begins; `None` is at the oldest entry.
    hand: Option<SlotId>,
}

impl Policy for Sieve {
    fn hit_mode(&self) -> HitMode {
        HitMode::Bit
    }

    fn on_insert(&mut self, slot: SlotId, _: &mut dyn Slots) {
        self.queue.push_front(0, slot);
    }

    fn on_remove(&mut self, slot: SlotId, _: bool, _: &mut dyn Slots) {
        if self.hand == Some(slot) {
            self.hand = self.queue.newer(slot);
        }
        self.queue.remove(slot);
    }

    fn victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
        // Two rounds: the first may find every bit set, the second then finds none.
        for _ in 0..2 * self.queue.len() {
            let slot = self.hand.or_else(|| self.queue.back(0))?;
            if slots.hits(slot) == 0 && !slots.is_pinned(slot) {
                self.hand = Some(slot);
                return Some(slot);
            }
            slots.set_hits(slot, 0);
            self.hand = self.queue.newer(slot);
        }
        self.queue.oldest_unpinned(0, slots)
    }

    fn resize(&mut self, _: Capacity) {}

    fn len(&self) -> usize {
        self.queue.len()
    }
}

/// `sieve` for explicit registration.
pub const SIEVE: Descriptor = descriptor!(policy: SieveConfig);

register!(policy: SieveConfig);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::{Reference, compare};

    /// Oldest first; the hand is an index.
    #[derive(Default)]
    struct Model {
        queue: Vec<(SlotId, bool)>,
        hand: usize,
    }

    impl Reference for Model {
        fn insert(&mut self, slot: SlotId, _: u64) {
            // A hand past the newest entry is at the oldest.
            self.wrap();
            self.queue.push((slot, false));
        }

        fn hit(&mut self, slot: SlotId) {
            let entry = self.queue.iter_mut().find(|entry| entry.0 == slot);
            entry.unwrap().1 = true;
        }

        fn remove(&mut self, slot: SlotId, _: bool) {
            let at = self.queue.iter().position(|entry| entry.0 == slot);
            let at = at.unwrap();
            self.queue.remove(at);
            if at < self.hand {
                self.hand -= 1;
            }
            self.wrap();
        }

        fn victim(&mut self) -> SlotId {
            while self.queue[self.hand].1 {
                self.queue[self.hand].1 = false;
                self.hand += 1;
                self.wrap();
            }
            self.queue[self.hand].0
        }
    }

    impl Model {
        fn wrap(&mut self) {
            if self.hand >= self.queue.len() {
                self.hand = 0;
            }
        }
    }

    #[test]
    fn victims_are_those_of_the_paper() {
        compare(&SieveConfig::default(), Model::default);
    }
}
