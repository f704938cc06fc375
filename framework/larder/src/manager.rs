//! [`CacheManager`], all caches of a config.

use std::any::type_name;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use larder_config::model::{CacheSpec, PatternSpec};
use larder_core::key::glob_matches;
use larder_core::{CacheError, ErrorKind, Registry, Result, telemetry};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::assemble::{Assembled, Assembler};
use crate::block::block_on;
use crate::cache::Cache;
use crate::codec::Codec;
use crate::core::{AnyCache, CacheValue, Core, Key};
use crate::open::CacheOptions;
use crate::stats::CacheStats;
use crate::ttl::TtlManager;

mod builder;
mod summary;

pub use builder::CacheManagerBuilder;
pub use summary::CacheSummary;

/// All caches of a config, assembled from plugins. Cheap to clone; all clones are one.
///
/// Every cache of the config is built, checked and started before the manager is there; when one
/// cannot be, none is, and nothing is left half-started. When the last clone of the manager and
/// the last handle of a cache are gone, the cache is gone; call [`close`](Self::close) before, so
/// that buffers are written out and errors are heard of.
///
/// ```no_run
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)] struct User;
/// # async fn example() -> larder::Result<()> {
/// let caches = larder::CacheManager::from_file("caches.toml").await?;
/// let users = caches.cache::<u64, User>("users")?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct CacheManager {
    inner: Arc<Inner>,
}

struct Inner {
    assembler: Assembler,
    caches: RwLock<BTreeMap<String, Arc<Named>>>,
    patterns: Vec<PatternSpec>,
    /// Held while a cache is made from a pattern, so that no two callers make the same one.
    making: Mutex<()>,
    ttl: TtlManager,
}

/// A cache that is assembled, and its typed half once somebody has asked for it.
struct Named {
    assembled: Assembled,
    /// Which of the patterns it was made from.
    pattern: Option<usize>,
    open: Mutex<Option<Arc<dyn AnyCache>>>,
}

