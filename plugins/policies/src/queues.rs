//! [`Queues`], first-in first-out queues of slots, in six bytes for each entry.
//!
//! A queue is a ring of slot numbers, so that coming, going and moving to the end touch its ends
//! and one byte of the slot, not the neighbours that a linked list would have to. An entry that
//! leaves from the middle stays in the ring as a dead item, which is dropped when it comes to the
//! front, or when half of the ring is dead.

use std::collections::VecDeque;

use larder_core::policy::SlotId;

/// How many kinds of entries there may be.
const KINDS: usize = 4;
/// The bits of a state that are the kind; the others count.
const KIND: u8 = 3;
/// What a push adds to a state.
const PUSH: u8 = KIND + 1;
/// Rings of up to so many items are exact: no dead item is ever taken for a live one.
const EXACT: usize = 256;

/// A slot in a ring, unaligned to take no more than it needs.
#[derive(Clone, Copy, Debug)]
struct Item<N> {
    slot: [u8; 4],
    /// The state that the slot had when it was pushed. It has another one since if this item is
    /// dead, unless it is in a ring of more than [`EXACT`] items and the slot was pushed 64 times
    /// meanwhile; the slot is taken for older than it is then.
    state: u8,
    note: N,
}

impl<N> Item<N> {
    const fn slot(&self) -> SlotId {
        SlotId::new(u32::from_ne_bytes(self.slot))
    }
}

/// Two queues of entries of three kinds, numbered from 1: the first queue has those of kind 1, the
/// second those of kinds 2 and 3. Each entry has a note, which may be nothing.
#[derive(Debug)]
pub(crate) struct Queues<N> {
    rings: [VecDeque<Item<N>>; 2],
    /// For each slot its kind, 0 if it is in no queue, and a count of its pushes.
    states: Vec<u8>,
    /// How many entries of each kind there are.
    counts: [usize; KINDS],
}

impl<N: Copy> Queues<N> {
    /// Two empty queues.
    pub(crate) fn new() -> Self {
        Self { rings: Default::default(), states: Vec::new(), counts: [0; KINDS] }
    }

    /// How many entries of a kind there are.
    pub(crate) fn len_of(&self, kind: u8) -> usize {
        self.counts[usize::from(kind)]
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.counts.iter().sum()
    }

    /// The kind of the entry of a slot.
    pub(crate) fn kind_of(&self, slot: SlotId) -> Option<u8> {
        let kind = self.states.get(slot.index())? & KIND;
        (kind != 0).then_some(kind)
    }

    /// All entries in no order.
    pub(crate) fn slots(&self) -> impl Iterator<Item = SlotId> {
        let numbered = (0..).map(SlotId::new).zip(&self.states);
        numbered.filter(|(_, state)| **state & KIND != 0).map(|(slot, _)| slot)
    }

    /// Puts an entry at the end of the queue for its kind, wherever it was before.
    #[inline]
    pub(crate) fn push(&mut self, kind: u8, slot: SlotId, note: N) {
        if self.states.len() <= slot.index() {
            self.reach(slot);
        }
        if self.states[slot.index()] | KIND == u8::MAX {
            self.drop_dead();
        }
        let state = &mut self.states[slot.index()];
        let before = usize::from(*state & KIND);
        if before != 0 {
            self.counts[before] -= 1;
        }
        *state = (*state & !KIND).wrapping_add(PUSH) | kind;
        self.counts[usize::from(kind)] += 1;
        let item = Item { slot: slot.get().to_ne_bytes(), state: *state, note };
        let ring = &mut self.rings[ring_of(kind)];
        ring.push_back(item);
        if ring.len() == ring.capacity() || ring.capacity() > 4 * ring.len() + 64 {
            self.fit(ring_of(kind));
        }
    }

    /// The count of a slot is about to begin anew: what is dead must not come to life with it. In
    /// large rings that would cost more than it is worth.
    #[cold]
    fn drop_dead(&mut self) {
        let states = &self.states;
        for ring in self.rings.iter_mut().filter(|ring| ring.len() <= EXACT) {
            ring.retain(|item| states.get(item.slot().index()) == Some(&item.state));
        }
    }

    /// Makes room for the state of a slot, and of as many others as fit into the same memory.
    #[cold]
    fn reach(&mut self, slot: SlotId) {
        self.states.reserve(slot.index() + 1 - self.states.len());
        self.states.resize(self.states.capacity(), 0);
    }

    /// The entry at the front of the queue for a kind, and its note.
    #[inline]
    pub(crate) fn oldest(&mut self, kind: u8) -> Option<(SlotId, N)> {
        let ring = &mut self.rings[ring_of(kind)];
        while let Some(item) = ring.front() {
            if self.states.get(item.slot().index()) == Some(&item.state) {
                return Some((item.slot(), item.note));
            }
            ring.pop_front();
        }
        None
    }

