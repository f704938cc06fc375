//! The two halves of a cache put together: the typed store in front, the engine behind it.
//!
//! [`Core`] is what every handle of a cache shares. [`fast`](Core::fast) is the whole hit path;
//! the rest is in [`lookup`], [`change`] and [`load`], or in [`local`] for caches that have nothing
//! but the store.

use std::any::{Any, type_name};
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use futures_util::future::BoxFuture;
use larder_core::key::check_reserved;
use larder_core::{CacheKey, Life, Result, Tier};
use larder_store::{Split, Store};
use xxhash_rust::xxh3::xxh3_64;

use crate::codec::Codec;
use crate::engine::Engine;
use crate::fence::{Fence, Tally};
use crate::flight::Flights;
use crate::format::Format;
use crate::open::TtlBy;
use crate::snapshot::Exported;
use crate::stats::{CacheStats, Counters, Heat, MissCause, StatsSnapshot, StatsSource, TierStats};
use crate::stored::{Content, Stored, StoredRef};
use crate::tier::count;

mod change;
mod load;
mod local;
mod lookup;
mod snapshot;
mod weigh;

pub(crate) use load::{Batches, BoxError, LoadMany, Loader, Request, Run, asking, boxed};
pub(crate) use local::{Flight, Origin, can_read, read_key};
pub(crate) use weigh::Weigh;

/// What a type must be to serve as the key of a cache.
pub trait Key: CacheKey + Hash + Eq + Clone + Send + Sync + 'static {}

impl<K: CacheKey + Hash + Eq + Clone + Send + Sync + 'static> Key for K {}

/// What a type must be to look up keys of type `K`: `str` for `String`, or `K` itself.
pub trait KeyRef<K>: CacheKey + Hash + Eq + ToOwned<Owned = K> + Sync {}

impl<K, Q: CacheKey + Hash + Eq + ToOwned<Owned = K> + Sync + ?Sized> KeyRef<K> for Q {}

/// What a type must be to be cached. Values are dropped while the cache holds a lock, so their
/// `Drop` must not use the cache.
pub trait CacheValue: Clone + Send + Sync + 'static {}

impl<V: Clone + Send + Sync + 'static> CacheValue for V {}

/// What all handles of a cache share.
pub(crate) struct Core<K: Key, V: CacheValue> {
    pub(crate) engine: Arc<Engine>,
    /// The first tier, when it holds values as they are.
    pub(crate) store: Option<StoreTier<K, V>>,
    /// How values become bytes; `None` when they never do.
    pub(crate) codec: Option<Codec<V>>,
    /// How large a value is, is how large the serializer makes it. Snapshots of the store are in
    /// this format.
    pub(crate) format: Arc<Format>,
    pub(crate) flights: Arc<Flights<K, load::Outcome<V>, load::Mark>>,
    pub(crate) weigh: Weigh<K, V>,
    /// How long an entry lives, if the application says.
    pub(crate) ttl_by: Option<TtlBy<K, V>>,
    /// Whether nothing of the above says anything about an entry: it lives for ever and weighs one.
    pub(crate) is_plain: bool,
    pub(crate) heat: Heat,
}

/// The store of a cache and what its tier is called.
pub(crate) struct StoreTier<K: Key, V: CacheValue> {
    pub(crate) table: Store<K, Stored<V>, Split>,
    pub(crate) kind: String,
    pub(crate) ttl: Option<Life>,
    /// The fence of a cache that has no other tier. Where there are others theirs is used.
    pub(crate) fence: Option<Arc<Fence<Flight<K, V>>>>,
}

