//! Storing, removing and clearing, in every tier.

use std::borrow::Borrow;
use std::collections::BTreeSet;

use larder_core::key::glob_matches;
use larder_core::{CacheError, ErrorKind, Life, Result};
use larder_store::{Full, Insert, RemovalReason};

use super::{CacheValue, Core, Key, KeyRef};
use crate::engine::Payloads;
use crate::settings::{Lives, SetOptions};
use crate::stored::Stored;
use crate::tier::count;

impl<K: Key, V: CacheValue> Core<K, V> {
    /// Stores a value, or "there is none", in every tier.
    pub(crate) async fn set(&self, key: K, value: Option<V>, options: &SetOptions) -> Result<()> {
        self.check(&key)?;
        let lives = match &value {
            Some(_) => self.engine.settings.lives(options, &*self.engine.clock),
            None => match self.engine.settings.negative_lives(&*self.engine.clock) {
                Some(lives) => lives,
                None => return self.delete(&key).await.map(drop),
            },
        };
        if lives.is_over {
            return self.delete(&key).await.map(drop);
        }
        check_tags(&options.tags)?;
        let tags = self.engine.capture_tags(&options.tags).await;
        let stored = Stored::new(value, tags);
        let done = if self.engine.tiers.is_empty() {
            self.set_in_store(key, stored, lives, options)
        } else {
            Box::pin(self.set_in_tiers(key, stored, lives, options)).await
        };
        if done.is_ok() {
            count(&self.engine.counters.sets);
        }
        done
    }

    fn set_in_store(
        &self,
        key: K,
        stored: Stored<V>,
        lives: Lives,
        options: &SetOptions,
    ) -> Result<()> {
        if let (Some(_), Some(codec), Some(value)) =
            (self.engine.settings.max_value_bytes, &self.codec, stored.value())
        {
            self.engine.check_size(codec.encode(value, &*self.serializer)?.len())?;
        }
        let place = self.place(&key);
        let insert = self.prepare(&key, &stored, lives, options.weight, None);
        let inserted = self.engine.fence.change(place, || self.insert(key, stored, insert));
        inserted.map_err(|full| self.full(full))
    }

    async fn set_in_tiers(
        &self,
        key: K,
        stored: Stored<V>,
        lives: Lives,
        options: &SetOptions,
    ) -> Result<()> {
        let payloads = self.encode(&stored)?;
        let bytes = payloads.len();
        let meta = self.engine.meta(&lives, stored.tags(), stored.value().is_none());
        let (text, place) = (key.text().into_owned(), self.place(&key));
        let insert = self.prepare(&key, &stored, lives, options.weight, bytes);
        let is_typed = self.store.is_some();
        let mut kept = Ok(());
        let outcome = self
            .engine
            .change_key(
                place,
                || {
                    self.forget(&key, RemovalReason::Replaced);
                },
                self.engine.put(&text, payloads, &meta),
                |outcome| {
                    // With a store in front the tiers below may fail: the value is served from
                    // the store, and the failure was reported.
                    if outcome.is_ok() || is_typed {
                        kept = self.insert(key.clone(), stored, insert);
                    }
                },
            )
            .await;
        if is_typed && kept.is_ok() { Ok(()) } else { outcome }
    }

    /// The value of an entry in the format of each byte tier.
    pub(super) fn encode(&self, stored: &Stored<V>) -> Result<Payloads> {
        let codec = self.codec.as_ref();
        let encoded = self.engine.payloads(|serializer| match (stored.value(), codec) {
            (None, _) => Ok(Vec::new()),
            (Some(value), Some(codec)) => codec.encode(value, serializer),
            (Some(_), None) => {
                Err(CacheError::new(ErrorKind::Unsupported, "the type of the value has no serde"))
            }
        });
        encoded.map_err(|error| error.with("cache", &self.engine.name))
    }

    /// How an entry will be put into the store. Not for under the fence: it runs the weigher of the
    /// application, or the serializer.
    pub(super) fn prepare(
        &self,
        key: &K,
        stored: &Stored<V>,
        lives: Lives,
        weight: Option<u32>,
        bytes: Option<usize>,
    ) -> Insert {
        let Some(store) = &self.store else {
            return Insert::default();
        };
        let lives = lives.at_most(store.ttl, &*self.engine.clock);
        let weight = weight.unwrap_or_else(|| self.weigh.weigh(key, stored.value(), bytes));
        Insert::default().deadline(lives.deadline).idle_ttl(lives.idle).weight(weight)
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

    fn full(&self, full: Full) -> CacheError {
        CacheError::new(ErrorKind::Capacity, "the cache is full")
            .with("cache", &self.engine.name)
            .with("max_size", full.max_size)
            .with("current_size", full.current_size)
            .hint("raise `capacity` or `max_bytes`, or set `on_full = \"evict\"`")
    }

    fn forget<Q>(&self, key: &Q, reason: RemovalReason) -> bool
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
        self.check(key)?;
        let place = self.place(key);
        let mut was_there = false;
        let removed = if self.engine.tiers.is_empty() {
            was_there =
                self.engine.fence.change(place, || self.forget(key, RemovalReason::Deleted));
            Ok(false)
        } else {
            let text = key.text();
            let forget = || was_there |= self.forget(key, RemovalReason::Deleted);
            Box::pin(self.engine.change_key(place, forget, self.engine.remove(&text), |_| ())).await
        };
        let was_there = removed? || was_there;
        if was_there {
            count(&self.engine.counters.deletes);
        }
        Ok(was_there)
    }

    /// Removes every entry from every tier.
    pub(crate) async fn clear_all(&self) -> Result<()> {
        self.engine.check_open()?;
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
        let removed = self.engine.remove_matching(pattern, forget).await?;
        deleted.extend(removed);
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
        let lives = self.engine.settings.lives(&SetOptions::new().ttl(ttl), &*self.engine.clock);
        if lives.is_over {
            return self.delete(key).await;
        }
        if !self.exists(key).await? {
            return Ok(false);
        }
        let place = self.place(key);
        let touch = || {
            if let Some(store) = &self.store {
                let deadline = lives.at_most(store.ttl, &*self.engine.clock).deadline;
                store.table.touch(key, deadline);
            }
        };
        if self.engine.tiers.is_empty() {
            self.engine.fence.change(place, touch);
            return Ok(true);
        }
        let text = key.text();
        let touched =
            self.engine.change_key(place, touch, self.engine.touch(&text, &lives), |_| ());
        Box::pin(touched).await.map(|()| true)
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

fn check_tags(tags: &[String]) -> Result<()> {
    if tags.len() > MAX_TAGS {
        return Err(CacheError::new(ErrorKind::Capacity, "an entry has too many tags")
            .with("current_size", tags.len())
            .with("max_size", MAX_TAGS));
    }
    Ok(())
}
