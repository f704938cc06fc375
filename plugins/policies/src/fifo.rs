//! `fifo`: the oldest entry goes, whether or not it was hit.
//!
//! First in, first out; see Belady, "A study of replacement algorithms for a virtual-storage
//! computer" (IBM Systems Journal 5(2), 1966). A hit costs nothing at all.

use larder_core::policy::{Capacity, HitMode, Policy, SlotId, Slots};
use larder_core::{Descriptor, PolicyConfig, descriptor, register};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::lists::Lists;

/// Options of `fifo`: none.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FifoConfig {}

impl PolicyConfig for FifoConfig {
    const KIND: &'static str = "fifo";
    const SUMMARY: &'static str = "evicts the oldest entry";
    type Policy = Fifo;

    fn build(&self, _: Capacity) -> Fifo {
        Fifo { queue: Lists::new(1) }
    }
}

/// The policy of one shard: a queue.
#[derive(Debug)]
pub struct Fifo {
    queue: Lists,
}

impl Policy for Fifo {
    fn hit_mode(&self) -> HitMode {
        HitMode::None
    }

    fn on_insert(&mut self, slot: SlotId, _: &mut dyn Slots) {
        self.queue.push_front(0, slot);
    }

    fn on_remove(&mut self, slot: SlotId, _: bool, _: &mut dyn Slots) {
        self.queue.remove(slot);
    }

    fn victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
        self.queue.oldest_unpinned(0, slots)
    }

    fn resize(&mut self, _: Capacity) {}

    fn len(&self) -> usize {
        self.queue.len()
    }
}

/// `fifo` for explicit registration.
pub const FIFO: Descriptor = descriptor!(policy: FifoConfig);

register!(policy: FifoConfig);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::{Reference, compare};

    #[derive(Default)]
    struct Oldest(Vec<SlotId>);

    impl Reference for Oldest {
        fn insert(&mut self, slot: SlotId, _: u64) {
            self.0.push(slot);
        }

        fn hit(&mut self, _: SlotId) {}

        fn remove(&mut self, slot: SlotId, _: bool) {
            self.0.retain(|other| *other != slot);
        }

        fn victim(&mut self) -> SlotId {
            self.0[0]
        }
    }

    #[test]
    fn victims_are_those_of_a_plain_queue() {
        compare(&FifoConfig::default(), Oldest::default);
    }
}
