//! Reading through a cache in a program without a runtime.

use std::borrow::Borrow;
use std::future::ready;

use larder_core::Result;

use super::Blocking;
use crate::block::block_on;
use crate::cache::many::boxed_many;
use crate::core::{Batches, BoxError, CacheValue, Key, KeyRef, Loader, boxed};
use crate::options::LoadOptions;

impl<K: Key, V: CacheValue> Blocking<K, V> {
    /// See [`Cache::get_or_load`]. The loader runs on this thread, while the others wait for it; no
    /// limit stops it, and nothing is loaded again in the background.
    ///
    /// # Errors
    ///
    /// As [`Cache::get_or_load`]; and [`ErrorKind::Load`](crate::ErrorKind::Load) for a loader that
    /// asks for a key which it is to load itself.
    ///
    /// [`Cache::get_or_load`]: crate::Cache::get_or_load
    pub fn get_or_load<Q, E>(
        &self,
        key: &Q,
        loader: impl FnOnce() -> Result<V, E> + Send,
    ) -> Result<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
        E: Into<BoxError> + Send,
    {
        self.get_or_load_with(key, LoadOptions::new(), loader)
    }

    /// See [`Cache::get_or_load_with`]. The loader runs on this thread.
    ///
    /// # Errors
    ///
    /// As [`Cache::get_or_load`].
    ///
    /// [`Cache::get_or_load_with`]: crate::Cache::get_or_load_with
    /// [`Cache::get_or_load`]: crate::Cache::get_or_load
    pub fn get_or_load_with<Q, E>(
        &self,
        key: &Q,
        options: impl Into<LoadOptions<V>>,
        loader: impl FnOnce() -> Result<V, E> + Send,
    ) -> Result<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
        E: Into<BoxError> + Send,
    {
        let loaded = self.load(key, options.into(), || loader().map(Some), false)?;
        loaded.ok_or_else(|| self.cache.without_value())
    }

    /// See [`Cache::get_stale`].
    ///
    /// # Errors
    ///
    /// As [`Cache::get_stale`].
    ///
    /// [`Cache::get_stale`]: crate::Cache::get_stale
    pub fn get_stale<Q>(&self, key: &Q) -> Result<Option<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        block_on(self.cache.get_stale(key))
    }

    /// See [`Cache::get_or_load_optional`]. The loader runs on this thread.
    ///
    /// # Errors
    ///
    /// As [`Cache::get_or_load_optional`].
    ///
    /// [`Cache::get_or_load_optional`]: crate::Cache::get_or_load_optional
    pub fn get_or_load_optional<Q, E>(
        &self,
        key: &Q,
        loader: impl FnOnce() -> Result<Option<V>, E> + Send,
    ) -> Result<Option<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
        E: Into<BoxError> + Send,
    {
        self.load(key, LoadOptions::new(), loader, true)
    }

    /// See [`Cache::get_many_or_load`]. The loader runs here, for one batch after the other.
    ///
    /// # Errors
    ///
    /// As [`Cache::get_many_or_load`].
    ///
    /// [`Cache::get_many_or_load`]: crate::Cache::get_many_or_load
    pub fn get_many_or_load<'q, Q, I, E>(
        &self,
        keys: impl IntoIterator<Item = &'q Q>,
        options: impl Into<LoadOptions<V>>,
        loader: impl Fn(Vec<K>) -> Result<I, E> + Send + Sync + 'static,
    ) -> Result<Vec<Option<V>>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized + 'q,
        I: IntoIterator<Item = (K, V)> + Send + 'static,
        E: Into<BoxError> + Send + 'static,
    {
        let keys: Vec<&Q> = keys.into_iter().collect();
        let loader = boxed_many(move |keys| ready(loader(keys)));
        let request = self.cache.request(options.into(), loader, Batches::Here);
        block_on(self.cache.find_or_load_many(&keys, request))
    }

    fn load<Q, E>(
        &self,
        key: &Q,
        options: LoadOptions<V>,
        loader: impl FnOnce() -> Result<Option<V>, E> + Send,
        takes_negative: bool,
    ) -> Result<Option<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
        E: Into<BoxError> + Send,
    {
        let cause = match self.cache.core.fast(key) {
            Ok(answer) if answer.is_some() || takes_negative => return Ok(answer),
            Ok(_) => self.cache.core.count_unanswered(),
            Err(cause) => cause,
        };
        if let Some(local) = self.cache.core.local() {
            let request = (options, takes_negative);
            return self.cache.core.load_locally(&local, key, cause, request, loader);
        }
        let run = boxed(move || ready(loader()));
        let loader = Loader { run, options, takes_negative };
        block_on(self.cache.core.load_here(key, cause, loader))
    }
}