impl CacheManager {
    /// Builds all caches of a config file: TOML, YAML or JSON, by its ending.
    ///
    /// Variables `LARDER__…` override options and `LARDER_PROFILE` chooses a profile.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when the config cannot be used: it prints every mistake with file,
    /// line, column and what to do, and its source is the [`ConfigError`](crate::ConfigError).
    /// Any other kind when a plugin cannot be built or started.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing running.
    pub async fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder().file(path.as_ref()).process_environment().build().await
    }

    /// Builds all caches of a config text. The environment is not asked.
    ///
    /// # Errors
    ///
    /// As [`from_file`](Self::from_file).
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing running.
    pub async fn from_str(format: crate::Format, text: &str) -> Result<Self> {
        Self::builder().text("<text>", format, text).build().await
    }

    /// Builds all caches of what a figment holds. The environment is not asked.
    ///
    /// # Errors
    ///
    /// As [`from_file`](Self::from_file); positions are those that figment knows.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing running.
    pub async fn from_figment(figment: figment::Figment) -> Result<Self> {
        Self::builder().provider(figment).build().await
    }

    /// Chooses files, layers, plugins and the clock one by one.
    pub fn builder() -> CacheManagerBuilder {
        CacheManagerBuilder::new()
    }

    async fn assemble(
        assembler: Assembler,
        specs: BTreeMap<String, CacheSpec>,
        patterns: Vec<PatternSpec>,
    ) -> Result<Self> {
        let ttl = TtlManager::new(Arc::clone(assembler.clock()));
        let caches = assembler.assemble_all(specs).await?;
        let named = |(name, assembled)| (name, Arc::new(Named::new(assembled, None)));
        let caches = RwLock::new(caches.into_iter().map(named).collect());
        if tokio::runtime::Handle::try_current().is_ok() {
            ttl.start(crate::ttl::INTERVAL);
        }
        let making = Mutex::new(());
        Ok(Self { inner: Arc::new(Inner { assembler, caches, patterns, making, ttl }) })
    }

    /// The cache of this name, with keys `K` and values `V`.
    ///
    /// The first call decides the types; handles are cheap to clone, so ask once and keep it. A
    /// name that the config does not have but one of its patterns matches is made now.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when there is no such cache (the names there are, are in the
    /// message); [`ErrorKind::TypeMismatch`] when it was asked for with other types, naming both.
    pub fn cache<K, V>(&self, name: &str) -> Result<Cache<K, V>>
    where
        K: Key,
        V: CacheValue + Serialize + DeserializeOwned,
    {
        self.cache_with(name, CacheOptions::new())
    }

    /// Like [`cache`](Self::cache), with a removal listener or a weigher. Must be the first call
    /// for this cache.
    ///
    /// # Errors
    ///
    /// As [`cache`](Self::cache); and [`ErrorKind::Config`] when there are options and the cache
    /// is open already.
    pub fn cache_with<K, V>(&self, name: &str, options: CacheOptions<K, V>) -> Result<Cache<K, V>>
    where
        K: Key,
        V: CacheValue + Serialize + DeserializeOwned,
    {
        self.open(name, options, Some(Codec::new()))
    }

    /// The cache of this name, for values that serde does not know. They stay in the process.
    ///
    /// # Errors
    ///
    /// As [`cache_with`](Self::cache_with); and [`ErrorKind::Config`] when the cache has tiers
    /// that keep bytes.
    pub fn local_cache<K, V>(&self, name: &str, options: CacheOptions<K, V>) -> Result<Cache<K, V>>
    where
        K: Key,
        V: CacheValue,
    {
        let named = self.named(name)?;
        if let Some(tier) = named.assembled.engine.tiers.first() {
            return Err(CacheError::new(
                ErrorKind::Config,
                "the cache has a tier that keeps bytes",
            )
            .with("cache", name)
            .with("tier", tier.tier)
            .with("backend", &tier.kind)
            .with("data_type", type_name::<V>())
            .hint("use `cache` with a type that has serde, or only `backend = \"memory\"`"));
        }
        self.open(name, options, None)
    }

    /// The cache of this name with texts as keys and JSON values as values, for programs that
    /// learn the names at run time.
    ///
    /// # Errors
    ///
    /// As [`cache`](Self::cache).
    pub fn dynamic(&self, name: &str) -> Result<crate::DynamicCache> {
        self.cache(name)
    }

    fn open<K: Key, V: CacheValue>(
        &self,
        name: &str,
        options: CacheOptions<K, V>,
        codec: Option<Codec<V>>,
    ) -> Result<Cache<K, V>> {
        let named = self.named(name)?;
        let mut open = named.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(cache) = &*open else {
            let core = Arc::new(named.assembled.core(options, codec));
            let cache: Arc<dyn AnyCache> = Arc::clone(&core) as _;
            self.inner.ttl.register(&cache);
            *open = Some(cache);
            return Ok(Cache::new(core));
        };
        if options.is_some() {
            return Err(CacheError::new(ErrorKind::Config, "the cache is open already")
                .with("cache", name)
                .hint("hand over the options with the first call for this cache"));
        }
        let opened = cache.type_names();
        let any = Arc::clone(cache).into_any();
        any.downcast::<Core<K, V>>().map(Cache::new).map_err(|_| {
            let pair = |(key, value)| format!("{key} -> {value}");
            CacheError::new(ErrorKind::TypeMismatch, "the cache was opened with other types")
                .with("cache", name)
                .with("opened_with", pair(opened))
                .with("asked_for", pair((type_name::<K>(), type_name::<V>())))
                .hint("one cache has one type of keys and one of values; declare a second cache")
        })
    }

    /// The assembled cache of a name, made from a pattern if need be.
    fn named(&self, name: &str) -> Result<Arc<Named>> {
        if let Some(named) = self.find(name) {
            return Ok(named);
        }
        let _making = self.inner.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(named) = self.find(name) {
            return Ok(named);
        }
        let mut patterns = self.inner.patterns.iter().enumerate();
        let matching = patterns.find(|(_, pattern)| glob_matches(&pattern.pattern, name));
        let Some((index, pattern)) = matching else {
            return Err(self.unknown(name));
        };
        self.check_instances(index, pattern)?;
        let mut spec = pattern.cache.clone();
        name.clone_into(&mut spec.name);
        // A pattern has no exclusive resources, so this waits for little more than memory.
        let assembled = block_on(self.inner.assembler.assemble_one(&spec))?;
        let named = Arc::new(Named::new(assembled, Some(index)));
        let mut caches = self.inner.caches.write().unwrap_or_else(PoisonError::into_inner);
        caches.insert(name.to_owned(), Arc::clone(&named));
        Ok(named)
    }

    /// Adds the caches of one more config text; nothing when another caller was first.
    pub(crate) async fn add(&self, name: &str, json: &str) -> Result<()> {
        let loader =
            larder_config::loader::Loader::new().text("get_cache", crate::Format::Json, json);
        let mut config = builder::checked(loader, self.registry())?;
        let Some(spec) = config.caches.remove(name) else {
            return Err(self.unknown(name));
        };
        let assembled = self.inner.assembler.assemble_one(&spec).await?;
        let named = Arc::new(Named::new(assembled, None));
        let mut caches = self.inner.caches.write().unwrap_or_else(PoisonError::into_inner);
        caches.entry(name.to_owned()).or_insert(named);
        Ok(())
    }

    /// The kind of the backend that is looked up first in a cache.
    pub(crate) fn first_backend(&self, name: &str) -> Option<String> {
        let names = self.find(name)?.assembled.tier_names();
        let (_, kind) = names.first()?.split_once(' ')?;
        Some(kind.to_owned())
    }

    fn check_instances(&self, index: usize, pattern: &PatternSpec) -> Result<()> {
        let caches = self.inner.caches.read().unwrap_or_else(PoisonError::into_inner);
        let instances = caches.values().filter(|named| named.pattern == Some(index)).count() as u64;
        match pattern.max_instances {
            Some(limit) if instances >= limit => {
                Err(CacheError::new(ErrorKind::Capacity, "the pattern has too many caches")
                    .with("pattern", &pattern.pattern)
                    .with("current_size", instances)
                    .with("max_size", limit)
                    .hint("`remove` caches that are not needed, or raise `max_instances`"))
            }
            _ => Ok(()),
        }
    }

    fn find(&self, name: &str) -> Option<Arc<Named>> {
        let caches = self.inner.caches.read().unwrap_or_else(PoisonError::into_inner);
        caches.get(name).map(Arc::clone)
    }

    fn unknown(&self, name: &str) -> CacheError {
        let names = self.list();
        let nearest = larder_config::suggest::closest(name, names.iter().map(String::as_str));
        let error = CacheError::new(ErrorKind::Config, "there is no such cache")
            .with("cache", name)
            .with("caches", names.join(", "));
        match nearest {
            Some(nearest) => error.hint(format!("did you mean `{nearest}`?")),
            None => error.hint(format!("declare it in the config: `[caches.{name}]`")),
        }
    }

    /// The names of the caches there are, sorted.
    #[must_use]
    pub fn list(&self) -> Vec<String> {
        let caches = self.inner.caches.read().unwrap_or_else(PoisonError::into_inner);
        caches.keys().cloned().collect()
    }

    /// How many caches there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.inner.caches.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether there is a cache of this name; one that a pattern could make does not count.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Closes a cache and forgets it; whether there was one. What it kept on disk or on servers
    /// stays there; handles answer with [`ErrorKind::Closed`] once the store is empty.
    ///
    /// # Errors
    ///
    /// What a backend says that could not write out its buffers; the cache is gone all the same.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the cache forgotten and perhaps not flushed.
    pub async fn remove(&self, name: &str) -> Result<bool> {
        let removed = {
            let mut caches = self.inner.caches.write().unwrap_or_else(PoisonError::into_inner);
            caches.remove(name)
        };
        let Some(named) = removed else {
            return Ok(false);
        };
        named.close().await.map(|()| true)
    }

    /// Clears every cache. All are tried before the first error is returned.
    ///
    /// # Errors
    ///
    /// As [`Cache::clear`], for the first cache that fails.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves some of them cleared.
    pub async fn clear_all(&self) -> Result<()> {
        let mut outcome = Ok(());
        for named in self.all() {
            let cleared = match named.opened() {
                Some(cache) => cache.clear().await,
                None => named.assembled.engine.clear_tiers().await,
            };
            outcome = outcome.and(cleared);
        }
        outcome
    }

    /// The statistics of a cache, live; `None` when there is none or nobody has opened it.
    #[must_use]
    pub fn stats(&self, name: &str) -> Option<CacheStats> {
        Some(self.find(name)?.opened()?.stats())
    }

    /// Every cache with what it is made of and how it does.
    #[must_use]
    pub fn summary(&self) -> Vec<CacheSummary> {
        self.all().iter().map(|named| named.summary()).collect()
    }

    /// What removes expired entries of all caches in the background.
    #[must_use]
    pub fn ttl_manager(&self) -> &TtlManager {
        &self.inner.ttl
    }

    /// The plugins this manager can build.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        self.inner.assembler.registry()
    }

    /// Flushes and closes every cache. All are tried before the first error is returned.
    ///
    /// # Errors
    ///
    /// What a backend says that could not write out its buffers.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves some of them closed.
    pub async fn close(&self) -> Result<()> {
        use tracing::Instrument as _;
        let span = tracing::info_span!(target: telemetry::TARGET, "manager.close");
        async {
            self.inner.ttl.stop();
            let mut outcome = Ok(());
            for named in self.all() {
                outcome = outcome.and(named.close().await);
            }
            outcome
        }
        .instrument(span)
        .await
    }

    fn all(&self) -> Vec<Arc<Named>> {
        let caches = self.inner.caches.read().unwrap_or_else(PoisonError::into_inner);
        caches.values().map(Arc::clone).collect()
    }
}

impl Named {
    fn new(assembled: Assembled, pattern: Option<usize>) -> Self {
        Self { assembled, pattern, open: Mutex::new(None) }
    }

    fn opened(&self) -> Option<Arc<dyn AnyCache>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Arc::clone)
    }

    async fn close(&self) -> Result<()> {
        let closed = self.assembled.engine.close().await;
        if let Some(cache) = self.opened() {
            cache.empty_store();
        }
        closed
    }
}

impl fmt::Debug for CacheManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CacheManager").field(&self.list()).finish()
    }
}
