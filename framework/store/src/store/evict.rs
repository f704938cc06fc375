//! Making room, and everything else that takes entries out.
//!
//! The budget belongs to the whole store, so an entry may need room that only other shards have.
//! Shards are then locked one after the other, never two at a time.

use std::hash::Hash;

use larder_core::policy::SlotId;

use super::Store;
use crate::outcome::{Outbox, RemovalReason};
use crate::shard::Writing;

impl<K, V> Store<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Takes an entry out of a locked shard, with all books.
    pub(super) fn detach(
        &self,
        table: &mut Writing<'_, K, V>,
        slot: SlotId,
        reason: RemovalReason,
        out: &mut Outbox<K, V>,
    ) {
        let (hash, weight) = (table.slab.hash(slot), table.slab.weight_of(slot));
        let evicted = reason == RemovalReason::Evicted;
        let Some(entry) = table.remove(slot, evicted) else {
            return;
        };
        self.budget.give_back(1, u64::from(weight));
        table.recent.remember(hash, reason.miss_cause());
        match reason {
            RemovalReason::Evicted => table.tally.evictions += 1,
            RemovalReason::Expired => table.tally.expirations += 1,
            _ => {}
        }
        out.push(entry, reason);
    }

    /// Hands entries to the listener, or drops them. No lock may be held.
    pub(super) fn deliver(&self, out: Outbox<K, V>) {
        for removed in out {
            if let Some(listener) = &self.listener {
                listener(removed);
            }
        }
    }

    /// Evicts from a locked shard until the store is within its budget or the shard holds no more
    /// than its part; the rest is left to [`settle`](Self::settle). `false` when the policy does
    /// not want the new entry.
    pub(super) fn make_room(
        &self,
        table: &mut Writing<'_, K, V>,
        hash: u64,
        weight: u32,
        out: &mut Outbox<K, V>,
    ) -> bool {
        let mut asked = false;
        while self.budget.is_over() && self.has_its_part(table.slab.len()) {
            let Some(victim) = table.victim(None) else {
                break;
            };
            if !asked && !table.admits(hash, weight, victim) {
                return false;
            }
            asked = true;
            self.evict(table, victim, out);
        }
        true
    }

    /// Evicts from other shards, and from this one if they have nothing, until the store is within
    /// its budget. The entry that has just come in stays.
    pub(super) fn settle(&self, number: usize, hash: u64, fresh: SlotId, out: &mut Outbox<K, V>) {
        let mut choice = hash;
        while self.budget.is_over() {
            choice = choice.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
            let Some(donor) = self.donor(number, choice) else {
                return;
            };
            let mut table = self.shards[donor].write();
            let pinned = (donor == number).then_some(fresh);
            if let Some(victim) = table.victim(pinned) {
                self.evict(&mut table, victim, out);
            } else if donor == number {
                return;
            }
        }
    }

    fn evict(&self, table: &mut Writing<'_, K, V>, victim: SlotId, out: &mut Outbox<K, V>) {
        let over = table.is_over(victim, || self.now());
        let reason = if over { RemovalReason::Expired } else { RemovalReason::Evicted };
        self.detach(table, victim, reason, out);
    }

    /// Whether a shard has at least as many entries as the average one, counting the one that is
    /// about to come in. Keys spread evenly, so shards of equal count hold entries of equal age,
    /// whatever they weigh; those with fewer are spared until all are equal.
    fn has_its_part(&self, entries: usize) -> bool {
        let shards = self.shards.len() as u64;
        shards == 1 || (entries as u64 + 1).saturating_mul(shards) >= self.budget.entries()
    }

    /// A shard that can give something away: the fuller of two others, else any other that is not
    /// empty, else the shard `number` itself.
    fn donor(&self, number: usize, choice: u64) -> Option<usize> {
        let mask = self.shards.len() - 1;
        let first = choice as usize & mask;
        let second = (choice >> 32) as usize & mask;
        let by_entries = |at: &usize| self.shards[*at].entries();
        let sampled = [first, second].into_iter().max_by_key(by_entries);
        let others = (0..=mask).map(|step| (first + step) & mask);
        let candidates = sampled.into_iter().chain(others);
        let mut usable = candidates.filter(|at| *at != number && self.shards[*at].entries() > 0);
        usable.next().or_else(|| (self.shards[number].entries() > 0).then_some(number))
    }
}
