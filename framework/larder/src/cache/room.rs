//! What a cache holds in the process, how much, and what must stay there.

use std::borrow::Borrow;

use larder_core::policy::Capacity;
use larder_core::{CacheError, ErrorKind, Result};

use super::Cache;
use crate::core::{CacheValue, Key, KeyRef};
use crate::stored::Content;

impl<K: Key, V: CacheValue> Cache<K, V> {
    /// Keeps what the memory tier holds for a key from being evicted; whether it holds anything.
    /// It may still expire, be deleted and be invalidated, and a new value of the key stays pinned.
    ///
    /// What is pinned counts against the capacity. When nothing else is left to evict, new
    /// entries are not stored.
    ///
    /// ```
    /// # async fn example() -> larder::Result<()> {
    /// # let config = "[caches.rates]\nbackend = { kind = \"memory\", capacity = 100 }";
    /// # let caches = larder::CacheManager::from_str(larder::Format::Toml, config).await?;
    /// let rates = caches.cache::<String, f64>("rates")?;
    /// rates.set("EUR", 1.08).await?;
    /// assert!(rates.pin("EUR"));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn pin<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.core.store.as_ref().is_some_and(|store| store.table.pin(key, true))
    }

    /// Lets what the memory tier holds for a key be evicted again; whether it holds anything.
    pub fn unpin<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.core.store.as_ref().is_some_and(|store| store.table.pin(key, false))
    }

    /// Every key and value that the memory tier holds and may serve, in no order. Nothing is
    /// counted as a use; remembered absences are left out.
    ///
    /// Cost: clones everything, one shard under lock at a time; what comes in meanwhile may be left
    /// out.
    #[must_use]
    pub fn in_memory(&self) -> Vec<(K, V)> {
        let mut entries = Vec::new();
        if let Some(store) = &self.core.store {
            store.table.for_each(|key, stored| {
                if let Some(Some(value)) = stored.read() {
                    entries.push((key.clone(), value));
                }
            });
        }
        entries
    }

    /// Sets another capacity of the memory tier, until the cache is opened anew. What is beyond it
    /// is evicted before this returns; pinned entries stay.
    ///
    /// Cost: writers wait for a moment; then one lock for each eviction.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] when the first tier does not hold values in the process.
    pub fn resize(&self, capacity: Capacity) -> Result<()> {
        let Some(store) = &self.core.store else {
            return Err(CacheError::new(
                ErrorKind::Unsupported,
                "the first tier does not hold values in the process",
            )
            .with("cache", self.name())
            .hint("only a cache whose first tier is `memory` can be resized while it runs"));
        };
        store.table.resize(capacity);
        Ok(())
    }
}
