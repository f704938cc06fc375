//! [`Cache`], the typed handle that an application works with. Loading is in [`load`], what
//! concerns many keys in [`many`], the capacity in [`room`], and copies in [`snapshot`].

use std::any::type_name;
use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use larder_core::{CacheError, ErrorKind, Life, Result};

use crate::blocking::Blocking;
use crate::core::{CacheValue, Core, Key, KeyRef};
use crate::read_options::ReadOptions;
use crate::settings::SetOptions;
use crate::stats::{CacheStats, MissCause};

mod load;
pub(crate) mod many;
mod room;
mod snapshot;

/// A named cache with keys `K` and values `V`. Cheap to clone; all clones are one cache.
///
/// A hit in the first tier, when that is memory, neither allocates nor waits; the future is ready
/// at its first poll. What lies below (files, servers) is asked only after a miss there, for a
/// bounded time, and a tier that fails is skipped and reported, never returned as an error of
/// `get`.
///
/// ```
/// # async fn example() -> larder::Result<()> {
/// let caches = larder::CacheManager::from_str(
///     larder::Format::Toml,
///     "[caches.users]\nttl = \"10m\"\nbackend = { kind = \"memory\", capacity = 1000 }",
/// )
/// .await?;
/// let users = caches.cache::<u64, String>("users")?;
/// let user = users.get_or_load(&42, || async { std::io::Result::Ok("Ada".to_owned()) }).await?;
/// assert_eq!(user, "Ada");
/// assert_eq!(users.get(&42).await?, Some("Ada".to_owned()));
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
pub struct Cache<K: Key, V: CacheValue> {
    pub(crate) core: Arc<Core<K, V>>,
}

/// The answer to [`Cache::lookup`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "there is a value, it is known that none is, or neither"
)]
pub enum Lookup<V> {
    /// The value.
    Hit(V),
    /// Nothing is known, and why.
    Miss(MissCause),
    /// It is remembered that there is no value.
    Negative,
}

impl<K: Key, V: CacheValue> Cache<K, V> {
    pub(crate) fn new(core: Arc<Core<K, V>>) -> Self {
        Self { core }
    }

