//! Storing, removing and clearing, in every tier.

use std::borrow::Borrow;
use std::collections::BTreeSet;

use larder_core::key::glob_matches;
use larder_core::{CacheError, ErrorKind, Life, Result, Tier};
use larder_store::{Full, Insert, RemovalReason};

use super::{AnyCache, CacheValue, Core, Key, KeyRef, place};
use crate::engine::Payloads;
use crate::settings::{Lives, SetOptions};
use crate::stored::{Content, Stored, stored};
use crate::tier::count;

impl<K: Key, V: CacheValue> Core<K, V> {
    /// Stores a value, or "there is none", in every tier.
    pub(crate) async fn set(&self, key: K, value: Option<V>, options: &SetOptions) -> Result<()> {
        match self.local() {
            Some(local) => self.set_locally(&local, key, value, options),
            // Boxed, so that the future of what never waits stays small.
            None => Box::pin(self.set_in_tiers(key, value, options)).await,
        }
    }

    /// How long an entry lives that is stored now; `None` when it is not to be stored at all. Not
    /// for under the fence: it runs code of the application.
    pub(super) fn lives<B: Borrow<K>>(
        &self,
        key: impl Fn() -> B,
        value: Option<&V>,
        options: &SetOptions,
    ) -> Option<Lives> {
        let clock = &*self.engine.clock;
        let settings = match self.engine.rules.is_empty() {
            true => &self.engine.settings,
            false => self.settings_for(key().borrow()),
        };
        let Some(value) = value else {
            return settings.negative_lives(clock).filter(|lives| !lives.is_over);
        };
        let by_code = || self.ttl_by.as_ref().and_then(|ttl_by| ttl_by(key().borrow(), value));
        let mut lives = settings.lives(options.ttl.or_else(by_code), options.idle_ttl, clock);
        if let Some(stale_for) = options.stale_for {
            lives.stale = stale_for.duration().unwrap_or_default();
            lives.is_aging |= !lives.stale.is_zero();
        }
        lives.is_aging |= options.is_aging;
        lives.cost = options.cost;
        (!lives.is_over).then_some(lives)
    }

    /// Refuses a value over the limit for its key, before it is stored in the store alone.
    pub(super) fn check_size(&self, key: &K, stored: &Stored<V>) -> Result<()> {
        match (self.settings_for(key).max_value_bytes, &self.codec, stored.value()) {
            (Some(_), Some(codec), Some(value)) => {
                let bytes = codec.encode(value, &*self.format.serializer)?;
                self.engine.check_size(&key.text(), bytes.len())
            }
            _ => Ok(()),
        }
    }

    async fn set_in_tiers(&self, key: K, value: Option<V>, options: &SetOptions) -> Result<()> {
        self.check(&key)?;
        let Some(lives) = self.lives(|| &key, value.as_ref(), options) else {
            return self.delete(&key).await.map(drop);
        };
        check_tags(&options.tags)?;
        let tags = self.engine.capture_tags(&options.tags).await;
        let stored = stored(value, tags);
        let (text, place) = (key.text().into_owned(), place(&key));
        let payloads = self.encode(&text, &stored)?;
        let bytes = payloads.len();
        let meta = self.engine.meta(&lives, stored.tags(), stored.value().is_none());
        let insert = self.prepare(|| &key, &stored, lives, options.weight, bytes);
        let is_typed = self.store.is_some();
        let mut kept = Ok(());
        let outcome = self
            .engine
            .change_key(
                place,
                || {
                    self.forget(&key, RemovalReason::Replaced);
                },
                self.engine.put(&text, payloads.without(options.skip), &meta),
                |outcome| {
                    // With a store in front the tiers below may fail: the value is served from
                    // the store, and the failure was reported.
                    if (outcome.is_ok() || is_typed) && !options.skip.has(Tier::L1) {
                        kept = self.insert(key.clone(), stored, insert);
                    }
                },
            )
            .await;
        let is_in_store = is_typed && !options.skip.has(Tier::L1);
        let done = if is_in_store && kept.is_ok() { Ok(()) } else { outcome };
        done.inspect(|()| count(&self.engine.counters.sets))
    }

