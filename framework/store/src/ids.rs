//! [`Ids`], the numbers by which a policy knows the entries of a shard.
//!
//! A published slot is never written again, so a new value of a key comes into another slot. To
//! its policy it is the same entry as before, and keeps its number: the two slots exchange theirs.
//! A store in which no key ever gets a second value keeps no book: every slot has its own number.

use larder_core::policy::SlotId;

/// A permutation of the slots, kept from the first exchange on.
pub(crate) struct Ids {
    id_of: Vec<u32>,
    slot_of: Vec<u32>,
}

impl Ids {
    pub(crate) const fn new() -> Self {
        Self { id_of: Vec::new(), slot_of: Vec::new() }
    }

    /// The number of a slot.
    #[inline]
    pub(crate) fn id(&self, slot: u32) -> SlotId {
        SlotId::new(self.id_of.get(slot as usize).copied().unwrap_or(slot))
    }

    /// The slot with a number.
    #[inline]
    pub(crate) fn slot(&self, id: SlotId) -> u32 {
        self.slot_of.get(id.index()).copied().unwrap_or(id.get())
    }

    /// Lets two slots exchange their numbers.
    pub(crate) fn exchange(&mut self, one: u32, other: u32) {
        let known = u32::try_from(self.id_of.len()).expect("slots have 32-bit numbers");
        let needed = one.max(other) + 1;
        if known < needed {
            self.id_of.extend(known..needed);
            self.slot_of.extend(known..needed);
        }
        self.id_of.swap(one as usize, other as usize);
        for slot in [one, other] {
            self.slot_of[self.id_of[slot as usize] as usize] = slot;
        }
    }

    /// Gives every slot its own number again, when no policy knows any.
    pub(crate) fn forget(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_a_permutation_whatever_is_exchanged() {
        let mut ids = Ids::new();
        assert_eq!((ids.id(7), ids.slot(SlotId::new(7))), (SlotId::new(7), 7));
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..500 {
            let (one, other) = (random.u32(..40), random.u32(..40));
            let before = (ids.id(one), ids.id(other));
            ids.exchange(one, other);
            assert_eq!((ids.id(other), ids.id(one)), before);
            assert!((0..60).all(|slot| ids.slot(ids.id(slot)) == slot));
        }
        ids.forget();
        assert!((0..60).all(|slot| ids.id(slot).get() == slot));
    }
}
