//! Reading through a namespace.

use std::future::Future;
use std::sync::Arc;

use larder_core::{CacheKey, Result};

use super::NamespacedCache;
use crate::cache::many::boxed_many;
use crate::core::{Batches, BoxError, CacheValue, Run, asking, boxed};
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

    /// The values of many keys, in the order of the keys; those that are not there are loaded, some
    /// at a time; see [`Cache::get_many_or_load`](crate::Cache::get_many_or_load). The loader gets
    /// the keys as they are within the namespace, and returns them so.
    ///
    /// # Errors
    ///
    /// As [`Cache::get_many_or_load`](crate::Cache::get_many_or_load).
    ///
    /// # Cancellation
    ///
    /// As [`get_or_load`](Self::get_or_load).
    pub async fn get_many_or_load<'q, Q, F, Fut, I, E>(
        &self,
        keys: impl IntoIterator<Item = &'q Q>,
        options: impl Into<LoadOptions<V>>,
        loader: F,
    ) -> Result<Vec<Option<V>>>
    where
        Q: CacheKey + ?Sized + 'q,
        F: Fn(Vec<String>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (String, V)>,
        E: Into<BoxError>,
    {
        let keys = keys.into_iter().map(|key| self.key(key)).collect::<Result<Vec<String>>>()?;
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut options = options.into();
        options.set = self.tagged(options.set);
        let prefix = Arc::clone(&self.prefix);
        let within = move |keys: Vec<String>| {
            let inner = keys.iter().filter_map(|key| key.strip_prefix(&*prefix));
            let found = loader(inner.map(str::to_owned).collect());
            let prefix = Arc::clone(&prefix);
            async move {
                let found = found.await?.into_iter();
                Ok::<Vec<_>, E>(
                    found.map(|(key, value)| (format!("{prefix}{key}"), value)).collect(),
                )
            }
        };
        let request = self.cache.request(options, boxed_many(within), Batches::OnTasks);
        self.cache.find_or_load_many(&keys, request).await
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
