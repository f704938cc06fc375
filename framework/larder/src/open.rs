//! What an application adds to a cache when it opens it: [`CacheOptions`], [`Removed`].

use std::fmt;
use std::sync::Arc;

use larder_core::Life;
pub use larder_store::RemovalReason;

/// An entry that left the first tier of a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removed<K, V> {
    /// Its key.
    pub key: K,
    /// Its value.
    pub value: V,
    /// Why it left.
    pub reason: RemovalReason,
}

pub(crate) type Listener<K, V> = Arc<dyn Fn(Removed<K, V>) + Send + Sync>;
pub(crate) type TtlBy<K, V> = Arc<dyn Fn(&K, &V) -> Option<Life> + Send + Sync>;
pub(crate) type Weigher<K, V> = Arc<dyn Fn(&K, &V) -> u32 + Send + Sync>;

/// What only the application can tell a cache, as it is code.
///
/// ```
/// use larder::{CacheOptions, RemovalReason};
///
/// let options = CacheOptions::<u64, Vec<u8>>::new()
///     .weigher(|_, bytes| bytes.len() as u32)
///     .on_removal(|removed| {
///         if removed.reason == RemovalReason::Evicted {
///             println!("{} made room", removed.key);
///         }
///     });
/// ```
#[must_use = "hand it to `cache_with` or `local_cache`"]
pub struct CacheOptions<K, V> {
    pub(crate) listener: Option<Listener<K, V>>,
    pub(crate) ttl_by: Option<TtlBy<K, V>>,
    pub(crate) weigher: Option<Weigher<K, V>>,
}

impl<K, V> CacheOptions<K, V> {
    /// Nothing.
    pub fn new() -> Self {
        Self { listener: None, ttl_by: None, weigher: None }
    }

    /// Is told of every value that leaves the in-process tier, on the thread that made it leave,
    /// without any lock held: it may use the cache again. Keep it short.
    pub fn on_removal(mut self, listener: impl Fn(Removed<K, V>) + Send + Sync + 'static) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// Says how long an entry lives that is set or loaded, from what is in it: a token until it
    /// expires, say. `None` is as the config says, [`Life::Never`] for ever, a life of zero stores
    /// nothing and removes what was there. What the call says itself, by
    /// [`ttl`](crate::SetOptions::ttl), comes first, and a `ttl` of the tier is a limit for all.
    /// The `ttl_jitter` of the config applies.
    ///
    /// It is called once for each value that is stored, without any lock held. A panic in it comes
    /// out of the `set`, and fails a load. A remembered "there is none" keeps its `negative_ttl`.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use larder::CacheOptions;
    ///
    /// struct Token {
    ///     expires_in: Duration,
    /// }
    ///
    /// let options =
    ///     CacheOptions::<u64, Token>::new().ttl_by(|_, token| Some(token.expires_in.into()));
    /// ```
    pub fn ttl_by(
        mut self,
        ttl_by: impl Fn(&K, &V) -> Option<Life> + Send + Sync + 'static,
    ) -> Self {
        self.ttl_by = Some(Arc::new(ttl_by));
        self
    }

    /// Says what an entry counts against `max_bytes`. Default: the size of its serialized value
    /// plus its key; for [`local_cache`](crate::CacheManager::local_cache) the size of the types.
    pub fn weigher(mut self, weigher: impl Fn(&K, &V) -> u32 + Send + Sync + 'static) -> Self {
        self.weigher = Some(Arc::new(weigher));
        self
    }

    pub(crate) fn is_some(&self) -> bool {
        self.listener.is_some() || self.ttl_by.is_some() || self.weigher.is_some()
    }
}

impl<K, V> Default for CacheOptions<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> fmt::Debug for CacheOptions<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheOptions")
            .field("listener", &self.listener.is_some())
            .field("ttl_by", &self.ttl_by.is_some())
            .field("weigher", &self.weigher.is_some())
            .finish()
    }
}
