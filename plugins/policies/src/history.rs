//! [`History`], evicted keys in the order of their eviction, for policies that need more than
//! [`Ghosts`](crate::ghosts::Ghosts) tells: exactly which ones there are, and how many.
//!
//! Every operation takes constant time. A remembered key takes about 50 bytes with its place in
//! the hash table; the owner must bound how many there are with [`History::keep_last`].

use std::collections::HashMap;

use larder_core::policy::SlotId;

use crate::lists::Lists;

/// Remembered keys in some lists.
#[derive(Debug)]
pub(crate) struct History {
    /// The keys in the order in which they were added. The slots are places of `keys`.
    order: Lists,
    keys: Vec<u64>,
    free: Vec<SlotId>,
    places: HashMap<u64, SlotId>,
}

impl History {
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
    pub(crate) fn add(&mut self, list: u8, hash: u64) {
        self.take(hash);
        let Some(place) = self.free.pop().or_else(|| self.new_place(hash)) else {
            return;
        };
        self.keys[place.index()] = hash;
        self.places.insert(hash, place);
        self.order.push_front(list, place);
    }

    /// `None` when all numbers of slots are in use, which takes some hundred GiB of keys.
    fn new_place(&mut self, hash: u64) -> Option<SlotId> {
        // The greatest number stands for no slot.
        let number = u32::try_from(self.keys.len()).ok().filter(|number| *number < u32::MAX)?;
        self.keys.push(hash);
        Some(SlotId::new(number))
    }

    /// Forgets a key; in which list it was.
    pub(crate) fn take(&mut self, hash: u64) -> Option<u8> {
        let place = self.places.remove(&hash)?;
        let list = self.order.list_of(place)?;
        self.order.remove(place);
        self.free.push(place);
        Some(list)
    }

    /// Forgets the oldest key of a list; whether there was one.
    fn forget_oldest(&mut self, list: u8) -> bool {
        let Some(place) = self.order.back(list) else {
            return false;
        };
        self.take(self.keys[place.index()]).is_some()
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
            history.add(0, hash);
        }
        history.add(1, 2);
        history.add(0, 0);
        assert_eq!((history.len_of(0), history.len_of(1)), (4, 1));
        assert_eq!(history.take(2), Some(1));
        assert_eq!(history.take(2), None);
        history.keep_last(0, 2);
        assert_eq!((history.take(1), history.take(3)), (None, None));
        assert_eq!((history.take(4), history.take(0)), (Some(0), Some(0)));
        assert!(!history.forget_oldest(0));
        for hash in 0..1000 {
            history.add(0, hash);
            history.keep_last(0, 3);
        }
        assert!(history.keys.len() <= 6, "{} places for 3 keys", history.keys.len());
    }
}
