//! [`Residents`], the slots of a shard: found, and drawn from, in constant time.

use larder_core::policy::{SlotId, Slots};

/// A slot that is not there.
const NOWHERE: u32 = u32::MAX;

/// How often a slot is drawn before all are looked at in turn.
const DRAWS: usize = 16;

/// The slots of a shard.
#[derive(Debug, Default)]
pub(super) struct Residents {
    slots: Vec<SlotId>,
    /// Where each slot stands in `slots`.
    places: Vec<u32>,
}

impl Residents {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn has(&self, slot: SlotId) -> bool {
        self.places.get(slot.index()).is_some_and(|place| *place != NOWHERE)
    }

    pub(super) fn add(&mut self, slot: SlotId) {
        if self.has(slot) {
            return;
        }
        if self.places.len() <= slot.index() {
            self.places.resize(slot.index() + 1, NOWHERE);
        }
        self.places[slot.index()] = u32::try_from(self.slots.len()).unwrap_or(NOWHERE);
        self.slots.push(slot);
    }

    pub(super) fn remove(&mut self, slot: SlotId) {
        if !self.has(slot) {
            return;
        }
        let place = std::mem::replace(&mut self.places[slot.index()], NOWHERE);
        self.slots.swap_remove(place as usize);
        if let Some(moved) = self.slots.get(place as usize) {
            self.places[moved.index()] = place;
        }
    }

    /// Some entry that may go: a few are drawn, and then all looked at from one on.
    pub(super) fn any_unpinned(&self, slots: &mut dyn Slots) -> Option<SlotId> {
        let bound = u32::try_from(self.slots.len()).ok().filter(|bound| *bound > 0)?;
        let mut start = 0;
        for _ in 0..DRAWS {
            start = slots.random(bound) as usize % self.slots.len();
            if !slots.is_pinned(self.slots[start]) {
                return Some(self.slots[start]);
            }
        }
        let (before, after) = self.slots.split_at(start);
        after.iter().chain(before).copied().find(|slot| !slots.is_pinned(*slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_found_until_they_are_removed() {
        let mut residents = Residents::default();
        for number in [7, 3, 9, 3] {
            residents.add(SlotId::new(number));
        }
        assert_eq!(residents.len(), 3);
        residents.remove(SlotId::new(7));
        residents.remove(SlotId::new(7));
        residents.remove(SlotId::new(u32::MAX));
        let there = |number| residents.has(SlotId::new(number));
        assert_eq!([3, 7, 9, 1000, u32::MAX].map(there), [true, false, true, false, false]);
        residents.remove(SlotId::new(9));
        residents.remove(SlotId::new(3));
        assert_eq!(residents.len(), 0);
    }
}