impl<K: Key, V: CacheValue> Core<K, V> {
    /// The whole hit path: an answer from the store, or why there is none.
    #[inline]
    pub(crate) fn fast<Q>(&self, key: &Q) -> Result<Option<V>, MissCause>
    where
        K: std::borrow::Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let Some(store) = &self.store else {
            return Err(MissCause::Cold);
        };
        let read = |stored: StoredRef<'_, V>, hits| (stored.read(), hits);
        match store.table.get_counted(key, read) {
            Ok((answer, hits)) => self.answer(answer, hits, || store.table.hash_of(key)),
            Err(cause) => Err(cause.into()),
        }
    }

    /// What an entry of the store says to the caller, who has had this many hits.
    #[inline]
    fn answer(
        &self,
        answer: Option<Option<V>>,
        hits: u64,
        hash: impl FnOnce() -> u64,
    ) -> Result<Option<V>, MissCause> {
        let Some(answer) = answer else {
            return Err(self.count_unanswered_as(MissCause::Tag));
        };
        self.heat.hit(hits, hash);
        if answer.is_none() {
            count(&self.engine.counters.negative_hits);
        }
        Ok(answer)
    }

    /// Whether the cache is open and the key may be used.
    #[inline]
    fn check<Q>(&self, key: &Q) -> Result<()>
    where
        Q: CacheKey + ?Sized,
    {
        self.engine.check_open()?;
        let mut checked = key.check();
        // The entries of Larder's own are only in byte tiers. A type of the application may skip
        // the check of the text, but not this one.
        if !self.engine.tiers.is_empty() {
            checked = checked.and_then(|()| check_reserved(&key.text()));
        }
        checked.map_err(|error| error.with("cache", &self.engine.name))
    }

    /// As [`check`](Self::check), for a key that was not found for this cause.
    pub(crate) fn check_missed<Q>(&self, key: &Q, cause: MissCause) -> Result<()>
    where
        Q: CacheKey + ?Sized,
    {
        let checked = self.check(key);
        if checked.is_err() {
            self.uncount_miss(cause);
        }
        self.engine.counters.observe(|| self.totals());
        checked
    }

    /// A remembered "there is none" was found, and the caller does not take it for an answer.
    pub(crate) fn count_unanswered(&self) -> MissCause {
        self.engine.counters.negative_hits.fetch_sub(1, Relaxed);
        self.count_unanswered_as(MissCause::Cold)
    }

    /// What the store counted as a hit was none to the caller.
    #[cold]
    fn count_unanswered_as(&self, cause: MissCause) -> MissCause {
        count(&self.engine.counters.unanswered);
        if self.local().is_some() {
            self.engine.counters.count_miss(cause);
        }
        cause
    }

    /// A look-up is over and found nothing. Where there is only a store, the store has counted.
    fn count_miss(&self, cause: MissCause) {
        if self.local().is_none() {
            self.engine.counters.count_miss(cause);
        }
    }

    /// A miss that the store counted was none in the end, or no look-up.
    fn uncount_miss(&self, cause: MissCause) {
        if self.local().is_some() {
            self.engine.counters.uncount_miss(cause);
        }
    }

    /// All hits and all misses.
    fn totals(&self) -> (u64, u64) {
        (self.hits(), self.misses().iter().sum())
    }

    pub(crate) fn stats(self: &Arc<Self>) -> CacheStats {
        CacheStats::new(Arc::clone(self) as Arc<dyn StatsSource>)
    }
}

/// Where a key stands in the fence of a cache with byte tiers: it follows from the text, so that
/// every way to the same entry agrees.
fn place<Q: CacheKey + ?Sized>(key: &Q) -> u64 {
    xxh3_64(key.text().as_bytes())
}

impl From<larder_store::MissCause> for MissCause {
    fn from(cause: larder_store::MissCause) -> Self {
        match cause {
            larder_store::MissCause::Expired => Self::Expired,
            larder_store::MissCause::Evicted => Self::Evicted,
            larder_store::MissCause::Cleared => Self::Cleared,
            larder_store::MissCause::Deleted => Self::Deleted,
            larder_store::MissCause::Invalidated => Self::Invalidated,
            _ => Self::Cold,
        }
    }
}

impl<K: Key, V: CacheValue> StatsSource for Core<K, V> {
    fn snapshot(&self) -> StatsSnapshot {
        let mut snapshot =
            StatsSnapshot { name: self.engine.name.to_string(), ..Default::default() };
        if let Some(store) = &self.store {
            let stats = store.table.stats();
            let capacity = store.table.capacity();
            snapshot.entries = stats.entries;
            snapshot.weight = stats.weight;
            snapshot.evictions = stats.evictions;
            snapshot.expirations = stats.expirations;
            snapshot.rejections = stats.rejections;
            snapshot.estimates = store.table.estimates();
            let share = |used: u64, limit: Option<u64>| Some(used as f64 / limit? as f64);
            snapshot.usage = match (
                share(stats.entries, capacity.entries),
                share(stats.weight, capacity.weight),
            ) {
                (Some(entries), Some(weight)) => Some(entries.max(weight)),
                (entries, weight) => entries.or(weight),
            };
            let mut tier = TierStats::new(Tier::L1, &store.kind);
            tier.hits = stats.hits;
            tier.misses = stats.misses();
            tier.writes = stats.inserts + stats.replacements;
            snapshot.tiers.push(tier);
        }
        for tier in &self.engine.tiers {
            snapshot.tiers.push(tier.stats());
        }
        let tally = self.local().map_or_else(Tally::default, |local| local.tally());
        snapshot.with_counters(&self.engine.counters, self.hits(), self.misses(), tally)
    }

