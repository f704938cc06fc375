//! Taking out everything at once, in constant time.
//!
//! A clear exchanges the index for an empty one, and the policy for a new one. The entries stay in
//! their slots, where nobody finds them, until inserts and sweeps need the slots or have the time.

#![expect(unsafe_code, reason = "the memory of an empty shard is freed here")]

use larder_core::policy::Policy;

use super::Writing;
use crate::books::{Cleared, Expiry};
use crate::keep::Keep;
use crate::threads;

impl<K, V, M: Keep<V>> Writing<'_, K, V, M> {
    /// Takes everything out of reach; how many entries there were, and what they weighed. The
    /// policy goes too, with all that it remembers, and comes back to be dropped without the lock.
    pub(crate) fn clear(&mut self, policy: Box<dyn Policy>) -> (u64, u64, Box<dyn Policy>) {
        let (entries, weight) = (self.books.len() as u64, self.books.weight());
        let books = &mut *self.books;
        self.shard.index.clear(&mut books.index);
        self.shard.mode.set(policy.hit_mode());
        let policy = books.set_policy(policy);
        books.leave_all();
        books.expiry = Expiry::NEW;
        if entries > 0 || books.cleared.is_some() {
            // All slots, as some of an earlier clear may be among them. Those that are free are
            // given back with the others.
            let stamp = threads::close_period();
            books.cleared = Some(Cleared { next: 0, end: books.used(), stamp });
            books.free.clear();
        }
        (entries, weight, policy)
    }

    /// The hashes of some entries, the first ones.
    pub(crate) fn some_hashes(&self, most: u32) -> impl Iterator<Item = u32> {
        let slots = 0..self.books.used().min(most);
        slots.filter(|slot| self.place(*slot).is_some()).map(|slot| self.books.hash(slot))
    }

    /// Empties at most `budget` slots that a clear left behind; how many it looked at.
    pub(crate) fn empty_cleared(&mut self, budget: u32) -> u32 {
        let Some(mut left) = self.books.cleared else { return 0 };
        if left.stamp.is_none() {
            left.stamp = threads::close_period();
        }
        let is_over = left.stamp.is_some_and(threads::is_over);
        let until =
            if is_over { left.end.min(left.next.saturating_add(budget)) } else { left.next };
        let first = left.next;
        while left.next < until {
            let slot = left.next;
            left.next += 1;
            self.books.cleared = Some(left);
            match self.shard.slots.get(slot) {
                Some(place) if place.is_live() => self.empty(slot),
                // It waits for its own grace period.
                Some(place) if place.is_retired() => {}
                _ => self.books.free.push(slot),
            }
        }
        self.books.cleared = (left.next < left.end).then_some(left);
        until - first
    }

    /// Frees what can be freed: slots that nobody sees any more, at most `budget` of what a clear
    /// left behind, and the memory of a shard without entries, so that numbers begin at 0 again: a
    /// policy sizes its own books by the greatest.
    pub(crate) fn tidy(&mut self, budget: u32) -> u32 {
        let emptied = self.empty_cleared(budget);
        if self.books.retired.len() > 0 {
            self.reclaim();
        }
        self.books.index.reclaim();
        self.release_if_empty();
        emptied
    }

    fn release_if_empty(&mut self) {
        let is_empty = self.books.len() == 0
            && self.books.cleared.is_none()
            && self.books.retired.len() == 0
            && self.books.free.len() == self.books.used() as usize;
        if is_empty && self.shard.slots.is_large() {
            self.books.forget();
            self.shard.index.clear(&mut self.books.index);
            // SAFETY: every slot is free, and the grace period of all who saw one is over.
            unsafe { self.shard.slots.release() };
            if self.shard.lives.is_large() {
                // SAFETY: lives are looked at only through slots that were found.
                unsafe { self.shard.lives.release() };
            }
            if self.shard.ages.is_large() {
                // SAFETY: as above.
                unsafe { self.shard.ages.release() };
            }
        }
    }
}
