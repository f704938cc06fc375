//! [`Slot`], the place of one entry.

#![expect(unsafe_code, reason = "readers look at entries that writers put in and take out")]

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::chunks::Zeroed;
use crate::keep::Keep;

/// Bits of the flags that say what the slot holds.
const STATE: u8 = 0b11;
/// An entry that a look-up may find.
const LIVE: u8 = 0b01;
/// An entry that nobody finds any more, but some may still be looking at.
const RETIRED: u8 = 0b10;
/// The entry has a life, so that a hit must look at the clock.
const MORTAL: u8 = 0b100;
/// The entry must not be evicted.
const PINNED: u8 = 0b1000;
/// The spare bit of the value.
const SPARE: u8 = 0b1_0000;
/// The entry has a life and ages.
const AGED: u8 = 0b10_0000;

/// The place of an entry. What a hit needs lies together here; the rest is in columns of the books.
///
/// Key and value are written once, before the slot is published, and taken out when nobody can
/// see it any more. In between they are only shared.
pub(crate) struct Slot<K, V, M: Keep<V>> {
    /// How often it was hit, as far as the policy wants to know. Written with plain stores: two
    /// hits at the same moment may count as one.
    hits: AtomicU8,
    /// A byte of its own, as a store into `hits` must not undo a change here. Changed only under
    /// the lock.
    flags: AtomicU8,
    entry: UnsafeCell<MaybeUninit<(K, M::Kept)>>,
}

// SAFETY: a slot hands out shared references to key and value, and lets another thread take them.
unsafe impl<K: Send + Sync, V: Send + Sync, M: Keep<V>> Sync for Slot<K, V, M> {}

// SAFETY: what is kept of a value is that value, whatever its type.
unsafe impl<K: Send, V: Send, M: Keep<V>> Send for Slot<K, V, M> {}

// SAFETY: zeros are two counters at 0 and an entry that is not there; nothing of it needs a drop.
unsafe impl<K, V, M: Keep<V>> Zeroed for Slot<K, V, M> {}

impl<K, V, M: Keep<V>> Slot<K, V, M> {
    /// Counts a hit. A counter that has reached `max` is not written any more, so that its cache
    /// line can stay with all readers.
    #[inline(always)]
    pub(crate) fn hit(&self, max: u8) {
        let hits = self.hits.load(Ordering::Relaxed);
        if hits < max {
            self.hits.store(hits + 1, Ordering::Relaxed);
        }
    }

    pub(crate) fn hits(&self) -> u8 {
        self.hits.load(Ordering::Relaxed)
    }

    pub(crate) fn set_hits(&self, hits: u8) {
        self.hits.store(hits, Ordering::Relaxed);
    }

    /// Whether it holds an entry that a look-up may find.
    pub(crate) fn is_live(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & STATE == LIVE
    }

    /// Whether it holds an entry that nobody finds any more.
    pub(crate) fn is_retired(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & STATE == RETIRED
    }

    /// Whether the entry has a life. Acquire: the life was written before.
    #[inline(always)]
    pub(crate) fn is_mortal(&self) -> bool {
        self.flags.load(Ordering::Acquire) & MORTAL != 0
    }

    pub(crate) fn is_pinned(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & PINNED != 0
    }

    pub(crate) fn set_mortal(&self, mortal: bool) {
        self.set_flag(MORTAL, mortal);
    }

    /// Whether the entry ages. Acquire: its age was written before.
    pub(crate) fn is_aged(&self) -> bool {
        self.flags.load(Ordering::Acquire) & AGED != 0
    }

    pub(crate) fn set_aged(&self, aged: bool) {
        self.set_flag(AGED, aged);
    }

    pub(crate) fn set_pinned(&self, pinned: bool) {
        self.set_flag(PINNED, pinned);
    }

    fn set_flag(&self, flag: u8, on: bool) {
        let others = self.flags.load(Ordering::Relaxed) & !flag;
        self.flags.store(if on { others | flag } else { others }, Ordering::Release);
    }

    /// The entry is out of reach from now on.
    pub(crate) fn retire(&self) {
        let others = self.flags.load(Ordering::Relaxed) & !STATE;
        self.flags.store(others | RETIRED, Ordering::Relaxed);
    }

