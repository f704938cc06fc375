//! [`Blocking`], a cache for programs without a runtime.

use std::borrow::Borrow;
use std::fmt;
use std::io::{Read, Write};

use larder_core::{Life, Result};

use crate::block::block_on;
use crate::cache::many::Failures;
use crate::cache::{Cache, Lookup};
use crate::core::{CacheValue, Key, KeyRef};
use crate::settings::SetOptions;
use crate::snapshot::{Exported, ImportMode, Imported};
use crate::stats::MissCause;

mod load;
mod tiers;

/// The calls of a [`Cache`], made to wait. What each does and how it fails is said there.
///
/// A hit in memory costs the same as the asynchronous call. A call that has to wait parks the
/// thread, so do not use it on the threads of a runtime for caches with remote tiers. Backends
/// that need a runtime say so when they are built.
pub struct Blocking<K: Key, V: CacheValue> {
    cache: Cache<K, V>,
}

impl<K: Key, V: CacheValue> Blocking<K, V> {
    pub(crate) fn new(cache: Cache<K, V>) -> Self {
        Self { cache }
    }

    /// See [`Cache::get`].
    ///
    /// # Errors
    ///
    /// As [`Cache::get`].
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Result<Option<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        match self.cache.core.fast(key) {
            Ok(answer) => Ok(answer),
            Err(cause) => self.get_below(key, cause),
        }
    }

    fn put(&self, key: K, value: Option<V>, options: &SetOptions) -> Result<()> {
        let core = &self.cache.core;
        match core.local() {
            Some(local) => core.set_locally(&local, key, value, options),
            None => block_on(core.set(key, value, options)),
        }
    }

    #[inline(never)]
    fn get_below<Q>(&self, key: &Q, cause: MissCause) -> Result<Option<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let core = &self.cache.core;
        if core.local().is_some() {
            return core.check_missed(key, cause).map(|()| None);
        }
        Ok(block_on(core.look_below(key, cause))?.unwrap_or(None))
    }

    /// See [`Cache::lookup`].
    ///
    /// # Errors
    ///
    /// As [`Cache::lookup`].
    pub fn lookup<Q>(&self, key: &Q) -> Result<Lookup<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        block_on(self.cache.lookup(key))
    }

    /// See [`Cache::get_strict`].
    ///
    /// # Errors
    ///
    /// As [`Cache::get_strict`].
    pub fn get_strict<Q>(&self, key: &Q) -> Result<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        block_on(self.cache.get_strict(key))
    }

    /// See [`Cache::get_many`].
    ///
    /// # Errors
    ///
    /// As [`Cache::get_many`].
    pub fn get_many<'q, Q>(&self, keys: impl IntoIterator<Item = &'q Q>) -> Result<Vec<Option<V>>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized + 'q,
    {
        block_on(self.cache.get_many(keys))
    }

    /// See [`Cache::set`].
    ///
    /// # Errors
    ///
    /// As [`Cache::set`].
    pub fn set<Q>(&self, key: &Q, value: V) -> Result<()>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.put(key.to_owned(), Some(value), &SetOptions::new())
    }

    /// See [`Cache::set_with`].
    ///
    /// # Errors
    ///
    /// As [`Cache::set_with`].
    pub fn set_with<Q>(&self, key: &Q, value: V, options: &SetOptions) -> Result<()>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.put(key.to_owned(), Some(value), options)
    }

    /// See [`Cache::set_negative`].
    ///
    /// # Errors
    ///
    /// As [`Cache::set_negative`].
    pub fn set_negative<Q>(&self, key: &Q) -> Result<()>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.put(key.to_owned(), None, &SetOptions::new())
    }

    /// See [`Cache::set_many`].
    ///
    /// # Errors
    ///
    /// As [`Cache::set_many`].
    pub fn set_many(&self, entries: impl IntoIterator<Item = (K, V)>) -> Result<()> {
        let options = SetOptions::new();
        let mut failures = Failures::default();
        for (key, value) in entries {
            let stored = self.put(key, Some(value), &options);
            if stored.is_err_and(|error| !failures.go_on_after(error)) {
                break;
            }
        }
        failures.into_result()
    }

    /// See [`Cache::delete`].
    ///
    /// # Errors
    ///
    /// As [`Cache::delete`].
    pub fn delete<Q>(&self, key: &Q) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let core = &self.cache.core;
        match core.local() {
            Some(local) => core.delete_locally(&local, key),
            None => block_on(core.delete(key)),
        }
    }

    /// See [`Cache::delete_many`].
    ///
    /// # Errors
    ///
    /// As [`Cache::delete_many`].
    pub fn delete_many<'q, Q>(&self, keys: impl IntoIterator<Item = &'q Q>) -> Result<u64>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized + 'q,
    {
        block_on(self.cache.delete_many(keys))
    }

    /// See [`Cache::delete_pattern`].
    ///
    /// # Errors
    ///
    /// As [`Cache::delete_pattern`].
    pub fn delete_pattern(&self, pattern: &str) -> Result<u64> {
        block_on(self.cache.delete_pattern(pattern))
    }

    /// See [`Cache::keys`].
    ///
    /// # Errors
    ///
    /// As [`Cache::keys`].
    pub fn keys(&self, pattern: &str) -> Result<Vec<String>> {
        block_on(self.cache.keys(pattern))
    }

    /// See [`Cache::clear`].
    ///
    /// # Errors
    ///
    /// As [`Cache::clear`].
    pub fn clear(&self) -> Result<()> {
        block_on(self.cache.clear())
    }

    /// See [`Cache::invalidate_tag`].
    ///
    /// # Errors
    ///
    /// As [`Cache::invalidate_tag`].
    pub fn invalidate_tag(&self, tag: &str) -> Result<()> {
        block_on(self.cache.invalidate_tag(tag))
    }

    /// See [`Cache::export`]. Works on this thread.
    ///
    /// # Errors
    ///
    /// As [`Cache::export`].
    pub fn export<W>(&self, writer: W) -> Result<(Exported, W)>
    where
        W: Write + Send + 'static,
    {
        block_on(self.cache.export(writer))
    }

    /// See [`Cache::import`]. Works on this thread.
    ///
    /// # Errors
    ///
    /// As [`Cache::import`].
    pub fn import<R>(&self, reader: R, mode: ImportMode) -> Result<Imported>
    where
        R: Read + Send + 'static,
    {
        block_on(self.cache.import(reader, mode))
    }

    /// See [`Cache::exists`].
    ///
    /// # Errors
    ///
    /// As [`Cache::exists`].
    pub fn exists<Q>(&self, key: &Q) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        block_on(self.cache.exists(key))
    }

    /// See [`Cache::touch`].
    ///
    /// # Errors
    ///
    /// As [`Cache::touch`].
    pub fn touch<Q>(&self, key: &Q, ttl: impl Into<Life>) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        block_on(self.cache.touch(key, ttl))
    }

    /// See [`Cache::ttl`].
    ///
    /// # Errors
    ///
    /// As [`Cache::ttl`].
    pub fn ttl<Q>(&self, key: &Q) -> Result<Option<Life>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        block_on(self.cache.ttl(key))
    }
}

impl<K: Key, V: CacheValue> Clone for Blocking<K, V> {
    fn clone(&self) -> Self {
        Self { cache: self.cache.clone() }
    }
}

impl<K: Key, V: CacheValue> fmt::Debug for Blocking<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blocking({:?})", self.cache)
    }
}