    /// The name of the cache.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.core.engine.name
    }

    /// The value of a key, if there is one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Key`] for a key that no cache takes, [`ErrorKind::Closed`] after the cache was
    /// closed; neither is noticed on a hit.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn get<Q>(&self, key: &Q) -> Result<Option<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        Ok(self.core.look_up(key).await?.unwrap_or(None))
    }

    /// Like [`get`](Self::get), with options of its own: which tiers are asked.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn get_with<Q>(&self, key: &Q, options: &ReadOptions) -> Result<Option<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        Ok(self.core.look_up_as(key, options.look).await?.unwrap_or(None))
    }

    /// Like [`get`](Self::get), and says why there is no value.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn lookup<Q>(&self, key: &Q) -> Result<Lookup<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        Ok(match self.core.look_up(key).await? {
            Ok(Some(value)) => Lookup::Hit(value),
            Ok(None) => Lookup::Negative,
            Err(cause) => Lookup::Miss(cause),
        })
    }

    /// Like [`get`](Self::get), but a missing value is an error.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Expired`] when the entry was there and its life is over (as far as the store
    /// remembers), [`ErrorKind::Key`] when it is missing for any other reason.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn get_strict<Q>(&self, key: &Q) -> Result<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let (kind, message, cause) = match self.lookup(key).await? {
            Lookup::Hit(value) => return Ok(value),
            Lookup::Miss(MissCause::Expired) => {
                (ErrorKind::Expired, "the entry expired", "expired")
            }
            Lookup::Miss(cause) => (ErrorKind::Key, "there is no such entry", cause.as_str()),
            Lookup::Negative => (ErrorKind::Key, "there is no such value", "negative"),
        };
        Err(CacheError::new(kind, message)
            .during("get")
            .with("cache", self.name())
            .with("key", key.text())
            .with("cause", cause))
    }

    /// Stores a value in every tier, with the life that the config says.
    ///
    /// When the cache has a store in front, a tier below it that fails is skipped and reported.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Key`], [`ErrorKind::Capacity`] (too large, or full with
    /// `on_full = "reject"`), [`ErrorKind::Serialization`], [`ErrorKind::Closed`]; and what the
    /// last tier says when no tier took the value. In every case the old value is gone or, for
    /// the first three, untouched.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the old value, the new one, or none, and the store empty of the
    /// key. A backend that has begun to write may still end it later.
    pub async fn set<Q>(&self, key: &Q, value: V) -> Result<()>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.core.set(key.to_owned(), Some(value), &SetOptions::new()).await
    }

    /// Stores a value with options of its own.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    ///
    /// # Cancellation
    ///
    /// As [`set`](Self::set).
    pub async fn set_with<Q>(&self, key: &Q, value: V, options: &SetOptions) -> Result<()>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.core.set(key.to_owned(), Some(value), options).await
    }

    /// Remembers that there is no value, for the `negative_ttl` of the config. Without one it is
    /// the same as [`delete`](Self::delete).
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    ///
    /// # Cancellation
    ///
    /// As [`set`](Self::set).
    pub async fn set_negative<Q>(&self, key: &Q) -> Result<()>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.core.set(key.to_owned(), None, &SetOptions::new()).await
    }

    /// Removes a key from every tier; whether it was there, as far as they could be asked.
    ///
    /// A tier that cannot be reached does not make it fail: this process does not serve what that
    /// tier has any more, and removes it when it can. Other processes may be served the old value
    /// until then.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Key`], [`ErrorKind::Closed`], and what a tier says that refuses to remove it.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the entry, or none.
    pub async fn delete<Q>(&self, key: &Q) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.core.delete(key).await
    }

    /// Ends the life of an entry in every tier: it is not served any more, except where a stale
    /// value is allowed, for instance because loading it anew fails (`resilience.stale_for`).
    /// Whether it was there.
    ///
    /// A tier that cannot be reached loses the entry when it can be.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Key`], [`ErrorKind::Closed`], and what a tier says that refuses.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the entry as it was in some tiers, and stale in others.
    pub async fn expire<Q>(&self, key: &Q) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.core.expire(key).await
    }

    /// Removes every entry of this cache from every tier. One that cannot be reached is cleared
    /// when it can; nothing that it had is served until then.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`], and what a tier says that refuses to be cleared.
    ///
    /// # Cancellation
    ///
    /// The store is empty once the future was polled. Tiers that are left when it is dropped are
    /// not read before they are cleared, which is done later.
    pub async fn clear(&self) -> Result<()> {
        self.core.clear_all().await
    }

    /// Makes every entry that was stored with this tag unusable, in constant time.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalidation`] when the last tier refuses to keep that, so that others, and
    /// this process after a restart, may still serve such entries. When it cannot be reached it is
    /// told later, and until then only this process knows.
    ///
    /// # Cancellation
    ///
    /// This process does not serve such entries any more once the future was polled.
    pub async fn invalidate_tag(&self, tag: &str) -> Result<()> {
        self.core.invalidate_tag(tag).await
    }

    /// Whether [`get`](Self::get) would return a value. Counts neither as hit nor as miss.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn exists<Q>(&self, key: &Q) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.core.exists(key).await
    }

    /// Gives an entry a new life from now on; whether there was one.
    ///
    /// # Errors
    ///
    /// As [`delete`](Self::delete).
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves some tiers with the new life and some with the old one.
    pub async fn touch<Q>(&self, key: &Q, ttl: impl Into<Life>) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.core.touch(key, ttl.into()).await
    }

    /// How long an entry will live yet; `None` when there is none.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn ttl<Q>(&self, key: &Q) -> Result<Option<Life>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.core.remaining(key).await
    }

    /// The statistics of the cache, live.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        self.core.stats()
    }

    /// The same cache for programs without a runtime.
    #[must_use]
    pub fn blocking(&self) -> Blocking<K, V> {
        Blocking::new(self.clone())
    }
}

impl<K: Key, V: CacheValue> Clone for Cache<K, V> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core) }
    }
}

impl<K: Key, V: CacheValue> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cache<{}, {}>({})", type_name::<K>(), type_name::<V>(), self.name())
    }
}
