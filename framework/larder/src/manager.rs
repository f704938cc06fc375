//! [`CacheManager`], all caches of a config.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use larder_config::model::{CacheSpec, PatternSpec};
use larder_core::{CacheError, ErrorKind, Registry, Result, telemetry};

use crate::assemble::{Assembled, Assembler};
use crate::core::AnyCache;
use crate::persist::Persist;
use crate::stats::CacheStats;
use crate::ttl::TtlManager;

mod builder;
mod health;
mod open;
mod save;
mod summary;

pub use builder::CacheManagerBuilder;
pub use health::TierHealth;
pub use summary::CacheSummary;

/// All caches of a config, assembled from plugins. Cheap to clone; all clones are one.
///
/// Every cache of the config is built, checked and started before the manager is there; when one
/// cannot be, none is, and nothing is left half-started. When the last clone of the manager and
/// the last handle of a cache are gone, the cache is gone; call [`close`](Self::close) before, so
/// that buffers are written out and errors are heard of.
///
/// Inside of a tokio runtime its timer must be enabled (`enable_time`, `enable_all`, or the
/// `#[tokio::main]` that does so): calls of backends and loaders are limited in time. Caches in
/// memory alone need no runtime.
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
    persist: Option<Arc<Persist>>,
    open: Mutex<Option<Arc<dyn AnyCache>>>,
}

impl CacheManager {
    /// Builds all caches of a config file: TOML, YAML or JSON, by its ending.
    ///
    /// Variables `LARDER__…` of the process override options and `LARDER_PROFILE` chooses a
    /// profile. It is short for `builder().file(path).process_environment().build()`; without the
    /// second call a builder asks no environment.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) when the config cannot be used: it prints every mistake
    /// with file, line, column and what to do, and its source is the
    /// [`ConfigError`](crate::ConfigError).
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

    /// Chooses files, layers, plugins, the environment and the clock one by one; nothing is read
    /// that is not asked for.
    pub fn builder() -> CacheManagerBuilder {
        CacheManagerBuilder::new()
    }

    async fn assemble(
        assembler: Assembler,
        specs: BTreeMap<String, CacheSpec>,
        patterns: Vec<PatternSpec>,
    ) -> Result<Self> {
        let ttl = TtlManager::new(Arc::clone(assembler.clock()));
        let caches = assembler.assemble_all(&specs, &patterns).await?;
        let named = |(name, assembled)| (name, Arc::new(Named::new(assembled, None)));
        let caches = RwLock::new(caches.into_iter().map(named).collect());
        if tokio::runtime::Handle::try_current().is_ok() {
            ttl.start(crate::ttl::INTERVAL);
        }
        let making = Mutex::new(());
        Ok(Self { inner: Arc::new(Inner { assembler, caches, patterns, making, ttl }) })
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
    /// stays there; handles answer with [`Closed`](crate::ErrorKind::Closed) once the store is
    /// empty.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) when another cache uses it as a tier: it stays. What a
    /// backend says that could not write out its buffers; then the cache is gone all the same.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the cache forgotten and perhaps not flushed.
    pub async fn remove(&self, name: &str) -> Result<bool> {
        let removed = {
            let mut caches = self.inner.caches.write().unwrap_or_else(PoisonError::into_inner);
            let uses = |named: &&Arc<Named>| named.assembled.below.iter().any(|it| it == name);
            if let Some(above) = caches.values().find(uses) {
                return Err(CacheError::new(
                    ErrorKind::Config,
                    "the cache is a tier of another one",
                )
                .with("cache", name)
                .with("used_by", &above.assembled.engine.name)
                .hint("remove the other one first"));
            }
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
    /// As [`Cache::clear`](crate::Cache::clear), for the first cache that fails.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves some of them cleared.
    pub async fn clear_all(&self) -> Result<()> {
        let mut outcome = Ok(());
        for named in self.all() {
            let cleared = match named.opened() {
                Some(cache) => cache.clear().await,
                None => named.assembled.engine.clear(|| ()).await,
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

    /// Flushes and closes every cache, and saves those with `persist`. All are tried before the
    /// first error is returned.
    ///
    /// # Errors
    ///
    /// What a backend says that could not write out its buffers, and why a cache was not saved.
    /// [`ErrorKind::Invalidation`](crate::ErrorKind::Invalidation) when a tier that was away could
    /// not be told what is old in it.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves some of them closed, and one perhaps not saved.
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
        let spec = assembled.persist.as_ref();
        let persist = spec.map(|spec| Persist::new(spec, &assembled.engine));
        Self { assembled, pattern, persist, open: Mutex::new(None) }
    }

    fn opened(&self) -> Option<Arc<dyn AnyCache>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Arc::clone)
    }
}

impl fmt::Debug for CacheManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CacheManager").field(&self.list()).finish()
    }
}
