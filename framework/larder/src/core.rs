//! The two halves of a cache put together: the typed store in front, the engine behind it.
//!
//! [`Core`] is what every handle of a cache shares. [`fast`](Core::fast) is the whole hit path;
//! the rest is in [`lookup`], [`change`] and [`load`].

use std::any::{Any, type_name};
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use larder_core::{CacheError, CacheKey, ErrorKind, Life, Result, Serializer, Tier};
use larder_store::Store;
use xxhash_rust::xxh3::xxh3_64;

use crate::codec::Codec;
use crate::engine::Engine;
use crate::flight::Flights;
use crate::stats::{CacheStats, Counters, Heat, MissCause, StatsSnapshot, StatsSource, TierStats};
use crate::stored::Stored;
use crate::tier::count;

mod change;
mod load;
mod lookup;
mod weigh;

pub(crate) use load::{BoxError, Loader, boxed};
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
    /// How large a value is, is how large this makes it.
    pub(crate) serializer: Arc<dyn Serializer>,
    pub(crate) flights: Arc<Flights<K, load::Outcome<V>, load::Mark>>,
    pub(crate) weigh: Weigh<K, V>,
    pub(crate) heat: Heat,
    pub(crate) hasher: RandomState,
}

/// The store of a cache and what its tier is called.
pub(crate) struct StoreTier<K, V> {
    pub(crate) table: Store<K, Stored<V>>,
    pub(crate) kind: String,
    pub(crate) ttl: Option<Life>,
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
        let read = |stored: &Stored<V>, count| (stored.read(), count);
        match store.table.get_counted(key, read) {
            Ok((Some(answer), count_of_hits)) => {
                self.heat.hit(count_of_hits, || self.hasher.hash_one(key));
                if answer.is_none() {
                    count(&self.engine.counters.negative_hits);
                }
                Ok(answer)
            }
            Ok((None, _)) => {
                count(&self.engine.counters.unanswered);
                Err(MissCause::Tag)
            }
            Err(cause) => Err(cause.into()),
        }
    }

    /// Where a key stands in the fence. With byte tiers it follows from the text, so that every
    /// way to the same entry agrees.
    fn place<Q>(&self, key: &Q) -> u64
    where
        Q: KeyRef<K> + ?Sized,
    {
        if self.engine.tiers.is_empty() {
            self.hasher.hash_one(key)
        } else {
            xxh3_64(key.text().as_bytes())
        }
    }

    /// Whether the cache is open and the key may be used.
    fn check<Q>(&self, key: &Q) -> Result<()>
    where
        Q: CacheKey + ?Sized,
    {
        self.engine.check_open()?;
        key.check()
            .and_then(|()| check_reserved(key))
            .map_err(|error| error.with("cache", &self.engine.name))
    }

    /// A remembered "there is none" was found, and the caller does not take it for an answer.
    pub(crate) fn count_unanswered(&self) -> MissCause {
        count(&self.engine.counters.unanswered);
        self.engine.counters.negative_hits.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        MissCause::Cold
    }

    fn count_miss(&self, cause: MissCause) {
        self.engine.counters.miss(cause, || self.hits());
    }

    pub(crate) fn stats(self: &Arc<Self>) -> CacheStats {
        CacheStats::new(Arc::clone(self) as Arc<dyn StatsSource>)
    }
}

/// Keys with the mark of Larder's own entries are not for applications.
fn check_reserved<Q: CacheKey + ?Sized>(key: &Q) -> Result<()> {
    if key.text().starts_with(crate::tags::RESERVED) {
        return Err(CacheError::new(ErrorKind::Key, "the key begins with the reserved U+0001")
            .hint("strip control characters from keys"));
    }
    Ok(())
}

impl From<larder_store::MissCause> for MissCause {
    fn from(cause: larder_store::MissCause) -> Self {
        match cause {
            larder_store::MissCause::Expired => Self::Expired,
            larder_store::MissCause::Evicted => Self::Evicted,
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
            let read = |counter: &std::sync::atomic::AtomicU64| {
                counter.load(std::sync::atomic::Ordering::Relaxed)
            };
            let mut numbers = TierStats::new(tier.tier, &tier.kind);
            numbers.hits = read(&tier.counters.hits);
            numbers.misses = read(&tier.counters.misses);
            numbers.writes = read(&tier.counters.writes);
            numbers.failures = read(&tier.counters.failures);
            numbers.undecodable = read(&tier.counters.undecodable);
            snapshot.tiers.push(numbers);
        }
        snapshot.with_counters(&self.engine.counters, self.hits())
    }

    fn hits(&self) -> u64 {
        let read = |counter: &std::sync::atomic::AtomicU64| {
            counter.load(std::sync::atomic::Ordering::Relaxed)
        };
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
            let hash = self.hasher.hash_one(key);
            if let Some((_, hits)) = hottest.iter().find(|(hot, _)| *hot == hash) {
                named.push((key.text().into_owned(), *hits));
            }
        });
        named.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        named.truncate(count);
        named
    }

    fn reset(&self) {
        crate::stats::reset(&self.engine.counters);
        self.heat.reset();
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
        if let Some(store) = &self.store {
            self.engine.fence.change_all(|| store.table.clear());
        }
    }
}