    /// The value of an entry in the format of each byte tier.
    pub(super) fn encode(&self, key: &str, stored: &Stored<V>) -> Result<Payloads> {
        let codec = self.codec.as_ref();
        let encoded = self.engine.payloads(key, |serializer| match (stored.value(), codec) {
            (None, _) => Ok(None),
            (Some(value), Some(codec)) => codec.encode(value, serializer).map(Some),
            (Some(_), None) => {
                Err(CacheError::new(ErrorKind::Unsupported, "the type of the value has no serde"))
            }
        });
        encoded.map_err(|error| error.with("cache", &self.engine.name))
    }

    /// How an entry will be put into the store. Not for under the fence: it runs the weigher of the
    /// application, or the serializer.
    pub(super) fn prepare<B: Borrow<K>>(
        &self,
        key: impl FnOnce() -> B,
        stored: &Stored<V>,
        lives: Lives,
        weight: Option<u32>,
        bytes: Option<usize>,
    ) -> Insert {
        let Some(store) = &self.store else {
            return Insert::default();
        };
        let deadline = lives.deadline_within(store.ttl, &*self.engine.clock);
        let weight = weight.unwrap_or_else(|| self.weigh.weigh(key, stored.value(), bytes));
        let ageing = lives.ageing(deadline, &*self.engine.clock);
        Insert::default().deadline(deadline).idle_ttl(lives.idle).weight(weight).ageing(ageing)
    }

    /// Puts an entry into the store, for who has the fence.
    pub(super) fn insert(&self, key: K, stored: Stored<V>, insert: Insert) -> Result<(), Full> {
        match &self.store {
            // It was emptied, and nobody will empty it again.
            Some(_) if self.engine.is_closed() => Ok(()),
            Some(store) => store.table.insert(key, stored, insert).map(drop),
            None => Ok(()),
        }
    }

    pub(super) fn full(&self, full: Full) -> CacheError {
        CacheError::new(ErrorKind::Capacity, "the cache is full")
            .with("cache", &self.engine.name)
            .with("max_size", full.max_size)
            .with("current_size", full.current_size)
            .hint("raise `capacity` or `max_bytes`, or set `on_full = \"evict\"`")
    }

