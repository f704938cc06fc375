//! Reading through a cache: what is not there is loaded.

use std::borrow::Borrow;
use std::future::Future;

use larder_core::{CacheError, ErrorKind, Result};

use super::Cache;
use crate::core::{BoxError, CacheValue, Key, KeyRef, Loader, boxed};
use crate::settings::SetOptions;
use crate::stats::MissCause;

impl<K: Key, V: CacheValue> Cache<K, V> {
    /// The value of a key, loaded if it is not there: one load per key at a time, however many
    /// callers, unless the config says `single_flight = false`.
    ///
    /// The load runs on a task of its own, so a caller that goes away neither cancels it nor
    /// strands the others. Its value is stored only if the key was not set, deleted, cleared or
    /// matched by a pattern since the load began; the callers get it in any case. A remembered
    /// "there is none" does not count as an answer here; see
    /// [`get_or_load_optional`](Self::get_or_load_optional).
    ///
    /// A loader must not load its own key, which would wait for itself until the hard limit.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Load`] with the loader's error as its source (or the text of its panic in the
    /// context), the same for all who waited; [`ErrorKind::Timeout`] when the loader took longer
    /// than `resilience.hard_timeout`; [`ErrorKind::Key`]; [`ErrorKind::Closed`]. A failed load is
    /// not remembered.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the load running, inside of a tokio runtime. Outside of one the
    /// load stops and one of those who wait starts theirs.
    pub async fn get_or_load<Q, F, Fut, E>(&self, key: &Q, loader: F) -> Result<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.get_or_load_with(key, SetOptions::new(), loader).await
    }

    /// Like [`get_or_load`](Self::get_or_load), storing with options of its own.
    ///
    /// # Errors
    ///
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// # Cancellation
    ///
    /// As [`get_or_load`](Self::get_or_load).
    pub async fn get_or_load_with<Q, F, Fut, E>(
        &self,
        key: &Q,
        options: SetOptions,
        loader: F,
    ) -> Result<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        match self.core.fast(key) {
            Ok(Some(value)) => Ok(value),
            Ok(None) => self.load_after(key, self.core.count_unanswered(), options, loader).await,
            Err(cause) => self.load_after(key, cause, options, loader).await,
        }
    }

    /// Loads what the store does not have for this cause.
    pub(crate) async fn load_after<Q, F, Fut, E>(
        &self,
        key: &Q,
        cause: MissCause,
        options: SetOptions,
        loader: F,
    ) -> Result<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let run = boxed(move || async move { loader().await.map(Some) });
        let loader = Loader { run, options, takes_negative: false };
        let loaded = Box::pin(self.core.load(key, cause, loader)).await?;
        loaded.ok_or_else(|| self.without_value())
    }

    /// Like [`get_or_load`](Self::get_or_load), for a loader that may find out that there is no
    /// value. That is remembered for the `negative_ttl` of the config.
    ///
    /// # Errors
    ///
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// # Cancellation
    ///
    /// As [`get_or_load`](Self::get_or_load).
    pub async fn get_or_load_optional<Q, F, Fut, E>(&self, key: &Q, loader: F) -> Result<Option<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let cause = match self.core.fast(key) {
            Ok(answer) => return Ok(answer),
            Err(cause) => cause,
        };
        self.load_optional_after(key, cause, SetOptions::new(), loader).await
    }

    /// Loads what the store does not have for this cause, if there is such a value.
    pub(crate) async fn load_optional_after<Q, F, Fut, E>(
        &self,
        key: &Q,
        cause: MissCause,
        options: SetOptions,
        loader: F,
    ) -> Result<Option<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let loader = Loader { run: boxed(loader), options, takes_negative: true };
        Box::pin(self.core.load(key, cause, loader)).await
    }

    pub(crate) fn without_value(&self) -> CacheError {
        CacheError::new(ErrorKind::Load, "the load ended without a value")
            .with("cache", self.name())
    }
}
