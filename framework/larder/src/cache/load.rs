//! Reading through a cache: what is not there is loaded.

use std::borrow::Borrow;
use std::future::Future;

use larder_core::{CacheError, ErrorKind, Result};

use super::Cache;
use crate::core::{BoxError, CacheValue, Key, KeyRef, Loader, Run, asking, boxed};
use crate::loaded::{Load, Loaded};
use crate::options::LoadOptions;

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
    /// What happens when the load fails or takes long is up to `resilience` in the config; see
    /// [`LoadOptions`] for how one call says otherwise.
    ///
    /// A loader must not load its own key, which would wait for itself until the hard limit.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Load`] with the loader's error as its source (or the text of its panic in the
    /// context), the same for all who waited; [`ErrorKind::Timeout`] when the loader took longer
    /// than `resilience.hard_timeout`; [`ErrorKind::Key`]; [`ErrorKind::Closed`]. The first two
    /// only if there is no stale value to return instead. A failed load is not remembered, but for
    /// `resilience.stale_retry` after which a stale value is loaded anew.
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
        self.get_or_load_with(key, LoadOptions::new(), loader).await
    }

    /// Like [`get_or_load`](Self::get_or_load), with options of its own: [`LoadOptions`], or
    /// [`SetOptions`](crate::SetOptions) if they are only about how the value is stored.
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
        options: impl Into<LoadOptions<V>>,
        loader: F,
    ) -> Result<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let options = options.into();
        let run = || boxed(move || async move { loader().await.map(Some) });
        let loaded = self.find_or_load(key, (options, false), run, |_| ()).await?;
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
        self.find_or_load(key, (LoadOptions::new(), true), || boxed(loader), |_| ()).await
    }

    /// Like [`get_or_load_optional`](Self::get_or_load_optional), for a loader that wants to see
    /// the value that it replaces, and to say more about the one it makes: how long it lives, its
    /// tags, that it has not changed, that it shall not be stored.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use larder::{Cache, Load, Loaded, LoadOptions};
    /// # async fn fetch(etag: Option<&str>) -> std::io::Result<(u16, String, String)> {
    /// #     Ok((200, "Ada".to_owned(), "v1".to_owned()))
    /// # }
    /// # async fn example(users: Cache<u64, String>) -> larder::Result<()> {
    /// let load = |load: Load<String>| async move {
    ///     let (status, body, etag) = fetch(load.etag()).await?;
    ///     std::io::Result::Ok(match status {
    ///         304 => Loaded::not_modified(),
    ///         404 => Loaded::none(),
    ///         _ => Loaded::new(body).etag(etag).ttl(Duration::from_secs(60)),
    ///     })
    /// };
    /// let user = users.get_or_load_with_context(&42, LoadOptions::new(), load).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// # Cancellation
    ///
    /// As [`get_or_load`](Self::get_or_load).
    pub async fn get_or_load_with_context<Q, F, Fut, E>(
        &self,
        key: &Q,
        options: impl Into<LoadOptions<V>>,
        loader: F,
    ) -> Result<Option<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
        F: FnOnce(Load<V>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.find_or_load(key, (options.into(), true), || asking(loader), |_| ()).await
    }

    /// The value of a key even if its life is over, as long as `resilience.stale_for` keeps it.
    /// What was deleted, cleared or invalidated is never returned.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn get_stale<Q>(&self, key: &Q) -> Result<Option<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        match self.core.look_up(key).await? {
            Ok(answer) => Ok(answer),
            Err(_) => Ok(Box::pin(self.core.stale(key)).await),
        }
    }

    /// The value of a key, or that there is none if the caller takes that for an answer; loaded if
    /// it is not there. `note` is told whether the store had it.
    pub(crate) async fn find_or_load<Q>(
        &self,
        key: &Q,
        (options, takes_negative): (LoadOptions<V>, bool),
        run: impl FnOnce() -> Run<'static, V>,
        note: impl FnOnce(bool),
    ) -> Result<Option<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let core = &self.core;
        let cause = match core.fast_for_load(key, &options) {
            Ok((None, _)) if !takes_negative => core.count_unanswered(),
            Ok((answer, due)) => {
                note(true);
                if let Some(age) = due {
                    core.refresh(key, &age, Loader { run: run(), options, takes_negative });
                }
                return Ok(answer);
            }
            Err(cause) => cause,
        };
        note(false);
        let loader = Loader { run: run(), options, takes_negative };
        Box::pin(core.load(key, cause, loader)).await
    }

    pub(crate) fn without_value(&self) -> CacheError {
        CacheError::new(ErrorKind::Load, "the load ended without a value")
            .with("cache", self.name())
    }
}