    /// Leaves the entry to be overwritten, as nobody can reach it and it needs no drop.
    pub(crate) fn forget(&self) {
        self.flags.store(0, Ordering::Relaxed);
    }

    /// Puts an entry in, not yet published.
    ///
    /// # Safety
    ///
    /// The slot is free, and nobody else can reach it.
    pub(crate) unsafe fn fill(&self, key: K, value: V, hits: u8) {
        // SAFETY: as the caller promises, nobody looks at the entry or writes it.
        let entry = unsafe { &mut *self.entry.get() };
        let (kept, bit) = M::keep(value);
        entry.write((key, kept));
        self.hits.store(hits, Ordering::Relaxed);
        self.flags.store(if bit { LIVE | SPARE } else { LIVE }, Ordering::Relaxed);
    }

    /// Key and value.
    ///
    /// # Safety
    ///
    /// The slot was filled, and as long as the references are used it is not
    /// [taken](Self::take): the caller found it in a read that goes on, or under the lock of the
    /// shard, or is the only one that may retire it.
    #[inline(always)]
    pub(crate) unsafe fn entry(&self) -> (&K, M::Seen<'_>) {
        // SAFETY: as the caller promises, nobody writes the entry.
        let entry = unsafe { &*self.entry.get() };
        // SAFETY: as the caller promises, it was filled.
        let (key, kept) = unsafe { entry.assume_init_ref() };
        // SAFETY: the bit was noted when the slot was filled.
        (key, unsafe { M::see(kept, self.spare_bit()) })
    }

    #[inline(always)]
    fn spare_bit(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & SPARE != 0
    }

    /// Whether the entry has to be dropped before the slot is used again.
    pub(crate) fn needs_drop(&self) -> bool {
        std::mem::needs_drop::<K>() || M::NEEDS_DROP || self.spare_bit()
    }

    /// Takes the entry out, so that the slot is free.
    ///
    /// # Safety
    ///
    /// The slot holds an entry, and nobody else can reach it.
    pub(crate) unsafe fn take(&self) -> (K, V) {
        let bit = self.spare_bit();
        self.flags.store(0, Ordering::Relaxed);
        // SAFETY: as the caller promises, nobody looks at the entry.
        let entry = unsafe { &mut *self.entry.get() };
        // SAFETY: as the caller promises, there is one; the flags say that there is none now.
        let (key, kept) = unsafe { entry.assume_init_read() };
        // SAFETY: the bit was noted when the slot was filled.
        (key, unsafe { M::take(kept, bit) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keep::{Held, Split, Whole};

    fn slot<K, V: 'static>() -> Slot<K, V, Whole> {
        Slot {
            hits: AtomicU8::new(0),
            flags: AtomicU8::new(0),
            entry: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    #[test]
    fn a_small_entry_takes_a_word_more_than_key_and_value() {
        assert_eq!(size_of::<Slot<u64, u64, Whole>>(), 24);
        assert_eq!(size_of::<Slot<u64, Held<u64, String>, Split>>(), 24, "nor does a second kind");
    }

    #[test]
    fn a_hit_counter_stops_at_its_maximum() {
        let slot = slot::<u8, u8>();
        for _ in 0..5 {
            slot.hit(3);
        }
        assert_eq!(slot.hits(), 3);
    }

    #[test]
    fn a_slot_gives_back_what_was_put_in() {
        let slot = slot::<String, u32>();
        assert!(!slot.is_live());
        // SAFETY: the slot is free and nobody else has it.
        unsafe { slot.fill("key".to_string(), 7, 2) };
        slot.set_mortal(true);
        slot.set_pinned(true);
        assert!(slot.is_live() && slot.is_mortal() && slot.is_pinned());
        // SAFETY: it was filled and nobody takes it.
        assert_eq!(unsafe { slot.entry() }, (&"key".to_string(), &7));
        slot.retire();
        assert!(slot.is_retired() && !slot.is_live() && slot.is_mortal());
        // SAFETY: it holds an entry and nobody else has it.
        assert_eq!(unsafe { slot.take() }, ("key".to_string(), 7));
        assert!(!slot.is_retired() && !slot.is_mortal());
    }
}
