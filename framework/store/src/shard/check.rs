//! The invariants of a shard, for tests and fuzzing.

use larder_core::policy::SlotId;

use super::Writing;
use crate::keep::Keep;
use crate::life::NEVER;

impl<K, V, M: Keep<V>> Writing<'_, K, V, M> {
    /// Panics unless index, slots, columns and policy agree.
    pub(crate) fn check(&mut self) {
        let hash_of = |slot| self.books.hash(slot);
        self.shard.index.check(&self.books.index, hash_of);
        let (mut entries, mut weight) = (0, 0);
        for (_, found) in self.iter_from(0) {
            entries += 1;
            weight += u64::from(self.books.weight_of(found.slot));
            let end = self.full_life_of(found.slot).map_or(NEVER, |life| life.gone());
            assert!(self.books.expiry.soonest <= end, "an entry would not be swept");
        }
        assert_eq!(entries, self.books.len(), "the index and the slots hold other entries");
        assert_eq!(weight, self.books.weight(), "the weights are summed wrongly");
        self.check_slots();
        let kept = self.books.policy().len();
        assert_eq!(kept, entries, "the policy counts other entries");
    }

    /// Panics unless every slot is in exactly one place of its round.
    fn check_slots(&self) {
        let ids = &self.books.columns.ids;
        let mut places = vec![0_u8; self.books.used() as usize];
        for slot in &self.books.free {
            let place = self.shard.slots.get(*slot).expect("a free slot was in use once");
            assert!(!place.is_live() && !place.is_retired(), "a used slot is on the free list");
            places[*slot as usize] += 1;
        }
        for slot in self.books.retired.iter() {
            let place = self.shard.slots.get(*slot).expect("a retired slot was in use");
            assert!(place.is_retired(), "a slot waits that is not retired");
            places[*slot as usize] += 1;
        }
        for slot in 0..self.books.used() {
            let is_retired = self.shard.slots.get(slot).is_some_and(super::Slot::is_retired);
            let is_left = self.books.is_cleared(slot) && !is_retired;
            places[slot as usize] += u8::from(is_left || self.get(slot).is_some());
            assert_eq!(ids.slot(ids.id(slot)), slot, "a number is lost");
        }
        assert!(places.iter().all(|count| *count == 1), "a slot is lost or in two places");
        let known = ids.slot(SlotId::new(self.books.used()));
        assert!(known >= self.books.used(), "a number leads to a slot that is not there");
    }
}
