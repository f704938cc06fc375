//! Asking the policy of a shard, and what it may ask back.

use larder_core::clock::Moment;
use larder_core::policy::{Capacity, Policy, SlotId, Slots};

use super::{Shard, Writing};
use crate::books::Books;
use crate::columns::Columns;
use crate::handover::hand_over;
use crate::keep::Keep;

impl<K, V, M: Keep<V>> Writing<'_, K, V, M> {
    /// The slot whose entry should make room; never `spared`, nor a pinned one. A policy that names
    /// none, or one that is not there, is not believed while there are others.
    #[inline]
    pub(crate) fn victim(&mut self, spared: Option<u32>) -> Option<u32> {
        let named = self.with_policy(spared, |policy, slots| policy.victim(slots));
        let may_go = |writing: &Self, slot: u32| {
            let place = writing.place(slot);
            Some(slot) != spared && place.is_some_and(|place| !place.is_pinned())
        };
        let named = named.map(|id| self.books.columns.ids.slot(id));
        named
            .filter(|slot| may_go(self, *slot))
            .or_else(|| self.any_that(|slot| may_go(self, slot)))
    }

    #[cold]
    fn any_that(&self, may_go: impl Fn(u32) -> bool) -> Option<u32> {
        (0..self.books.used()).find(|slot| may_go(*slot))
    }

    /// Whether the policy wants a new key in the place of the entry of `victim`.
    #[inline]
    pub(crate) fn admits(&mut self, hash: u64, weight: u32, victim: u32) -> bool {
        let victim = self.books.columns.ids.id(victim);
        let hash = spread(hash as u32);
        self.with_policy(None, |policy, slots| policy.admit(hash, weight, victim, slots))
    }

    #[inline]
    pub(super) fn tell_insert(&mut self, slot: u32) {
        let id = self.books.columns.ids.id(slot);
        self.with_policy(None, |policy, slots| policy.on_insert(id, slots));
    }

    #[inline]
    pub(super) fn tell_remove(&mut self, slot: u32, evicted: bool) {
        let id = self.books.columns.ids.id(slot);
        self.with_policy(None, |policy, slots| policy.on_remove(id, evicted, slots));
    }

    /// Tells the policy of a use of the entry of a slot.
    pub(crate) fn tell_use(&mut self, slot: u32) {
        let id = self.books.columns.ids.id(slot);
        self.with_policy(None, |policy, slots| policy.on_hits(&[id], slots));
    }

    /// Tells the policy how much the shard may hold from now on.
    pub(crate) fn resize(&mut self, capacity: Capacity) {
        self.books.policy().resize(capacity);
    }

    /// Goes on with another policy, to which the present one hands its entries over. The present
    /// one comes back to be dropped without the lock.
    pub(crate) fn change_policy(
        &mut self,
        choice: usize,
        mut policy: Box<dyn Policy>,
    ) -> Box<dyn Policy> {
        let slots = 0..self.books.used();
        let all: Vec<SlotId> = slots
            .filter(|slot| self.place(*slot).is_some())
            .map(|slot| self.books.columns.ids.id(slot))
            .collect();
        self.with_policy(None, |old, slots| hand_over(old, &mut *policy, &all, slots));
        self.shard.mode.set(policy.hit_mode());
        self.books.choice = choice;
        self.books.set_policy(policy)
    }

    #[inline]
    fn with_policy<R>(
        &mut self,
        spared: Option<u32>,
        ask: impl FnOnce(&mut dyn Policy, &mut dyn Slots) -> R,
    ) -> R {
        let (policy, columns) = self.books.policy_and_columns();
        ask(policy, &mut View { shard: self.shard, columns, spared })
    }
}

impl<K, V, M: Keep<V>> Shard<K, V, M> {
    /// Tells the policy what readers wrote down.
    pub(super) fn tell_records(&self, books: &mut Books) {
        self.records.drain(|hits| {
            let (policy, columns) = books.policy_and_columns();
            for hit in &mut *hits {
                *hit = columns.ids.id(hit.get());
            }
            policy.on_hits(hits, &mut View { shard: self, columns, spared: None });
        });
    }
}

/// The hash of a key as its policy knows it, from the half of it that is kept.
const fn spread(hash: u32) -> u64 {
    (hash as u64 ^ 0x5851_f42d).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// What a policy sees.
struct View<'a, K, V, M: Keep<V>> {
    shard: &'a Shard<K, V, M>,
    columns: &'a mut Columns,
    spared: Option<u32>,
}

impl<K, V, M: Keep<V>> View<'_, K, V, M> {
    fn slot(&self, id: SlotId) -> u32 {
        self.columns.ids.slot(id)
    }
}

impl<K, V, M: Keep<V>> Slots for View<'_, K, V, M> {
    fn hits(&self, slot: SlotId) -> u8 {
        self.shard.slots.get(self.slot(slot)).map_or(0, super::Slot::hits)
    }

    fn set_hits(&mut self, slot: SlotId, hits: u8) {
        if let Some(place) = self.shard.slots.get(self.slot(slot)) {
            place.set_hits(hits);
        }
    }

    fn hash(&self, slot: SlotId) -> u64 {
        spread(self.columns.hash(self.slot(slot)))
    }

    fn weight(&self, slot: SlotId) -> u32 {
        let slot = self.slot(slot);
        if slot < self.columns.used() { self.columns.weight(slot) } else { 0 }
    }

    fn deadline(&self, slot: SlotId) -> Option<Moment> {
        let slot = self.slot(slot);
        let is_mortal = self.shard.slots.get(slot).is_some_and(super::Slot::is_mortal);
        if is_mortal { self.shard.lives.get(slot)?.deadline() } else { None }
    }

    fn is_pinned(&self, slot: SlotId) -> bool {
        let slot = self.slot(slot);
        let is_pinned = self.shard.slots.get(slot).is_some_and(super::Slot::is_pinned);
        is_pinned || self.spared == Some(slot)
    }

    fn random(&mut self, bound: u32) -> u32 {
        self.columns.random.u32(..bound.max(1))
    }
}
