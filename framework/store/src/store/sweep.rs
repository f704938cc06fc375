//! Removing expired entries that nobody asks for.

use std::hash::Hash;
use std::sync::atomic::Ordering;

use larder_core::clock::Moment;

use super::Store;
use crate::keep::Keep;
use crate::life::NEVER;
use crate::outbox::Outbox;
use crate::outcome::RemovalReason;
use crate::shard::Writing;

/// How many slots are looked at before the lock is given back.
const CHUNK: u32 = 1024;

impl<K, V, M: Keep<V>> Store<K, V, M>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Removes at most `budget` expired entries, and goes on next time where it stopped; how many
    /// it removed. Shards in which nothing can have expired are passed over, and without
    /// any deadline the clock is not even read.
    ///
    /// It also drops what left the store before and no look-up can see any more, and about `budget`
    /// of the entries that a [`clear`](Self::clear) left behind.
    pub fn sweep(&self, budget: usize) -> usize {
        let mut out = self.outbox();
        let removed = self.sweep_into(budget, &mut out);
        self.deliver(&out);
        self.tidy(budget);
        removed
    }

    /// Lets go of what left the store; of a clear, about `budget` entries.
    pub(super) fn tidy(&self, budget: usize) {
        let mut left = u32::try_from(budget).unwrap_or(u32::MAX);
        for shard in &self.shards {
            left -= shard.write().tidy(left);
        }
    }

    pub(super) fn sweep_into(&self, budget: usize, out: &mut Outbox<'_, K, V, M>) -> usize {
        let mut removed = 0;
        let first = self.next_sweep.load(Ordering::Relaxed);
        for step in 0..self.shards.len() {
            let number = (first + step) % self.shards.len();
            self.next_sweep.store(number, Ordering::Relaxed);
            let shard = &self.shards[number];
            let soonest = shard.books().expiry.soonest;
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
        table: &mut Writing<'_, K, V, M>,
        now: Moment,
        most: usize,
        out: &mut Outbox<'_, K, V, M>,
    ) -> (usize, bool) {
        let begin = table.expiry.cursor;
        let mut end = begin.saturating_add(CHUNK).min(table.used());
        if begin == 0 {
            table.expiry.soonest_seen = NEVER;
        }
        let mut soonest = NEVER;
        let mut expired = Vec::new();
        for (number, found) in table.iter_within(begin..end) {
            if expired.len() == most {
                end = number;
                break;
            }
            match table.full_life_of(found.slot).map(|life| life.gone()) {
                Some(end) if end <= now.as_nanos() => expired.push(found.slot),
                Some(end) => soonest = soonest.min(end),
                None => {}
            }
        }
        for slot in &expired {
            self.detach(table, *slot, RemovalReason::Expired, out);
        }
        let finished = end >= table.used();
        let expiry = &mut table.expiry;
        expiry.soonest_seen = expiry.soonest_seen.min(soonest);
        expiry.cursor = if finished { 0 } else { end };
        if finished {
            expiry.soonest = expiry.soonest_seen;
        }
        (expired.len(), finished)
    }
}
