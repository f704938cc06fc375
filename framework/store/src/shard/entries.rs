//! Putting entries in and taking them out, under the lock.
//!
//! A slot goes round: free, filled and published, out of reach (*retired*), and free again once
//! nobody can be looking at it. A new value of a key comes into a new slot.

#![expect(unsafe_code, reason = "slots are filled and emptied here")]

use super::Writing;
use crate::keep::Keep;
use crate::life::{Life, NewLife};
use crate::slot::Slot;

/// The most retired slots of entries that need a drop, as a share of all: so many entries more
/// than its capacity a shard may keep alive for a while.
const DROP_SHARE: u32 = 16;
/// Beyond this many the cost of the barrier no longer matters.
const MOST_RETIRED: u32 = 512;
/// As many slots without a need to drop are reused together at least.
const LEAST_PLAIN: u32 = 64;

impl<K, V, M: Keep<V>> Writing<'_, K, V, M> {
    /// Adds a key that is not there; its slot.
    #[inline(always)]
    pub(crate) fn insert(
        &mut self,
        hash: u64,
        entry: (K, V),
        weight: u32,
        life: Option<NewLife>,
    ) -> u32 {
        let slot = self.fill(hash, entry, weight, life, 0);
        let hash = hash as u32;
        let (index, hashes) = self.books.index_and_hashes();
        self.shard.index.insert(index, hash, slot, |slot| hashes[slot as usize]);
        self.shard.recent.forget(hash);
        self.tell_insert(slot);
        slot
    }

    /// Gives the entry of a slot another key of the same hash, and another value. To the policy it
    /// stays the same entry. The slot that held it is out of reach then, and the caller
    /// [retires](Self::retire) it.
    pub(crate) fn replace(
        &mut self,
        before: u32,
        hash: u64,
        entry: (K, V),
        weight: u32,
        life: Option<NewLife>,
    ) -> u32 {
        let old = self.place(before);
        let slot = self.fill(hash, entry, weight, life, old.map_or(0, Slot::hits));
        if old.is_some_and(Slot::is_pinned) {
            self.set_pinned(slot, true);
        }
        self.books.columns.ids.exchange(before, slot);
        self.shard.index.replace(&self.books.index, hash as u32, before, slot);
        self.books.leave(before);
        if let Some(old) = old {
            old.retire();
        }
        slot
    }

    /// Fills a free slot, which nobody can find yet.
    #[inline(always)]
    fn fill(
        &mut self,
        hash: u64,
        (key, value): (K, V),
        weight: u32,
        life: Option<NewLife>,
        hits: u8,
    ) -> u32 {
        let slot = self.free_slot();
        let place = self.shard.slots.ensure(slot);
        // SAFETY: the slot was free, so nobody looks at it, and it is in no index.
        unsafe { place.fill(key, value, hits) };
        self.books.enter(slot, hash as u32, weight);
        if life.is_some() {
            self.set_life(slot, life);
        }
        slot
    }

    /// Sets how long the entry of a slot lives.
    pub(crate) fn set_life(&mut self, slot: u32, life: Option<NewLife>) {
        let Some(place) = self.shard.slots.get(slot) else { return };
        if let Some(life) = life {
            self.shard.lives.ensure(slot).set(life);
            self.books.expiry.note(life.gone());
        }
        if place.is_mortal() != life.is_some() {
            place.set_mortal(life.is_some());
        }
        let age = life.and_then(|life| life.age());
        if let Some(age) = age {
            self.shard.ages.ensure(slot).set(age);
        }
        if place.is_aged() != age.is_some() {
            place.set_aged(age.is_some());
        }
    }

    /// Whether the entry of a slot may be evicted.
    pub(crate) fn set_pinned(&mut self, slot: u32, pinned: bool) {
        if let Some(place) = self.place(slot)
            && place.is_pinned() != pinned
        {
            place.set_pinned(pinned);
        }
    }

    /// The life of the entry of a slot, if it has one.
    pub(crate) fn life_of(&self, slot: u32) -> Option<&Life> {
        let place = self.shard.slots.get(slot)?;
        if place.is_mortal() { self.shard.lives.get(slot) } else { None }
    }

    /// The life of the entry of a slot with its age, to give it another one.
    pub(crate) fn full_life_of(&self, slot: u32) -> Option<NewLife> {
        let place = self.shard.slots.get(slot)?;
        let age = if place.is_aged() { self.shard.ages.get(slot) } else { None };
        Some(self.life_of(slot)?.get().with_age(age.map(crate::age::Ageing::get)))
    }

    /// Whether an entry is of no use to anybody any more. The clock is read only if it has a life.
    pub(crate) fn is_gone(
        &self,
        slot: u32,
        now: impl FnOnce() -> larder_core::clock::Moment,
    ) -> bool {
        self.full_life_of(slot).is_some_and(|life| life.gone() <= now().as_nanos())
    }

    /// Whether the life of an entry is over. The clock is read only if it has one.
    pub(crate) fn is_over(
        &self,
        slot: u32,
        now: impl FnOnce() -> larder_core::clock::Moment,
    ) -> bool {
        self.life_of(slot).is_some_and(|life| life.is_over(now()))
    }

    /// Takes the entry of a slot out of reach; the hash and the weight that it had, if there was
    /// one. The caller [retires](Self::retire) the slot. The policy is told first, while it can
    /// still ask about the entry.
    #[inline(always)]
    pub(crate) fn unlink(&mut self, slot: u32, evicted: bool) -> Option<(u32, u32)> {
        let place = self.place(slot)?;
        self.tell_remove(slot, evicted);
        let (hash, weight) = (self.books.hash(slot), self.books.weight_of(slot));
        self.shard.index.remove(&mut self.books.index, hash, slot);
        self.books.leave(slot);
        place.retire();
        Some((hash, weight))
    }

    /// Lets a slot be used again as soon as nobody can see its entry any more.
    #[inline]
    pub(crate) fn retire(&mut self, slot: u32) {
        self.books.retired.push(slot);
        if self.books.retired.open() >= self.books.reclaim_at {
            self.reclaim();
        }
    }

    /// How many slots are retired before it is worth the barrier to have them back.
    fn most_retired(&self) -> usize {
        let share = u32::try_from(self.books.len()).unwrap_or(u32::MAX) / DROP_SHARE;
        let plain = !std::mem::needs_drop::<K>() && !M::NEEDS_DROP;
        let least = if plain { LEAST_PLAIN } else { 1 };
        share.clamp(least, MOST_RETIRED) as usize
    }

    /// Frees the retired slots that nobody can see any more.
    pub(crate) fn reclaim(&mut self) {
        let mut retired = std::mem::replace(&mut self.books.retired, crate::grace::Grace::new());
        retired.reclaim(|slot| self.empty(slot));
        self.books.reclaim_at = retired.open() + self.most_retired();
        self.books.retired = retired;
    }

    /// Empties a slot that nobody can see any more.
    #[inline]
    pub(super) fn empty(&mut self, slot: u32) {
        let Some(place) = self.shard.slots.get(slot) else { return };
        if place.needs_drop() {
            // SAFETY: the slot holds an entry, it is in no index, and the grace period of those
            // who may have found it before is over.
            self.dead.push(unsafe { place.take() });
        } else {
            place.forget();
        }
        // One that a clear concerned is found free by those who empty what it left.
        if !self.books.is_cleared(slot) {
            self.books.free.push(slot);
        }
    }

    #[inline]
    fn free_slot(&mut self) -> u32 {
        match self.books.free.pop() {
            Some(slot) => slot,
            None if self.books.cleared.is_none() => self.books.columns.extend(),
            None => self.cleared_slot(),
        }
    }

    /// A slot that a clear left behind, if there is one to have.
    #[cold]
    fn cleared_slot(&mut self) -> u32 {
        self.empty_cleared(CLEARED_AT_ONCE);
        self.books.free.pop().unwrap_or_else(|| self.books.columns.extend())
    }

    /// Keeps an entry that never came in until the lock is free.
    pub(crate) fn bury(&mut self, entry: (K, V)) {
        self.dead.push(entry);
    }
}

/// How many slots of a clear one insert empties, if it needs one.
const CLEARED_AT_ONCE: u32 = 16;
