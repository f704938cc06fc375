//! Making room, and everything else that takes entries out.
//!
//! The budget belongs to the whole store, so an entry may need room that only other shards have.
//! Shards are then locked one after the other, never two at a time.

use std::hash::Hash;

use super::Store;
use crate::budget::Room;
use crate::keep::Keep;
use crate::outbox::Outbox;
use crate::outcome::RemovalReason;
use crate::shard::Writing;

impl<K, V, M: Keep<V>> Store<K, V, M>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Takes the entry of a slot out of a locked shard, with all books.
    pub(super) fn detach(
        &self,
        table: &mut Writing<'_, K, V, M>,
        slot: u32,
        reason: RemovalReason,
        out: &mut Outbox<'_, K, V, M>,
    ) {
        if let Some(weight) = self.take_off(table, slot, reason, out) {
            self.budget.give_back(1, u64::from(weight));
        }
    }

    /// Takes the entry of a slot out of a locked shard, but leaves its room to the caller: the
    /// weight that it had, if there was one.
    #[inline(always)]
    fn take_off(
        &self,
        table: &mut Writing<'_, K, V, M>,
        slot: u32,
        reason: RemovalReason,
        out: &mut Outbox<'_, K, V, M>,
    ) -> Option<u32> {
        let (hash, weight) = table.unlink(slot, reason == RemovalReason::Evicted)?;
        table.shard().recent.remember(hash, reason.miss_cause());
        match reason {
            RemovalReason::Evicted => {
                table.tally.evictions += 1;
                self.note_eviction();
            }
            RemovalReason::Expired => table.tally.expirations += 1,
            _ => {}
        }
        out.push(table, slot, reason);
        Some(weight)
    }

    /// Evicts from a locked shard until there is room for one more entry or the shard holds no more
    /// than its part; the rest is left to [`settle`](Self::settle). `None` when the policy does not
    /// want the new entry.
    #[inline(always)]
    pub(super) fn make_room(
        &self,
        table: &mut Writing<'_, K, V, M>,
        hash: u64,
        weight: u32,
        out: &mut Outbox<'_, K, V, M>,
    ) -> Option<Room<'_>> {
        let mut room = Room::new(&self.budget);
        while room.is_short_of(weight) && self.has_its_part(table.len()) {
            let Some(victim) = table.victim(None) else {
                break;
            };
            if room.is_empty() && !table.admits(hash, weight, victim) {
                return None;
            }
            let reason = self.reason_to_evict(table, victim);
            if let Some(weight) = self.take_off(table, victim, reason, out) {
                room.add(weight);
            }
        }
        Some(room)
    }

    /// Evicts from the fullest of some shards, until the store is within its budget.
    pub(super) fn shrink(&self) {
        let mut out = self.outbox();
        let mut choice = 1_u64;
        while self.budget.is_over() {
            choice = next_choice(choice);
            let gave = self.donors(usize::MAX, choice).any(|donor| {
                let mut table = self.shards[donor].write();
                let victim = table.victim(None);
                if let Some(victim) = victim {
                    self.evict(&mut table, victim, &mut out);
                }
                victim.is_some()
            });
            if !gave {
                break;
            }
        }
        self.deliver(&out);
    }

    /// Evicts from other shards, and from this one if they have nothing, until the store is within
    /// its budget. The entry that has just come in stays, unless all others are pinned; whether it
    /// does.
    #[cold]
    pub(super) fn settle(
        &self,
        number: usize,
        hash: u64,
        fresh: u32,
        out: &mut Outbox<'_, K, V, M>,
    ) -> bool {
        let mut choice = hash;
        while self.budget.is_over() {
            choice = next_choice(choice);
            let gave = self.donors(number, choice).any(|donor| {
                let mut table = self.shards[donor].write();
                let spared = (donor == number).then_some(fresh);
                let victim = table.victim(spared);
                if let Some(victim) = victim {
                    self.evict(&mut table, victim, out);
                }
                victim.is_some()
            });
            if !gave {
                let mut table = self.shards[number].write();
                // Nothing but it may go, unless somebody has just pinned it, too.
                let Some(victim) = table.victim(None) else {
                    return true;
                };
                table.tally.rejections += 1;
                self.detach(&mut table, victim, RemovalReason::Rejected, out);
                return victim != fresh;
            }
        }
        true
    }

    fn evict(&self, table: &mut Writing<'_, K, V, M>, victim: u32, out: &mut Outbox<'_, K, V, M>) {
        let reason = self.reason_to_evict(table, victim);
        self.detach(table, victim, reason, out);
    }

    /// An entry that has to make room may be over anyway.
    #[inline]
    fn reason_to_evict(&self, table: &Writing<'_, K, V, M>, victim: u32) -> RemovalReason {
        let over = table.is_over(victim, || self.now());
        if over { RemovalReason::Expired } else { RemovalReason::Evicted }
    }

    /// Whether a shard has at least as many entries as the average one, counting the one that is
    /// about to come in. Keys spread evenly, so shards of equal count hold entries of equal age,
    /// whatever they weigh; those with fewer are spared until all are equal.
    #[inline(always)]
    fn has_its_part(&self, entries: usize) -> bool {
        let shards = self.shards.len() as u64;
        shards == 1 || (entries as u64 + 1).saturating_mul(shards) > self.budget.entries()
    }

    /// The shards that can give something away: the fuller of two others, then all others that are
    /// not empty, then the shard `number` itself, if there is such a one.
    fn donors(&self, number: usize, choice: u64) -> impl Iterator<Item = usize> {
        let mask = self.shards.len() - 1;
        let first = choice as usize & mask;
        let second = (choice >> 32) as usize & mask;
        let by_entries = |at: &usize| self.shards[*at].entries();
        let sampled = [first, second].into_iter().max_by_key(by_entries);
        let others = (0..=mask).map(move |step| (first + step) & mask);
        let others = sampled.into_iter().chain(others).filter(move |at| *at != number);
        let own = (number <= mask).then_some(number);
        others.chain(own).filter(|at| self.shards[*at].entries() > 0)
    }
}

/// Another number that looks like chance.
const fn next_choice(choice: u64) -> u64 {
    choice.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31)
}
