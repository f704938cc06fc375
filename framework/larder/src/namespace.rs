//! [`NamespacedCache`], a part of a cache with keys, statistics and a `clear` of its own.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use larder_core::{CacheError, CacheKey, ErrorKind, Life, Result};

use crate::cache::Cache;
use crate::core::CacheValue;
use crate::settings::SetOptions;
use crate::tags::RESERVED;
use crate::tier::count;

mod load;

/// A part of a cache: every key gets a prefix, and [`clear`](Self::clear) touches nobody else.
///
/// Namespaces nest. Each handle from [`Cache::namespace`] counts for itself; clones count
/// together. Clearing is one step, however many entries there are: every entry carries a tag of
/// its namespace, and the tag is invalidated. What is stored past the namespace, by its whole key
/// through the cache, is found here but not cleared. A look-up builds the prefixed key, so it
/// allocates once.
pub struct NamespacedCache<V: CacheValue> {
    cache: Cache<String, V>,
    prefix: Arc<str>,
    /// The tags of this namespace and of those around it.
    tags: Arc<[String]>,
    stats: Arc<NamespaceCounters>,
}

#[derive(Debug, Default)]
struct NamespaceCounters {
    hits: AtomicU64,
    misses: AtomicU64,
    sets: AtomicU64,
    deletes: AtomicU64,
}

/// What happened through one namespace handle and its clones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct NamespaceStats {
    /// Look-ups that were answered.
    pub hits: u64,
    /// Look-ups that were not.
    pub misses: u64,
    /// Values stored.
    pub sets: u64,
    /// Entries deleted.
    pub deletes: u64,
}

impl<V: CacheValue> Cache<String, V> {
    /// The part of the cache whose keys begin with `name` and a colon.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Key`] when the name is empty or holds a colon or control character.
    pub fn namespace(&self, name: &str) -> Result<NamespacedCache<V>> {
        NamespacedCache::new(self.clone(), "", &[], name)
    }
}

impl<V: CacheValue> NamespacedCache<V> {
    fn new(cache: Cache<String, V>, outer: &str, tags: &[String], name: &str) -> Result<Self> {
        if name.is_empty() || name.contains(|c: char| c == ':' || c.is_control()) {
            return Err(CacheError::new(
                ErrorKind::Key,
                "the name of the namespace cannot be used",
            )
            .with("namespace", name)
            .hint("use a name without colons and control characters"));
        }
        let prefix = format!("{outer}{name}:");
        let tag = format!("{RESERVED}namespace:{prefix}");
        let tags = tags.iter().cloned().chain([tag]).collect();
        Ok(Self { cache, prefix: prefix.into(), tags, stats: Arc::default() })
    }

    /// A namespace within this one.
    ///
    /// # Errors
    ///
    /// As [`Cache::namespace`].
    pub fn namespace(&self, name: &str) -> Result<Self> {
        Self::new(self.cache.clone(), &self.prefix, &self.tags, name)
    }

