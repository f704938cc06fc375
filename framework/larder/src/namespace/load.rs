//! Reading through a namespace.

use std::future::Future;

use larder_core::{CacheKey, Result};

use super::NamespacedCache;
use crate::core::{BoxError, CacheValue, Run, asking, boxed};
use crate::loaded::{Load, Loaded};
use crate::options::LoadOptions;
use crate::tier::count;

impl<V: CacheValue> NamespacedCache<V> {
    /// The value of a key, loaded if it is not there; see [`Cache::get_or_load`]. Counts as a hit
    /// when the first tier had it.
    ///
    /// [`Cache::get_or_load`]: crate::Cache::get_or_load
    ///
    /// # Errors
    ///
    /// As [`Cache::get_or_load`].
    ///
    /// # Cancellation
    ///
    /// As [`Cache::get_or_load`].
    pub async fn get_or_load<F, Fut, E>(
        &self,
        key: &(impl CacheKey + ?Sized),
        loader: F,
    ) -> Result<V>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.get_or_load_with(key, LoadOptions::new(), loader).await
    }

    /// Like [`get_or_load`](Self::get_or_load), with options of its own; see
    /// [`Cache::get_or_load_with`](crate::Cache::get_or_load_with).
    ///
    /// # Errors
    ///
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// # Cancellation
    ///
    /// As [`get_or_load`](Self::get_or_load).
    pub async fn get_or_load_with<F, Fut, E>(
        &self,
        key: &(impl CacheKey + ?Sized),
        options: impl Into<LoadOptions<V>>,
        loader: F,
    ) -> Result<V>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let run = || boxed(move || async move { loader().await.map(Some) });
        let loaded = self.find_or_load(key, (options.into(), false), run).await?;
        loaded.ok_or_else(|| self.cache.without_value())
    }

    /// Like [`get_or_load`](Self::get_or_load), for a loader that may find out that there is no
    /// value; see [`Cache::get_or_load_optional`](crate::Cache::get_or_load_optional). A remembered
    /// "there is none" is a hit.
    ///
    /// # Errors
    ///
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// # Cancellation
    ///
    /// As [`get_or_load`](Self::get_or_load).
    pub async fn get_or_load_optional<F, Fut, E>(
        &self,
        key: &(impl CacheKey + ?Sized),
        loader: F,
    ) -> Result<Option<V>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.find_or_load(key, (LoadOptions::new(), true), || boxed(loader)).await
    }

    /// Like [`get_or_load_optional`](Self::get_or_load_optional), for a loader that says more about
    /// its value; see
    /// [`Cache::get_or_load_with_context`](crate::Cache::get_or_load_with_context).
    ///
    /// # Errors
    ///
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// # Cancellation
    ///
    /// As [`get_or_load`](Self::get_or_load).
    pub async fn get_or_load_with_context<F, Fut, E>(
        &self,
        key: &(impl CacheKey + ?Sized),
        options: impl Into<LoadOptions<V>>,
        loader: F,
    ) -> Result<Option<V>>
    where
        F: FnOnce(Load<V>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.find_or_load(key, (options.into(), true), || asking(loader)).await
    }

    async fn find_or_load(
        &self,
        key: &(impl CacheKey + ?Sized),
        (mut options, takes_negative): (LoadOptions<V>, bool),
        run: impl FnOnce() -> Run<'static, V>,
    ) -> Result<Option<V>> {
        let key = self.key(key)?;
        options.set = self.tagged(options.set);
        let note = |is_hit| count(if is_hit { &self.stats.hits } else { &self.stats.misses });
        self.cache.find_or_load(key.as_str(), (options, takes_negative), run, note).await
    }
}
