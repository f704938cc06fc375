//! Removing expired entries that nobody asks for.

use std::hash::Hash;
use std::sync::atomic::Ordering;

use larder_core::clock::Moment;

use super::Store;
use crate::outcome::{Outbox, RemovalReason};
use crate::shard::Writing;
use crate::slab::NEVER;

/// How many slots are looked at before the lock is given back.
const CHUNK: usize = 1024;

impl<K, V> Store<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Removes at most `budget` expired entries, and goes on next time where it stopped; how many
    /// it removed. Shards in which nothing can have expired are passed over, and without
    /// any deadline the clock is not even read.
    pub fn sweep(&self, budget: usize) -> usize {
        let mut out = Outbox::new();
        let removed = self.sweep_into(budget, &mut out);
        self.deliver(out);
        removed
    }

    pub(super) fn sweep_into(&self, budget: usize, out: &mut Outbox<K, V>) -> usize {
        let mut removed = 0;
        let first = self.next_sweep.load(Ordering::Relaxed);
        for step in 0..self.shards.len() {
            let number = (first + step) % self.shards.len();
            self.next_sweep.store(number, Ordering::Relaxed);
            let shard = &self.shards[number];
            let soonest = shard.read().expiry.soonest;
            if soonest == NEVER {
                continue;
            }
            let now = self.now();
            if soonest > now.as_nanos() {
                continue;
            }
            loop {
                if removed >= budget {
                    return removed;
                }
                let most = budget - removed;
                let (more, finished) = self.sweep_chunk(&mut shard.write(), now, most, out);
                removed += more;
                if finished {
                    break;
                }
            }
        }
        self.next_sweep.store(first, Ordering::Relaxed);
        removed
    }

    /// Looks at the next slots of a shard; how many were removed, and whether the end was reached.
    fn sweep_chunk(
        &self,
        table: &mut Writing<'_, K, V>,
        now: Moment,
        most: usize,
        out: &mut Outbox<K, V>,
    ) -> (usize, bool) {
        let begin = table.expiry.cursor;
        let mut end = (begin + CHUNK).min(table.slab.slots());
        if begin == 0 {
            table.expiry.soonest_seen = NEVER;
        }
        let mut soonest = NEVER;
        let mut expired = Vec::new();
        let entries = table.slab.iter_from(begin);
        for (slot, _) in entries.take_while(|(slot, _)| slot.index() < begin + CHUNK) {
            if expired.len() == most {
                end = slot.index();
                break;
            }
            match table.slab.life(slot) {
                Some(life) if life.is_over(now) => expired.push(slot),
                Some(life) => soonest = soonest.min(life.end()),
                None => {}
            }
        }
        for slot in &expired {
            self.detach(table, *slot, RemovalReason::Expired, out);
        }
        let finished = end >= table.slab.slots();
        let expiry = &mut table.expiry;
        expiry.soonest_seen = expiry.soonest_seen.min(soonest);
        expiry.cursor = if finished { 0 } else { end };
        if finished {
            expiry.soonest = expiry.soonest_seen;
        }
        (expired.len(), finished)
    }
}