    pub(super) fn forget<Q>(&self, key: &Q, reason: RemovalReason) -> bool
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.store.as_ref().is_some_and(|store| store.table.remove_as(key, reason).is_some())
    }

    /// Removes a key from every tier; whether it was there.
    pub(crate) async fn delete<Q>(&self, key: &Q) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        match self.local() {
            Some(local) => self.delete_locally(&local, key),
            None => Box::pin(self.delete_in_tiers(key)).await,
        }
    }

    async fn delete_in_tiers<Q>(&self, key: &Q) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.check(key)?;
        let (text, place) = (key.text(), place(key));
        let mut was_there = false;
        let forget = || was_there |= self.forget(key, RemovalReason::Deleted);
        let remove = self.engine.remove(&text);
        let removed = self.engine.change_key(place, forget, remove, |_| ()).await;
        let was_there = removed? || was_there;
        if was_there {
            count(&self.engine.counters.deletes);
        }
        Ok(was_there)
    }

    /// Makes an entry stale in every tier; whether it was there.
    pub(crate) async fn expire<Q>(&self, key: &Q) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.check(key)?;
        let expire = || self.store.as_ref().is_some_and(|store| store.table.expire(key));
        if let Some(local) = self.local() {
            return Ok(self.change_locally(&local, key, expire));
        }
        let (text, place) = (key.text(), place(key));
        let mut was_there = false;
        let in_store = || was_there |= expire();
        let in_tiers = self.engine.expire(&text);
        let expired = Box::pin(self.engine.change_key(place, in_store, in_tiers, |_| ())).await;
        Ok(expired? || was_there)
    }

    /// Removes every entry from every tier.
    pub(crate) async fn clear_all(&self) -> Result<()> {
        self.engine.check_open()?;
        if self.local().is_some() {
            self.empty_store();
            return Ok(());
        }
        let empty = || {
            if let Some(store) = &self.store {
                store.table.clear();
            }
        };
        self.engine.clear(empty).await
    }

    /// Removes every key that matches a glob; how many there were.
    pub(crate) async fn delete_pattern(&self, pattern: &str) -> Result<u64> {
        self.engine.check_open()?;
        let mut deleted = BTreeSet::new();
        let forget = || {
            if let Some(store) = &self.store {
                store.table.remove_if(|key, _| {
                    let text = key.text();
                    let matches = glob_matches(pattern, &text);
                    if matches {
                        deleted.insert(text.into_owned());
                    }
                    matches
                });
            }
        };
        if let Some(local) = self.local() {
            local.change_all(forget);
        } else {
            let removed = self.engine.remove_matching(pattern, forget).await?;
            deleted.extend(removed);
        }
        self.engine
            .counters
            .deletes
            .fetch_add(deleted.len() as u64, std::sync::atomic::Ordering::Relaxed);
        Ok(deleted.len() as u64)
    }

    /// Gives an entry a new life; whether there was one.
    pub(crate) async fn touch<Q>(&self, key: &Q, ttl: Life) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.check(key)?;
        let lives = self.settings_for(key).lives(Some(ttl), None, &*self.engine.clock);
        if lives.is_over {
            return self.delete(key).await;
        }
        let touch = || {
            if let Some(store) = &self.store {
                let deadline = lives.deadline_within(store.ttl, &*self.engine.clock);
                store.table.touch(key, deadline);
            }
        };
        if let Some(local) = self.local() {
            let touch = || {
                let is_there = matches!(self.peek(key), Some(Some(_)));
                if is_there {
                    touch();
                }
                is_there
            };
            return Ok(self.change_locally(&local, key, touch));
        }
        let in_store = |touched: &Result<bool>| {
            if let Ok(true) = touched {
                touch();
            }
        };
        let in_tiers = self.touch_in_tiers(key, &lives);
        Box::pin(self.engine.change_key(place(key), || (), in_tiers, in_store)).await
    }

    /// Gives the value that is to be had of a key a new life in the byte tiers; whether there is
    /// one. The caller has the turn of the key.
    async fn touch_in_tiers<Q>(&self, key: &Q, lives: &Lives) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let text = key.text();
        let seen = match self.peek(key) {
            Some(None) => return Ok(false),
            Some(value) => Some(self.encode(&text, &stored(value, None))?),
            None => None,
        };
        self.engine.touch(&text, lives, seen.as_ref()).await
    }

    /// What the store has of a key that may be served.
    pub(super) fn peek<Q>(&self, key: &Q) -> Option<Option<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.store.as_ref()?.table.peek(key)?.read()
    }

    /// Makes every entry that carries a tag unusable.
    pub(crate) async fn invalidate_tag(&self, tag: &str) -> Result<()> {
        self.engine.check_open()?;
        let cell = self.engine.tags.cell(tag);
        self.engine.move_tag(&cell).await.map_err(|error| {
            CacheError::new(ErrorKind::Invalidation, "the tag was invalidated in this process only")
                .with("cache", &self.engine.name)
                .with("tag", tag)
                .caused_by(error)
        })
    }
}

/// More tags do not fit into the header of an entry.
const MAX_TAGS: usize = 32;

pub(super) fn check_tags(tags: &[String]) -> Result<()> {
    if tags.len() > MAX_TAGS {
        return Err(CacheError::new(ErrorKind::Capacity, "an entry has too many tags")
            .with("current_size", tags.len())
            .with("max_size", MAX_TAGS));
    }
    Ok(())
}
