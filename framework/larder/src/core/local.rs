//! Caches whose only tier is the store.
//!
//! Nothing that such a cache does itself has to wait, so nothing here is a future, and a look-up,
//! a `set` or a load costs little more than the store does. Only who follows the load of another
//! waits, and so does the loader of the application.

use std::borrow::Borrow;
use std::sync::Arc;

use larder_core::Result;
use larder_store::{Full, Insert, RemovalReason};

use super::change::check_tags;
use super::{CacheValue, Core, Key, KeyRef, StoreTier};
use crate::fence::{Fence, Tally};
use crate::settings::SetOptions;
use crate::stored::{Stored, stored, stored_with};
use crate::tags::Tags;
use crate::tier::count;

mod import;
mod load;

pub(crate) use import::{Origin, can_read, read_key};
pub(crate) use load::Flight;
pub(super) use load::{Boarding, SharedLead};

/// The store of a cache that has nothing else, and its fence.
pub(crate) struct Local<'a, K: Key, V: CacheValue> {
    store: &'a StoreTier<K, V>,
    fence: &'a Arc<Fence<Flight<K, V>>>,
}

impl<K: Key, V: CacheValue> Local<'_, K, V> {
    /// Changes the whole store.
    pub(super) fn change_all<R>(&self, change: impl FnOnce() -> R) -> R {
        self.fence.change_all(change)
    }

    /// Empties the store, for who has the fence.
    pub(super) fn clear(&self) {
        self.store.table.clear();
    }

    pub(super) fn tally(&self) -> Tally {
        self.fence.tally()
    }

    pub(super) fn reset_tally(&self) {
        self.fence.reset_tally();
    }
}

impl<K: Key, V: CacheValue> Core<K, V> {
    /// The store, if the cache has nothing else.
    #[inline]
    pub(crate) fn local(&self) -> Option<Local<'_, K, V>> {
        let store = self.store.as_ref()?;
        Some(Local { store, fence: store.fence.as_ref()? })
    }

    /// Stores a value, or "there is none".
    pub(crate) fn set_locally(
        &self,
        local: &Local<'_, K, V>,
        key: K,
        value: Option<V>,
        options: &SetOptions,
    ) -> Result<()> {
        self.check(&key)?;
        let (stored, insert) = match value {
            Some(value) if self.is_plain && options.are_plain() => {
                (stored(Some(value), None), Insert::default())
            }
            value => {
                check_tags(&options.tags)?;
                let tags = self.engine.local_tags(&options.tags);
                let Some(planned) = self.plan(|| &key, value, tags, options)? else {
                    return self.delete_locally(local, &key).map(drop);
                };
                planned
            }
        };
        let hash = local.store.table.hash_of(&key);
        // Nothing is read ahead of a step of the fence or a lock, so this is asked for before.
        local.store.table.prefetch(hash);
        let insert = || self.insert_locally(local, hash, key, stored, insert);
        local.fence.set(hash, insert).map_err(|full| {
            self.engine.counters.uncount_set();
            self.full(full)
        })
    }

    /// Removes a key; whether it was there.
    pub(crate) fn delete_locally<Q>(&self, local: &Local<'_, K, V>, key: &Q) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.check(key)?;
        let remove = || self.forget(key, RemovalReason::Deleted);
        let was_there = self.change_locally(local, key, remove);
        if was_there {
            count(&self.engine.counters.deletes);
        }
        Ok(was_there)
    }

    /// Changes what the store has of a key.
    pub(super) fn change_locally<Q, R>(
        &self,
        local: &Local<'_, K, V>,
        key: &Q,
        change: impl FnOnce() -> R,
    ) -> R
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        local.fence.change(local.store.table.hash_of(key), change)
    }

    /// How an entry is stored; `None` when it is not to be stored at all. Not for under the fence:
    /// it runs code of the application.
    #[inline]
    fn plan<B: Borrow<K>>(
        &self,
        key: impl Fn() -> B,
        value: Option<V>,
        tags: Option<Arc<Tags>>,
        options: &SetOptions,
    ) -> Result<Option<(Stored<V>, Insert)>> {
        if self.is_plain && value.is_some() && tags.is_none() && options.are_plain() {
            return Ok(Some((stored(value, None), Insert::default())));
        }
        let Some(lives) = self.lives(&key, value.as_ref(), options) else {
            return Ok(None);
        };
        let stored = stored_with(value, tags, options.etag.clone());
        self.check_size(key().borrow(), &stored)?;
        let insert = self.prepare(&key, &stored, lives, options.weight, None);
        Ok(Some((stored, insert)))
    }

    #[inline]
    fn insert_locally(
        &self,
        local: &Local<'_, K, V>,
        hash: u64,
        key: K,
        stored: Stored<V>,
        insert: Insert,
    ) -> Result<(), Full> {
        local.store.table.insert_hashed(hash, key, stored, insert)?;
        // Whoever closes the cache empties the store once. What comes in after that goes again.
        if self.engine.is_closed() {
            local.store.table.clear();
        }
        Ok(())
    }
}