    /// What every key begins with, such as `shop:eu:`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The value of a key; see [`Cache::get`].
    ///
    /// # Errors
    ///
    /// As [`Cache::get`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn get(&self, key: &(impl CacheKey + ?Sized)) -> Result<Option<V>> {
        let found = self.cache.get(self.key(key)?.as_str()).await?;
        count(if found.is_some() { &self.stats.hits } else { &self.stats.misses });
        Ok(found)
    }

    /// Stores a value; see [`Cache::set`].
    ///
    /// # Errors
    ///
    /// As [`Cache::set`].
    ///
    /// # Cancellation
    ///
    /// As [`Cache::set`].
    pub async fn set(&self, key: &(impl CacheKey + ?Sized), value: V) -> Result<()> {
        self.set_with(key, value, &SetOptions::new()).await
    }

    /// Stores a value with options of its own; see [`Cache::set_with`].
    ///
    /// # Errors
    ///
    /// As [`Cache::set`].
    ///
    /// # Cancellation
    ///
    /// As [`Cache::set`].
    pub async fn set_with(
        &self,
        key: &(impl CacheKey + ?Sized),
        value: V,
        options: &SetOptions,
    ) -> Result<()> {
        let key = self.key(key)?;
        self.cache.set_with(key.as_str(), value, &self.tagged(options.clone())).await?;
        count(&self.stats.sets);
        Ok(())
    }

    /// Removes a key; see [`Cache::delete`].
    ///
    /// # Errors
    ///
    /// As [`Cache::delete`].
    ///
    /// # Cancellation
    ///
    /// As [`Cache::delete`].
    pub async fn delete(&self, key: &(impl CacheKey + ?Sized)) -> Result<bool> {
        let deleted = self.cache.delete(self.key(key)?.as_str()).await?;
        if deleted {
            count(&self.stats.deletes);
        }
        Ok(deleted)
    }

    /// Makes an entry stale; see [`Cache::expire`].
    ///
    /// # Errors
    ///
    /// As [`Cache::expire`].
    ///
    /// # Cancellation
    ///
    /// As [`Cache::expire`].
    pub async fn expire(&self, key: &(impl CacheKey + ?Sized)) -> Result<bool> {
        self.cache.expire(self.key(key)?.as_str()).await
    }

    /// Whether there is a value; see [`Cache::exists`].
    ///
    /// # Errors
    ///
    /// As [`Cache::exists`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn exists(&self, key: &(impl CacheKey + ?Sized)) -> Result<bool> {
        self.cache.exists(self.key(key)?.as_str()).await
    }

    /// The values of many keys; see [`Cache::get_many`].
    ///
    /// # Errors
    ///
    /// As [`Cache::get_many`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn get_many<'q, Q>(
        &self,
        keys: impl IntoIterator<Item = &'q Q>,
    ) -> Result<Vec<Option<V>>>
    where
        Q: CacheKey + ?Sized + 'q,
    {
        let keys = keys.into_iter().map(|key| self.key(key)).collect::<Result<Vec<String>>>()?;
        let found = self.cache.get_many(keys.iter().map(String::as_str)).await?;
        for value in &found {
            count(if value.is_some() { &self.stats.hits } else { &self.stats.misses });
        }
        Ok(found)
    }

    /// Gives an entry a new life from now on; see [`Cache::touch`].
    ///
    /// # Errors
    ///
    /// As [`Cache::touch`].
    ///
    /// # Cancellation
    ///
    /// As [`Cache::touch`].
    pub async fn touch(
        &self,
        key: &(impl CacheKey + ?Sized),
        ttl: impl Into<Life>,
    ) -> Result<bool> {
        self.cache.touch(self.key(key)?.as_str(), ttl).await
    }

    /// How long an entry will live yet; see [`Cache::ttl`].
    ///
    /// # Errors
    ///
    /// As [`Cache::ttl`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn ttl(&self, key: &(impl CacheKey + ?Sized)) -> Result<Option<Life>> {
        self.cache.ttl(self.key(key)?.as_str()).await
    }

    /// Makes every entry of this namespace, and of those within it, unusable at once.
    ///
    /// # Errors
    ///
    /// As [`Cache::invalidate_tag`].
    ///
    /// # Cancellation
    ///
    /// As [`Cache::invalidate_tag`].
    pub async fn clear(&self) -> Result<()> {
        match self.tags.last() {
            Some(tag) => self.cache.invalidate_tag(tag).await,
            None => Ok(()),
        }
    }

    /// What happened through this handle and its clones.
    #[must_use]
    pub fn stats(&self) -> NamespaceStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        NamespaceStats {
            hits: read(&self.stats.hits),
            misses: read(&self.stats.misses),
            sets: read(&self.stats.sets),
            deletes: read(&self.stats.deletes),
        }
    }

    /// The key in the cache around. The key of the caller is checked for itself: the prefix must
    /// not make an empty one pass.
    fn key(&self, key: &(impl CacheKey + ?Sized)) -> Result<String> {
        key.check()?;
        let text: Cow<'_, str> = key.text();
        Ok(format!("{}{text}", self.prefix))
    }

    fn tagged(&self, options: SetOptions) -> SetOptions {
        options.tags(self.tags.iter().cloned())
    }
}

impl<V: CacheValue> Clone for NamespacedCache<V> {
    fn clone(&self) -> Self {
        Self {
            cache: self.cache.clone(),
            prefix: Arc::clone(&self.prefix),
            tags: Arc::clone(&self.tags),
            stats: Arc::clone(&self.stats),
        }
    }
}

impl<V: CacheValue> fmt::Debug for NamespacedCache<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NamespacedCache({} in {})", self.prefix, self.cache.name())
    }
}
