//! [`History`], evicted keys in the order of their eviction, for policies that need more than
//! [`Ghosts`](crate::ghosts::Ghosts) tells: how many there are, and a note about each.
//!
//! Every operation takes constant time. A remembered key takes about 50 bytes with its place in
//! the hash table; the owner must bound how many there are with [`History::forget_oldest`].

use std::collections::HashMap;

use larder_core::policy::SlotId;

use crate::lists::Lists;

/// Remembered keys in some lists, each with a note.
#[derive(Debug)]
pub(crate) struct History<T> {
    /// The keys in the order in which they were added. The slots are places of `keys`.
    order: Lists,
    keys: Vec<(u64, T)>,
    free: Vec<SlotId>,
    places: HashMap<u64, SlotId>,
}

impl<T: Copy> History<T> {
    /// So many empty lists.
    pub(crate) fn new(lists: u8) -> Self {
        let (keys, free, places) = Default::default();
        Self { order: Lists::new(lists), keys, free, places }
    }

    /// How many keys a list remembers.
    pub(crate) fn len_of(&self, list: u8) -> usize {
        self.order.len_of(list)
    }

    /// Remembers a key as the newest of a list, wherever it was before.
    pub(crate) fn add(&mut self, list: u8, hash: u64, note: T) {
        self.take(hash);
        let Some(place) = self.free.pop().or_else(|| self.new_place(hash, note)) else {
            return;
        };
        self.keys[place.index()] = (hash, note);
        self.places.insert(hash, place);
        self.order.push_front(list, place);
    }

    /// `None` when all numbers of slots are in use, which takes some hundred GiB of keys.
    fn new_place(&mut self, hash: u64, note: T) -> Option<SlotId> {
        // The greatest number stands for no slot.
        let number = u32::try_from(self.keys.len()).ok().filter(|number| *number < u32::MAX)?;
        self.keys.push((hash, note));
        Some(SlotId::new(number))
    }

    /// Forgets a key; in which list it was, and the note about it.
    pub(crate) fn take(&mut self, hash: u64) -> Option<(u8, T)> {
        let place = self.places.remove(&hash)?;
        let list = self.order.list_of(place)?;
        self.order.remove(place);
        self.free.push(place);
        Some((list, self.keys[place.index()].1))
    }

    /// The note about the oldest key of a list.
    pub(crate) fn oldest(&self, list: u8) -> Option<T> {
        self.order.back(list).map(|place| self.keys[place.index()].1)
    }

    /// Forgets the oldest key of a list; whether there was one.
    pub(crate) fn forget_oldest(&mut self, list: u8) -> bool {
        let Some(place) = self.order.back(list) else {
            return false;
        };
        self.take(self.keys[place.index()].0).is_some()
    }

    /// Forgets the oldest keys of a list until it has no more than `count`.
    pub(crate) fn keep_last(&mut self, list: u8, count: usize) {
        while self.len_of(list) > count && self.forget_oldest(list) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_forgotten_oldest_first_and_leave_their_places_to_others() {
        let mut history = History::new(2);
        for hash in 0..5 {
            history.add(0, hash, hash * 10);
        }
        history.add(1, 2, 7);
        history.add(0, 0, 1);
        assert_eq!((history.len_of(0), history.len_of(1)), (4, 1));
        assert_eq!(history.take(2), Some((1, 7)));
        assert_eq!(history.take(2), None);
        assert_eq!(history.oldest(0), Some(10));
        history.keep_last(0, 2);
        assert_eq!(history.take(3), None);
        assert_eq!((history.take(4), history.take(0)), (Some((0, 40)), Some((0, 1))));
        assert!(!history.forget_oldest(0));
        for hash in 0..1000 {
            history.add(0, hash, 0);
            history.keep_last(0, 3);
        }
        assert!(history.keys.len() <= 6, "{} places for 3 keys", history.keys.len());
    }
}
