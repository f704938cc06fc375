//! What concerns the whole store: clear, list, count, check.

use std::hash::Hash;
use std::sync::PoisonError;

use larder_core::clock::Moment;
use larder_core::policy::Capacity;

use super::Store;
use crate::keep::Keep;
use crate::outcome::RemovalReason;
use crate::shard::{Found, Shard, Writing};
use crate::stats::StoreStats;

/// How many entries of a shard a clear drops itself, so that little ones leave nothing behind.
const CLEARED_AT_ONCE: u32 = 64;

/// Asks for the time.
type Now<'a> = &'a mut dyn FnMut() -> Moment;

impl<K, V, M: Keep<V>> Store<K, V, M>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Removes everything. The policy forgets what it remembers, too.
    ///
    /// Cost: constant, whatever the store holds; the entries are dropped little by little, by
    /// inserts that need their room and by each [`sweep`](Self::sweep). With a listener, which
    /// hears of each of them, it takes as long as there are entries.
    pub fn clear(&self) {
        if self.listener.is_some() {
            self.clear_one_by_one();
        }
        for shard in &self.shards {
            let (choice, policy) = self.present_policy();
            let mut table = shard.write();
            let cause = RemovalReason::Cleared.miss_cause();
            table
                .some_hashes(shard.recent.places())
                .for_each(|hash| shard.recent.remember(hash, cause));
            table.choice = choice;
            let (entries, weight, policy) = table.clear(policy);
            self.budget.give_back(entries, weight);
            table.empty_cleared(CLEARED_AT_ONCE);
            drop(table);
            drop(policy);
        }
    }

    fn clear_one_by_one(&self) {
        for shard in &self.shards {
            let mut out = self.outbox();
            let mut table = shard.write();
            for slot in 0..table.used() {
                self.detach(&mut table, slot, RemovalReason::Cleared, &mut out);
            }
            drop(table);
            self.deliver(&out);
        }
    }

    /// Sets another capacity. Entries beyond it are evicted before this returns, also in a store
    /// that otherwise refuses what does not fit; pinned ones stay.
    ///
    /// Cost: all shards are locked together for a moment; then one lock for each eviction.
    pub fn resize(&self, capacity: Capacity) {
        let mut tables: Vec<_> = self.shards.iter().map(Shard::write).collect();
        let entries = tables.iter().map(|table| table.len() as u64).sum();
        let weight = tables.iter().map(|table| table.weight()).sum();
        self.budget.resize(capacity, entries, weight);
        let share = self.share();
        for table in &mut tables {
            table.resize(share);
        }
        drop(tables);
        self.learn_anew();
        self.shrink();
    }

    /// Removes the entries for which `matches` is true, as invalidated, those past their deadline
    /// that are still kept among them; how many. It runs under the lock of one shard after the
    /// other and must not use the store. Entries that come in meanwhile may be passed over.
    pub fn remove_if(&self, mut matches: impl FnMut(&K, M::Seen<'_>) -> bool) -> u64 {
        let mut removed = 0;
        for shard in &self.shards {
            let mut out = self.outbox();
            let mut table = shard.write();
            let mut slots = Vec::new();
            let is_gone = |slot, now: Now<'_>| table.is_gone(slot, now);
            self.present(&table, 0, is_gone, |_, found| {
                slots.extend(matches(found.key, found.value).then_some(found.slot));
                true
            });
            for slot in &slots {
                self.detach(&mut table, *slot, RemovalReason::Invalidated, &mut out);
            }
            drop(table);
            removed += slots.len() as u64;
            self.deliver(&out);
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
    pub fn for_each(&self, mut f: impl FnMut(&K, M::Seen<'_>)) {
        for shard in &self.shards {
            let table = shard.write();
            self.alive(&table, 0, |_, found| {
                f(found.key, found.value);
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
            let table = shard.write();
            let mut next = None;
            self.alive(&table, first, |entry, found| {
                if keys.len() == limit {
                    next = Some(((number as u64) << 32) | u64::from(entry));
                    return false;
                }
                keys.push(found.key.clone());
                true
            });
            if next.is_some() {
                return (keys, next);
            }
            first = 0;
        }
        (keys, None)
    }

    /// Shows entries of a shard that may be served, with their numbers, until `show` says that it
    /// is enough.
    fn alive(
        &self,
        table: &Writing<'_, K, V, M>,
        first: usize,
        show: impl FnMut(u32, &Found<'_, K, V, M>) -> bool,
    ) {
        self.present(table, first, |slot, now| table.is_over(slot, now), show);
    }

    /// The same for all entries that are not out by `is_out`.
    fn present(
        &self,
        table: &Writing<'_, K, V, M>,
        first: usize,
        is_out: impl Fn(u32, Now<'_>) -> bool,
        mut show: impl FnMut(u32, &Found<'_, K, V, M>) -> bool,
    ) {
        let mut now = None;
        for (number, found) in table.iter_from(first) {
            let mut read_once = || *now.get_or_insert_with(|| self.now());
            if !is_out(found.slot, &mut read_once) && !show(number, &found) {
                return;
            }
        }
    }
}

impl<K, V, M: Keep<V>> Store<K, V, M> {
    /// What each shard holds if all hold the same.
    pub(super) fn share(&self) -> Capacity {
        super::share(self.budget.capacity(), self.shards.len())
    }

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
            shard.books().tally.add_to(&mut totals);
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
    /// When index, slots, policy, weights or counts do not agree; the message says which.
    pub fn check(&self) {
        let (mut entries, mut weight) = (0, 0);
        for shard in &self.shards {
            let mut table = shard.write();
            table.check();
            entries += table.len() as u64;
            weight += table.weight();
        }
        assert_eq!(self.len() as u64, entries, "the shards publish other counts");
        assert_eq!(self.weight(), weight, "the shards publish other weights");
        self.budget.check(entries, weight);
    }
}
