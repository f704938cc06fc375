//! What concerns the whole store: clear, list, count, check.

use std::hash::Hash;
use std::sync::PoisonError;

use larder_core::policy::{Capacity, SlotId};

use super::Store;
use crate::outcome::{Outbox, RemovalReason};
use crate::shard::Table;
use crate::slab::Slot;
use crate::stats::StoreStats;

impl<K, V> Store<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Removes everything, shard by shard. The policy forgets what it remembers, too.
    pub fn clear(&self) {
        for shard in &self.shards {
            let policy = self.policy.policy(self.share);
            let mut table = shard.write();
            let (mut slab, old_policy) = table.take_all(policy);
            let slots: Vec<_> = slab.iter_from(0).map(|(slot, _)| slot).collect();
            for slot in &slots {
                let cause = RemovalReason::Cleared.miss_cause();
                table.recent.remember(slab.hash(*slot), cause);
            }
            self.budget.give_back(slots.len() as u64, slab.weight());
            drop(table);
            drop(old_policy);
            let mut out = Outbox::new();
            for entry in slots.into_iter().filter_map(|slot| slab.remove(slot)) {
                out.push(entry, RemovalReason::Cleared);
            }
            self.deliver(out);
        }
    }

    /// Removes the entries that may be served and for which `matches` is true, as invalidated; how
    /// many. It runs under the lock of one shard after the other and must not use the store.
    /// Entries that come in meanwhile may be passed over.
    pub fn remove_if(&self, mut matches: impl FnMut(&K, &V) -> bool) -> u64 {
        let mut removed = 0;
        for shard in &self.shards {
            let mut out = Outbox::new();
            let mut table = shard.write();
            let mut slots = Vec::new();
            self.alive(&table, 0, |slot, entry| {
                slots.extend(matches(&entry.key, &entry.value).then_some(slot));
                true
            });
            for slot in &slots {
                self.detach(&mut table, *slot, RemovalReason::Invalidated, &mut out);
            }
            drop(table);
            removed += slots.len() as u64;
            self.deliver(out);
        }
        removed
    }

    /// The keys of all entries that may be served, in no order.
    pub fn keys(&self) -> Vec<K>
    where
        K: Clone,
    {
        let mut keys = Vec::with_capacity(self.len());
        self.for_each(|key, _| keys.push(key.clone()));
        keys
    }

    /// Shows every entry that may be served, in no order. `f` runs under the lock of one shard
    /// after the other and must not use the store.
    pub fn for_each(&self, mut f: impl FnMut(&K, &V)) {
        for shard in &self.shards {
            let table = shard.read();
            self.alive(&table, 0, |_, entry| {
                f(&entry.key, &entry.value);
                true
            });
        }
    }

    /// About `limit` keys from a cursor on, and the cursor of the next page, which is `None` at
    /// the end. Begin with 0. A key that is there from the first page to the last is listed.
    pub fn scan(&self, cursor: u64, limit: usize) -> (Vec<K>, Option<u64>)
    where
        K: Clone,
    {
        let limit = limit.max(1);
        let mut keys = Vec::new();
        let shards = usize::try_from(cursor >> 32).unwrap_or(usize::MAX);
        let mut first = cursor as u32 as usize;
        for (number, shard) in self.shards.iter().enumerate().skip(shards) {
            let table = shard.read();
            let mut next = None;
            self.alive(&table, first, |slot, entry| {
                if keys.len() == limit {
                    next = Some(((number as u64) << 32) | u64::from(slot.get()));
                    return false;
                }
                keys.push(entry.key.clone());
                true
            });
            if next.is_some() {
                return (keys, next);
            }
            first = 0;
        }
        (keys, None)
    }

    /// Shows entries of a shard that may be served, until `show` says that it is enough.
    fn alive(
        &self,
        table: &Table<K, V>,
        first: usize,
        mut show: impl FnMut(SlotId, &Slot<K, V>) -> bool,
    ) {
        let mut now = None;
        for (slot, entry) in table.slab.iter_from(first) {
            let read_once = || *now.get_or_insert_with(|| self.now());
            let alive = !entry.mortal || !table.is_over(slot, read_once);
            if alive && !show(slot, entry) {
                return;
            }
        }
    }
}

impl<K, V> Store<K, V> {
    /// How many entries there are, expired ones included until they are removed.
    #[must_use]
    pub fn len(&self) -> usize {
        let entries: u64 = self.shards.iter().map(|shard| shard.entries()).sum();
        usize::try_from(entries).unwrap_or(usize::MAX)
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sum of the weights of the entries.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.shards.iter().map(|shard| shard.weight()).sum()
    }

    /// How much the store may hold.
    #[must_use]
    pub fn capacity(&self) -> Capacity {
        self.budget.capacity()
    }

    /// What happened since the store was built or [`reset_stats`](Self::reset_stats). Counters of
    /// threads that are at work may lag.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        let baseline = *self.baseline.lock().unwrap_or_else(PoisonError::into_inner);
        self.totals().since(&baseline)
    }

    /// Lets all counters begin at 0 again.
    pub fn reset_stats(&self) {
        let totals = self.totals();
        *self.baseline.lock().unwrap_or_else(PoisonError::into_inner) = totals;
    }

    fn totals(&self) -> StoreStats {
        let mut totals = StoreStats::default();
        self.stripes.add_to(&mut totals);
        for shard in &self.shards {
            shard.read().tally.add_to(&mut totals);
            totals.entries += shard.entries();
            totals.weight += shard.weight();
        }
        totals
    }

    /// Checks every invariant of the store, for tests and fuzzing. Slow; nobody may change the
    /// store meanwhile.
    ///
    /// # Panics
    ///
    /// When index, slab, policy, weights or counts do not agree; the message says which.
    pub fn check(&self) {
        let (mut entries, mut weight) = (0, 0);
        for shard in &self.shards {
            let mut table = shard.write();
            table.check();
            entries += table.slab.len() as u64;
            weight += table.slab.weight();
        }
        assert_eq!(self.len() as u64, entries, "the shards publish other counts");
        assert_eq!(self.weight(), weight, "the shards publish other weights");
        self.budget.check(entries, weight);
    }
}