    fn misses(&self) -> [u64; MissCause::ALL.len()] {
        // Before the store, which counts first what these take back.
        let mut misses = self.engine.counters.misses();
        if let Some(store) = self.store.as_ref().filter(|store| store.fence.is_some()) {
            let stats = store.table.stats();
            let of_store = [
                (MissCause::Cold, stats.misses_cold),
                (MissCause::Expired, stats.misses_expired),
                (MissCause::Evicted, stats.misses_evicted),
                (MissCause::Cleared, stats.misses_cleared),
                (MissCause::Deleted, stats.misses_deleted),
                (MissCause::Invalidated, stats.misses_invalidated),
            ];
            for (cause, count) in of_store {
                let sum = misses[cause as usize].wrapping_add(count);
                misses[cause as usize] = sum.cast_signed().max(0).cast_unsigned();
            }
        }
        misses
    }

    fn hits(&self) -> u64 {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        let counters = &self.engine.counters;
        let from_store = self.store.as_ref().map_or(0, |store| store.table.stats().hits);
        (from_store + read(&counters.tier_hits)).saturating_sub(read(&counters.unanswered))
    }

    fn counters(&self) -> &Counters {
        &self.engine.counters
    }

    fn hottest(&self, count: usize) -> Vec<(String, u64)> {
        let Some(store) = &self.store else {
            return Vec::new();
        };
        let mut hottest = self.heat.hottest();
        hottest.truncate(count.max(1).saturating_mul(2));
        let mut named = Vec::new();
        store.table.for_each(|key, _| {
            let hash = store.table.hash_of(key);
            if let Some((_, hits)) = hottest.iter().find(|(hot, _)| *hot == hash) {
                named.push((key.text().into_owned(), *hits));
            }
        });
        named.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        named.truncate(count);
        named
    }

    fn reset(&self) {
        self.engine.counters.reset();
        self.heat.reset();
        if let Some(local) = self.local() {
            local.reset_tally();
        }
        if let Some(store) = &self.store {
            store.table.reset_stats();
        }
        for tier in &self.engine.tiers {
            tier.counters.reset();
        }
    }
}

/// A cache of any types, for the manager.
pub(crate) trait AnyCache: Send + Sync {
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
    fn type_names(&self) -> (&'static str, &'static str);
    fn stats(self: Arc<Self>) -> CacheStats;
    fn sweep(&self, budget: usize) -> usize;
    fn clear(self: Arc<Self>) -> BoxFuture<'static, Result<()>>;
    /// Lets go of all values that are held in the process.
    fn empty_store(&self);
    /// Writes all values that are held in the process.
    fn save(&self, writer: &mut dyn std::io::Write) -> Result<Exported>;
}

impl<K: Key, V: CacheValue> AnyCache for Core<K, V> {
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }

    fn type_names(&self) -> (&'static str, &'static str) {
        (type_name::<K>(), type_name::<V>())
    }

    fn stats(self: Arc<Self>) -> CacheStats {
        Self::stats(&self)
    }

    fn sweep(&self, budget: usize) -> usize {
        self.store.as_ref().map_or(0, |store| store.table.sweep(budget))
    }

    fn clear(self: Arc<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move { self.clear_all().await })
    }

    fn empty_store(&self) {
        match (self.local(), &self.store) {
            (Some(local), _) => local.change_all(|| local.clear()),
            (None, Some(store)) => self.engine.fence.change_all(|| store.table.clear()),
            (None, None) => {}
        }
    }

    fn save(&self, writer: &mut dyn std::io::Write) -> Result<Exported> {
        self.write_store("*", writer)
    }
}
