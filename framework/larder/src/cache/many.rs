//! Reading, storing and removing many keys at once.

use std::borrow::Borrow;

use larder_core::Result;

use super::Cache;
use crate::core::{CacheValue, Key, KeyRef};
use crate::settings::SetOptions;

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
        self.core.look_up_many(&keys).await
    }

    /// Stores many values, in one pass where nothing has to be waited for.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set), for the first one that fails; those before it are stored.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves some of them stored.
    pub async fn set_many(&self, entries: impl IntoIterator<Item = (K, V)>) -> Result<()> {
        let options = SetOptions::new();
        for (key, value) in entries {
            self.core.set(key, Some(value), &options).await?;
        }
        Ok(())
    }

    /// Removes many keys; how many were there.
    ///
    /// # Errors
    ///
    /// As [`delete`](Self::delete), for the first one that fails; those before it are removed.
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
        for key in keys {
            deleted += u64::from(self.core.delete(key).await?);
        }
        Ok(deleted)
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
    /// Dropping the future leaves some of them removed.
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
