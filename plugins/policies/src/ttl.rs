//! `ttl`: the entry that expires soonest goes; those that never expire go last, oldest first.
//!
//! `volatile-ttl` of the Redis documentation ("Key eviction"), but exact. A hit costs nothing at
//! all, an insert the logarithm of the number of entries. It is the only policy here that looks at
//! deadlines; expired entries are never *served* under any policy.

use std::collections::BTreeSet;

use larder_core::policy::{Capacity, HitMode, Policy, SlotId, Slots};
use larder_core::{Descriptor, PolicyConfig, descriptor, register};
use schemars::JsonSchema;
use serde::Deserialize;

/// Options of `ttl`: none.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TtlConfig {}

impl PolicyConfig for TtlConfig {
    const KIND: &'static str = "ttl";
    const SUMMARY: &'static str = "evicts what expires soonest";
    type Policy = Ttl;

    fn build(&self, _: Capacity) -> Ttl {
        Ttl::default()
    }
}

/// A deadline in nanoseconds, and a number that tells entries of the same deadline apart.
type Rank = (u64, u64);

/// The policy of one shard: slots by deadline.
#[derive(Debug, Default)]
pub struct Ttl {
    order: BTreeSet<(Rank, SlotId)>,
    /// The rank under which each slot stands in `order`.
    ranks: Vec<Option<Rank>>,
    inserts: u64,
}

impl Ttl {
    fn put(&mut self, slot: SlotId, slots: &dyn Slots) {
        if self.ranks.len() <= slot.index() {
            self.ranks.resize(slot.index() + 1, None);
        }
        self.inserts += 1;
        let rank = (deadline_of(slot, slots), self.inserts);
        self.ranks[slot.index()] = Some(rank);
        self.order.insert((rank, slot));
    }

    fn take(&mut self, slot: SlotId) -> Option<Rank> {
        let rank = self.ranks.get_mut(slot.index())?.take()?;
        self.order.remove(&(rank, slot));
        Some(rank)
    }
}

fn deadline_of(slot: SlotId, slots: &dyn Slots) -> u64 {
    let deadline = slots.deadline(slot);
    deadline.map_or(u64::MAX, |deadline| deadline.as_nanos())
}

impl Policy for Ttl {
    fn hit_mode(&self) -> HitMode {
        HitMode::None
    }

    fn on_insert(&mut self, slot: SlotId, slots: &mut dyn Slots) {
        self.put(slot, slots);
    }

    fn on_remove(&mut self, slot: SlotId, _: bool, _: &mut dyn Slots) {
        self.take(slot);
        if self.order.is_empty() {
            self.ranks = Vec::new();
        }
    }

    /// Updates, which may have changed the deadline: the only hits this policy hears of.
    fn on_hits(&mut self, hits: &[SlotId], slots: &mut dyn Slots) {
        for slot in hits {
            let rank = self.ranks.get(slot.index()).copied().flatten();
            if rank.is_some_and(|rank| rank.0 != deadline_of(*slot, slots)) {
                self.take(*slot);
                self.put(*slot, slots);
            }
        }
    }

    fn victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
        let mut soonest = self.order.iter().map(|(_, slot)| *slot);
        soonest.find(|slot| !slots.is_pinned(*slot))
    }

    fn resize(&mut self, _: Capacity) {}

    fn len(&self) -> usize {
        self.order.len()
    }
}

/// `ttl` for explicit registration.
pub const TTL: Descriptor = descriptor!(policy: TtlConfig);

register!(policy: TtlConfig);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::{Reference, Simulation, compare, deadline_of_hash};

    #[derive(Default)]
    struct ByDeadline(Vec<(SlotId, u64)>);

    impl Reference for ByDeadline {
        fn insert(&mut self, slot: SlotId, hash: u64) {
            let deadline = deadline_of_hash(hash).map_or(u64::MAX, |at| at.as_nanos());
            self.0.push((slot, deadline));
        }

        fn hit(&mut self, _: SlotId) {}

        fn remove(&mut self, slot: SlotId, _: bool) {
            self.0.retain(|entry| entry.0 != slot);
        }

        fn victim(&mut self) -> SlotId {
            self.0.iter().min_by_key(|entry| entry.1).unwrap().0
        }
    }

    #[test]
    fn victims_are_those_that_expire_soonest() {
        compare(&TtlConfig::default(), ByDeadline::default);
    }

    #[test]
    fn a_deadline_that_was_changed_counts() {
        let mut simulation = Simulation::new(&TtlConfig::default(), 1);
        let (first, second) = (simulation.insert(10), simulation.insert(20));
        assert_eq!(simulation.victim(), Some(first));
        simulation.update_deadline(first, None);
        assert_eq!(simulation.victim(), Some(second));
        simulation.update_deadline(first, deadline_of_hash(5));
        assert_eq!(simulation.victim(), Some(first));
    }
}
