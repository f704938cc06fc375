//! `lru`: the entry that was not hit for longest goes.
//!
//! Least recently used; see Mattson et al., "Evaluation techniques for storage hierarchies" (IBM
//! Systems Journal 9(2), 1970). Hits are written down by the store and applied in batches, so the
//! order is exact but for hits that two threads make at the same moment.

use larder_core::policy::{Capacity, HitMode, Policy, SlotId, Slots};
use larder_core::{Descriptor, PolicyConfig, descriptor, register};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::lists::Lists;

/// Options of `lru`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct LruConfig {
    /// Applies every hit at once, under the exclusive lock of the shard. No hit is lost then, and
    /// hits of the same shard wait for each other. Default `false`.
    pub strict: bool,
}

impl LruConfig {
    /// Sets whether every hit is applied at once.
    #[must_use]
    pub const fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }
}

impl PolicyConfig for LruConfig {
    const KIND: &'static str = "lru";
    const SUMMARY: &'static str = "evicts what was not hit for longest";
    type Policy = Lru;

    fn build(&self, _: Capacity) -> Lru {
        Lru { order: Lists::new(1), strict: self.strict }
    }
}

/// The policy of one shard: a list in the order of the last hit.
#[derive(Debug)]
pub struct Lru {
    order: Lists,
    strict: bool,
}

impl Policy for Lru {
    fn hit_mode(&self) -> HitMode {
        if self.strict { HitMode::Exclusive } else { HitMode::Record }
    }

    fn on_insert(&mut self, slot: SlotId, _: &mut dyn Slots) {
        self.order.push_front(0, slot);
    }

    fn on_remove(&mut self, slot: SlotId, _: bool, _: &mut dyn Slots) {
        self.order.remove(slot);
    }

    fn on_hits(&mut self, hits: &[SlotId], _: &mut dyn Slots) {
        for slot in hits {
            self.order.move_to_front(*slot);
        }
    }

    fn victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
        self.order.oldest_unpinned(0, slots)
    }

    fn resize(&mut self, _: Capacity) {}

    fn len(&self) -> usize {
        self.order.len()
    }
}

/// `lru` for explicit registration.
pub const LRU: Descriptor = descriptor!(policy: LruConfig);

register!(policy: LruConfig);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::{Reference, compare};

    #[derive(Default)]
    struct ByLastUse(Vec<SlotId>);

    impl Reference for ByLastUse {
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
    fn victims_are_those_of_a_list_by_last_use() {
        compare(&LruConfig::default(), ByLastUse::default);
        compare(&LruConfig::default().strict(true), ByLastUse::default);
    }
}
