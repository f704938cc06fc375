//! Reading, storing and removing many keys at once.

use std::borrow::Borrow;
use std::future::Future;
use std::sync::Arc;

use larder_core::{CacheError, Result};

use super::Cache;
use crate::core::{Batches, BoxError, CacheValue, Key, KeyRef, LoadMany, Request};
use crate::options::LoadOptions;
use crate::settings::SetOptions;
use crate::tier::is_outage;

/// Boxes a loader of many keys.
pub(crate) fn boxed_many<K, V, F, Fut, I, E>(loader: F) -> LoadMany<K, V>
where
    F: Fn(Vec<K>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<I, E>> + Send + 'static,
    I: IntoIterator<Item = (K, V)>,
    E: Into<BoxError>,
{
    Arc::new(move |keys| {
        let found = loader(keys);
        Box::pin(async move {
            let found = found.await.map_err(Into::into)?;
            Ok(found.into_iter().collect())
        })
    })
}

/// What failed of many changes.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    first: Option<CacheError>,
}

impl Failures {
    /// Takes notice of what failed for one key; whether it makes sense to go on with the next.
    pub(crate) fn go_on_after(&mut self, error: CacheError) -> bool {
        let is_of_all = is_outage(&error) && !error.is_of_a_part();
        self.first.get_or_insert(error);
        !is_of_all
    }

    pub(crate) fn into_result(self) -> Result<()> {
        self.first.map_or(Ok(()), Err)
    }
}

impl<K: Key, V: CacheValue> Cache<K, V> {
    /// The values of many keys, in the order of the keys. Tiers below the store are asked once
    /// for all keys that the store does not have.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), for the first key that fails.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn get_many<'q, Q>(
        &self,
        keys: impl IntoIterator<Item = &'q Q>,
    ) -> Result<Vec<Option<V>>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized + 'q,
    {
        let keys: Vec<&Q> = keys.into_iter().collect();
        self.core.look_up_many(&keys, |_| None).await
    }

    /// The values of many keys, in the order of the keys; those that are not there are loaded, some
    /// at a time: a hundred, or as many as [`LoadOptions::batch`] says. `loader` gets the keys that
    /// are missing and returns those that it found, in any order; for all others there is no value,
    /// which is remembered for the `negative_ttl` of the config.
    ///
    /// A key that somebody else loads already is waited for, and who wants one of these keys
    /// meanwhile waits for this load. The batches run beside each other.
    ///
    /// # Errors
    ///
    /// As [`get_or_load`](Self::get_or_load), for the first key that has neither a value nor
    /// anything to fall back on. When one batch fails, what the others loaded is stored all the
    /// same.
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
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized + 'q,
        F: Fn(Vec<K>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K, V)>,
        E: Into<BoxError>,
    {
        let keys: Vec<&Q> = keys.into_iter().collect();
        let request = self.request(options.into(), boxed_many(loader), Batches::OnTasks);
        self.find_or_load_many(&keys, request).await
    }

    /// What a caller wants from now on.
    pub(crate) fn request(
        &self,
        options: LoadOptions<V>,
        loader: LoadMany<K, V>,
        batches: Batches,
    ) -> Request<K, V> {
        Request { options, loader, batches, begun: self.core.engine.clock.now() }
    }

    pub(crate) async fn find_or_load_many<Q>(
        &self,
        keys: &[&Q],
        request: Request<K, V>,
    ) -> Result<Vec<Option<V>>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let core = &self.core;
        let end = |missing: &[(usize, _)]| {
            request.end(missing.iter().map(|(index, _)| core.settings_for(keys[*index])))
        };
        let mut answers = core.look_up_many(keys, end).await?;
        let missing: Vec<usize> = (0..keys.len()).filter(|at| answers[*at].is_none()).collect();
        if missing.is_empty() {
            return Ok(answers);
        }
        let wanted = missing.iter().map(|at| keys[*at].to_owned()).collect();
        let loaded = Box::pin(core.load_many(wanted, request)).await;
        for (at, outcome) in missing.into_iter().zip(loaded) {
            answers[at] = outcome?;
        }
        Ok(answers)
    }

    /// Stores many values, in one pass where nothing has to be waited for.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set), for the first one that fails. What can be stored is stored all the
    /// same: all are tried, unless the error says that no tier works. One
    /// [of a part](CacheError::is_of_a_part), such as a node of a cluster, does not say that.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves some of them stored.
    pub async fn set_many(&self, entries: impl IntoIterator<Item = (K, V)>) -> Result<()> {
        let options = SetOptions::new();
        let mut failures = Failures::default();
        for (key, value) in entries {
            let stored = self.core.set(key, Some(value), &options).await;
            if stored.is_err_and(|error| !failures.go_on_after(error)) {
                break;
            }
        }
        failures.into_result()
    }

    /// Removes many keys; how many were there.
    ///
    /// # Errors
    ///
    /// As [`delete`](Self::delete), for the first one that fails. All are tried, unless the error
    /// says that no tier works.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves some of them removed.
    pub async fn delete_many<'q, Q>(&self, keys: impl IntoIterator<Item = &'q Q>) -> Result<u64>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized + 'q,
    {
        let mut deleted = 0;
        let mut failures = Failures::default();
        for key in keys {
            match self.core.delete(key).await {
                Ok(was_there) => deleted += u64::from(was_there),
                Err(error) => {
                    if !failures.go_on_after(error) {
                        break;
                    }
                }
            }
        }
        failures.into_result().map(|()| deleted)
    }

    /// Removes every key whose text matches a glob such as `user:*`; how many there were.
    ///
    /// Cost: goes through all keys. For groups that are known beforehand use tags.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) when a tier cannot list its keys; as
    /// [`delete`](Self::delete) otherwise. The store is empty of the keys in every case.
    ///
    /// # Cancellation
    ///
    /// Those that are left when the future is dropped are not served any more, and removed later.
    pub async fn delete_pattern(&self, pattern: &str) -> Result<u64> {
        self.core.delete_pattern(pattern).await
    }

    /// The texts of all keys that match a glob such as `user:*`, sorted: `*` for all. Entries that
    /// nobody could read any more may be among them.
    ///
    /// Cost: goes through all keys, and holds those that match in memory.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) when a tier cannot list its keys; what
    /// a tier says that fails.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn keys(&self, pattern: &str) -> Result<Vec<String>> {
        self.core.keys(pattern).await
    }
}
