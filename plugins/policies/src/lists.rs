//! [`Lists`], doubly linked lists of slots that share one vector of links.
//!
//! A slot is in one list at most. Every operation but the search for an unpinned slot takes
//! constant time.

use larder_core::policy::{SlotId, Slots};

/// The number of no slot.
const NIL: u32 = u32::MAX;
/// The number of no list.
const NONE: u8 = u8::MAX;

#[derive(Clone, Copy, Debug)]
struct Node {
    /// Towards the front.
    newer: u32,
    /// Towards the back.
    older: u32,
}

impl Node {
    const FREE: Self = Self { newer: NIL, older: NIL };
}

#[derive(Clone, Copy, Debug)]
struct List {
    front: u32,
    back: u32,
    len: usize,
}

impl List {
    const EMPTY: Self = Self { front: NIL, back: NIL, len: 0 };
}

/// Some lists, numbered from 0.
#[derive(Debug)]
pub(crate) struct Lists {
    nodes: Vec<Node>,
    /// The list that each node is in, apart from its links to take no more than a byte.
    members: Vec<u8>,
    lists: Vec<List>,
}

impl Lists {
    /// So many empty lists, at most 255.
    pub(crate) fn new(count: u8) -> Self {
        let lists = vec![List::EMPTY; usize::from(count)];
        Self { nodes: Vec::new(), members: Vec::new(), lists }
    }

    /// How many slots are in a list.
    pub(crate) fn len_of(&self, list: u8) -> usize {
        self.lists[usize::from(list)].len
    }

    /// How many slots are in all lists.
    pub(crate) fn len(&self) -> usize {
        self.lists.iter().map(|list| list.len).sum()
    }

    /// Which list a slot is in.
    pub(crate) fn list_of(&self, slot: SlotId) -> Option<u8> {
        self.members.get(slot.index()).copied().filter(|list| *list != NONE)
    }

    /// The slot that was pushed first.
    pub(crate) fn back(&self, list: u8) -> Option<SlotId> {
        slot(self.lists[usize::from(list)].back)
    }

    /// The next slot towards the front.
    pub(crate) fn newer(&self, than: SlotId) -> Option<SlotId> {
        slot(self.nodes.get(than.index())?.newer)
    }

    /// The slot nearest to the back that is not pinned.
    pub(crate) fn oldest_unpinned(&self, list: u8, slots: &dyn Slots) -> Option<SlotId> {
        let mut next = self.back(list);
        while let Some(slot) = next.filter(|slot| slots.is_pinned(*slot)) {
            next = self.newer(slot);
        }
        next
    }

    /// Puts a slot in front of the list it is in; nothing happens to one that is in no list.
    pub(crate) fn move_to_front(&mut self, slot: SlotId) {
        let Some(list) = self.list_of(slot) else {
            return;
        };
        let node = self.nodes[slot.index()];
        if node.newer == NIL {
            return;
        }
        let ends = &mut self.lists[usize::from(list)];
        // It is not the front, so there is one, and a newer node.
        self.nodes[node.newer as usize].older = node.older;
        match self.nodes.get_mut(node.older as usize) {
            Some(older) => older.newer = node.newer,
            None => ends.back = node.newer,
        }
        self.nodes[ends.front as usize].newer = slot.get();
        let moved = &mut self.nodes[slot.index()];
        (moved.newer, moved.older) = (NIL, ends.front);
        ends.front = slot.get();
    }

    /// Puts a slot in front of a list, wherever it was before.
    pub(crate) fn push_front(&mut self, list: u8, slot: SlotId) {
        self.unlink(slot);
        if self.nodes.len() <= slot.index() {
            self.nodes.resize(slot.index() + 1, Node::FREE);
            self.members.resize(slot.index() + 1, NONE);
        }
        let ends = &mut self.lists[usize::from(list)];
        self.nodes[slot.index()] = Node { newer: NIL, older: ends.front };
        self.members[slot.index()] = list;
        match self.nodes.get_mut(ends.front as usize) {
            Some(front) => front.newer = slot.get(),
            None => ends.back = slot.get(),
        }
        ends.front = slot.get();
        ends.len += 1;
    }

    /// Takes a slot out of its list; whether it was in one. The last one to go takes the memory
    /// along.
    pub(crate) fn remove(&mut self, slot: SlotId) -> bool {
        let Some(list) = self.unlink(slot) else {
            return false;
        };
        if self.len_of(list) == 0 && self.nodes.len() > 64 && self.len() == 0 {
            (self.nodes, self.members) = (Vec::new(), Vec::new());
        }
        true
    }

    /// Takes a slot out of its list, and says which one that was.
    fn unlink(&mut self, slot: SlotId) -> Option<u8> {
        let list = self.list_of(slot)?;
        let node = std::mem::replace(&mut self.nodes[slot.index()], Node::FREE);
        self.members[slot.index()] = NONE;
        let ends = &mut self.lists[usize::from(list)];
        match self.nodes.get_mut(node.newer as usize) {
            Some(newer) => newer.older = node.older,
            None => ends.front = node.older,
        }
        match self.nodes.get_mut(node.older as usize) {
            Some(older) => older.newer = node.newer,
            None => ends.back = node.newer,
        }
        ends.len -= 1;
        Some(list)
    }

    /// All slots of a list, oldest first.
    pub(crate) fn slots(&self, list: u8) -> Vec<SlotId> {
        std::iter::successors(self.back(list), |slot| self.newer(*slot)).collect()
    }
}

fn slot(number: u32) -> Option<SlotId> {
    (number != NIL).then(|| SlotId::new(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(lists: &Lists, list: u8) -> Vec<u32> {
        lists.slots(list).iter().map(|slot| slot.get()).collect()
    }

    #[test]
    fn slots_keep_their_order_while_others_come_move_and_go() {
        let mut lists = Lists::new(2);
        for number in 0..5 {
            lists.push_front(0, SlotId::new(number));
        }
        assert_eq!(numbers(&lists, 0), [0, 1, 2, 3, 4]);
        lists.move_to_front(SlotId::new(0));
        lists.move_to_front(SlotId::new(0));
        lists.move_to_front(SlotId::new(7));
        lists.push_front(1, SlotId::new(2));
        assert!(lists.remove(SlotId::new(4)));
        assert!(!lists.remove(SlotId::new(4)));
        assert_eq!(numbers(&lists, 0), [1, 3, 0]);
        assert_eq!(numbers(&lists, 1), [2]);
        assert_eq!((lists.len_of(0), lists.len()), (3, 4));
    }

    #[test]
    fn a_slot_that_is_alone_moves_without_new_memory() {
        let mut lists = Lists::new(2);
        lists.push_front(0, SlotId::new(1000));
        let links = lists.nodes.as_ptr();
        lists.push_front(1, SlotId::new(1000));
        assert_eq!(lists.nodes.as_ptr(), links);
        assert_eq!(numbers(&lists, 1), [1000]);
    }

    #[test]
    fn the_last_slot_to_go_frees_the_links() {
        let mut lists = Lists::new(1);
        for number in 0..1000 {
            lists.push_front(0, SlotId::new(number));
        }
        for number in 0..1000 {
            assert!(lists.remove(SlotId::new(number)));
        }
        assert_eq!((lists.nodes.capacity(), lists.members.capacity()), (0, 0));
    }
}
