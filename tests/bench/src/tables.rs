//! [`Table`]: what every contestant can do, so that one loop measures all of them.
//!
//! Calls are resolved at compile time; nobody pays for the common interface.

use std::convert::Infallible;
use std::hash::Hash;
use std::time::Duration;

use foyer_memory::Cache as FoyerCache;
use larder::{Blocking, Cache, CacheManager, CacheOptions, CacheValue, Format, Key};
use mini_moka::sync::{Cache as MiniMokaCache, ConcurrentCacheExt};
use moka::sync::Cache as MokaCache;
use quick_cache::sync::Cache as QuickCache;
use tinyufo::TinyUfo;

use crate::Failure;
use crate::keys::Numbered;

/// A cache under measurement, with the options its documentation recommends.
pub(crate) trait Table<K, V>: Send + Sync + Sized {
    /// Whether entries can be given a time to live.
    const HAS_TTL: bool = false;

    /// An empty table with room for `capacity` entries, each of which lives for `ttl`.
    fn build(capacity: usize, ttl: Option<Duration>) -> Result<Self, Failure>;

    fn get(&self, key: &K) -> Option<V>;

    /// Stores a value under a copy of the key.
    fn insert(&self, key: &K, value: V);

    /// The value of a key, made now when there is none.
    fn get_or_insert(&self, key: &K, make: impl FnOnce() -> V + Send) -> V
    where
        V: Clone,
    {
        self.get(key).unwrap_or_else(|| {
            let value = make();
            self.insert(key, value.clone());
            value
        })
    }

    /// The values of many keys; a loop for those who have no such call.
    fn get_many(&self, keys: &[K]) -> Vec<Option<V>> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// Does now what the table put off.
    fn settle(&self) {}
}

/// Our cache, as a config text makes it and an application holds it.
#[derive(Debug)]
pub(crate) struct Ours<K: Key, V: CacheValue>(Blocking<K, V>);

impl<K: Key, V: CacheValue> Table<K, V> for Ours<K, V> {
    const HAS_TTL: bool = true;

    fn build(capacity: usize, ttl: Option<Duration>) -> Result<Self, Failure> {
        Ok(Self(our_cache(capacity, ttl)?.blocking()))
    }

    fn get(&self, key: &K) -> Option<V> {
        self.0.get(key).ok()?
    }

    fn insert(&self, key: &K, value: V) {
        self.0.set(key, value).expect("an open cache takes every key of a benchmark");
    }

    fn get_or_insert(&self, key: &K, make: impl FnOnce() -> V + Send) -> V {
        let made = self.0.get_or_load(key, || Ok::<V, Infallible>(make()));
        made.expect("a loader that cannot fail gives a value")
    }

    fn get_many(&self, keys: &[K]) -> Vec<Option<V>> {
        self.0.get_many(keys).expect("an open cache takes every key of a benchmark")
    }
}

impl<K, V> Table<K, V> for FoyerCache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn build(capacity: usize, _ttl: Option<Duration>) -> Result<Self, Failure> {
        Ok(Self::builder(capacity).build())
    }

    fn get(&self, key: &K) -> Option<V> {
        Self::get(self, key).map(|entry| entry.value().clone())
    }

    fn insert(&self, key: &K, value: V) {
        Self::insert(self, key.clone(), value);
    }
}

impl<K, V> Table<K, V> for MiniMokaCache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    const HAS_TTL: bool = true;

    fn build(capacity: usize, ttl: Option<Duration>) -> Result<Self, Failure> {
        let builder = Self::builder().max_capacity(u64::try_from(capacity)?);
        Ok(match ttl {
            Some(ttl) => builder.time_to_live(ttl).build(),
            None => builder.build(),
        })
    }

    fn get(&self, key: &K) -> Option<V> {
        Self::get(self, key)
    }

    fn insert(&self, key: &K, value: V) {
        Self::insert(self, key.clone(), value);
    }

    fn settle(&self) {
        self.sync();
    }
}

impl<K, V> Table<K, V> for MokaCache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    const HAS_TTL: bool = true;

    fn build(capacity: usize, ttl: Option<Duration>) -> Result<Self, Failure> {
        let builder = Self::builder().max_capacity(u64::try_from(capacity)?);
        Ok(match ttl {
            Some(ttl) => builder.time_to_live(ttl).build(),
            None => builder.build(),
        })
    }

    fn get(&self, key: &K) -> Option<V> {
        Self::get(self, key)
    }

    fn insert(&self, key: &K, value: V) {
        Self::insert(self, key.clone(), value);
    }

    fn get_or_insert(&self, key: &K, make: impl FnOnce() -> V + Send) -> V {
        self.get_with_by_ref(key, make)
    }

    fn settle(&self) {
        self.run_pending_tasks();
    }
}

impl<K, V> Table<K, V> for QuickCache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn build(capacity: usize, _ttl: Option<Duration>) -> Result<Self, Failure> {
        Ok(Self::new(capacity))
    }

    fn get(&self, key: &K) -> Option<V> {
        Self::get(self, key)
    }

    fn insert(&self, key: &K, value: V) {
        Self::insert(self, key.clone(), value);
    }

    fn get_or_insert(&self, key: &K, make: impl FnOnce() -> V + Send) -> V {
        match self.get_or_insert_with(key, || Ok::<V, Infallible>(make())) {
            Ok(value) => value,
        }
    }
}

impl<K, V> Table<K, V> for TinyUfo<K, V>
where
    K: Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn build(capacity: usize, _ttl: Option<Duration>) -> Result<Self, Failure> {
        Ok(Self::new(capacity, capacity))
    }

    fn get(&self, key: &K) -> Option<V> {
        Self::get(self, key)
    }

    fn insert(&self, key: &K, value: V) {
        drop(self.put(key.clone(), value, 1));
    }
}

/// A table with the entries of all numbers below `entries`, and room for as many again, so that
/// nothing is evicted, not even where the room is cut into shards.
pub(crate) fn filled<K, V, T>(entries: u64, ttl: Option<Duration>) -> Result<T, Failure>
where
    K: Numbered,
    V: Numbered,
    T: Table<K, V>,
{
    let table = T::build(usize::try_from(entries * 2)?, ttl)?;
    for number in 0..entries {
        table.insert(&K::from_number(number), V::from_number(number));
    }
    table.settle();
    Ok(table)
}

/// Our cache as a config text makes it.
pub(crate) fn our_cache<K, V>(
    capacity: usize,
    ttl: Option<Duration>,
) -> Result<Cache<K, V>, Failure>
where
    K: Key,
    V: CacheValue,
{
    let ttl = ttl.map_or_else(String::new, |ttl| format!("ttl = \"{}s\"\n", ttl.as_secs()));
    let text = format!(
        "version = 1\n[caches.bench]\n{ttl}\
         l1.backend = {{ kind = \"memory\", capacity = {capacity} }}\n"
    );
    let builder = CacheManager::builder().text("bench.toml", Format::Toml, text);
    let caches = builder.build_blocking()?;
    Ok(caches.local_cache("bench", CacheOptions::new())?)
}
