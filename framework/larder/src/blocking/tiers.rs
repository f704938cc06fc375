//! Calls that treat the tiers of a cache differently, made to wait.

use std::borrow::Borrow;

use larder_core::Result;

use super::Blocking;
use crate::block::block_on;
use crate::cache::Cache;
use crate::core::{CacheValue, Key, KeyRef};
use crate::read_options::ReadOptions;

impl<K: Key, V: CacheValue> Blocking<K, V> {
    /// See [`Cache::get_with`].
    ///
    /// # Errors
    ///
    /// As [`Cache::get_with`].
    pub fn get_with<Q>(&self, key: &Q, options: &ReadOptions) -> Result<Option<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        block_on(Cache::get_with(&self.cache, key, options))
    }

    /// See [`Cache::expire`].
    ///
    /// # Errors
    ///
    /// As [`Cache::expire`].
    pub fn expire<Q>(&self, key: &Q) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        block_on(Cache::expire(&self.cache, key))
    }
}