    /// Takes an entry out. The last one to go takes the memory along.
    pub(crate) fn remove(&mut self, slot: SlotId) {
        if self.leave(slot) && self.len() == 0 {
            *self = Self::new();
        }
    }

    /// Whether the entry was in a queue.
    fn leave(&mut self, slot: SlotId) -> bool {
        let Some(kind) = self.kind_of(slot) else {
            return false;
        };
        self.states[slot.index()] &= !KIND;
        self.counts[usize::from(kind)] -= 1;
        true
    }

    /// Drops the dead items of a ring, if they are many, or gives it as much room as it needs.
    #[cold]
    fn fit(&mut self, number: usize) {
        let live = match number {
            0 => self.counts[1],
            _ => self.counts[2] + self.counts[3],
        };
        let ring = &mut self.rings[number];
        if ring.len() > 2 * live + 16 {
            let states = &self.states;
            ring.retain(|item| states.get(item.slot().index()) == Some(&item.state));
        } else if ring.len() == ring.capacity() {
            ring.reserve_exact(ring.len() / 8 + 16);
        } else {
            ring.shrink_to(2 * ring.len() + 16);
        }
    }
}

/// The number of the queue for a kind.
const fn ring_of(kind: u8) -> usize {
    (kind > 1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(queues: &mut Queues<()>, kind: u8) -> Vec<u32> {
        let next = |()| {
            let (slot, ()) = queues.oldest(kind)?;
            queues.remove(slot);
            Some(slot.get())
        };
        std::iter::repeat_n((), 1000).map_while(next).collect()
    }

    #[test]
    fn entries_keep_their_order_while_others_come_move_and_go() {
        let mut queues = Queues::new();
        for number in 0..6 {
            queues.push(1, SlotId::new(number), ());
        }
        queues.push(1, SlotId::new(0), ());
        queues.push(2, SlotId::new(2), ());
        queues.push(3, SlotId::new(5), ());
        queues.remove(SlotId::new(4));
        queues.remove(SlotId::new(4));
        queues.remove(SlotId::new(7));
        assert_eq!(queues.kind_of(SlotId::new(5)), Some(3));
        assert_eq!(queues.kind_of(SlotId::new(4)), None);
        assert_eq!([1, 2, 3].map(|kind| queues.len_of(kind)), [3, 1, 1]);
        assert_eq!(queues.len(), 5);
        assert_eq!(drain(&mut queues, 1), [1, 3, 0]);
        assert_eq!(drain(&mut queues, 2), [2, 5]);
    }

    #[test]
    fn a_slot_that_is_reused_is_found_at_the_end_with_its_last_note() {
        let mut queues = Queues::new();
        for number in 0..3 {
            queues.push(2, SlotId::new(number), 'a');
        }
        queues.remove(SlotId::new(0));
        queues.push(2, SlotId::new(0), 'b');
        assert_eq!(queues.oldest(2), Some((SlotId::new(1), 'a')));
        queues.remove(SlotId::new(1));
        queues.remove(SlotId::new(2));
        assert_eq!(queues.oldest(2), Some((SlotId::new(0), 'b')));
    }

    #[test]
    fn what_is_dead_stays_dead_however_often_its_slot_is_reused() {
        for moves in 60..70 {
            let mut queues = Queues::new();
            for number in 0..3 {
                queues.push(1, SlotId::new(number), ());
            }
            for _ in 0..moves {
                queues.push(2, SlotId::new(1), ());
            }
            queues.push(1, SlotId::new(1), ());
            assert_eq!(drain(&mut queues, 1), [0, 2, 1], "after {moves} moves");
        }
    }

    #[test]
    fn dead_items_and_unused_memory_go() {
        let mut queues = Queues::new();
        for number in 0..10_000 {
            queues.push(1, SlotId::new(number), ());
        }
        for number in 0..9_900 {
            queues.push(2, SlotId::new(number), ());
        }
        for _ in 0..10_000 {
            queues.remove(SlotId::new(9_999));
            queues.push(1, SlotId::new(9_999), ());
        }
        assert!(queues.rings[0].len() < 1000, "{} items for 100", queues.rings[0].len());
        assert!(queues.rings[0].capacity() < 1000, "{} places", queues.rings[0].capacity());
        assert_eq!(drain(&mut queues, 1).len(), 100);
        assert_eq!(drain(&mut queues, 2).len(), 1000);
        for number in 0..10_000 {
            queues.remove(SlotId::new(number));
        }
        assert_eq!((queues.states.capacity(), queues.rings[1].capacity()), (0, 0));
    }

    #[test]
    fn an_item_takes_five_bytes_and_its_note() {
        assert_eq!((size_of::<Item<()>>(), size_of::<Item<[u8; 4]>>()), (5, 9));
    }
}
