//! One place where a cache is used: what an application process has.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use larder::{Cache, CacheManager, Clock, Format, Result, SetOptions, SystemClock, TierStats};

use crate::{Config, Source, Value, listen};

/// The longest that any call may take, whatever fails: the limits of the config, one after the
/// other, and what a busy machine adds.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// A cache with its manager, over the source that its values come from.
///
/// Each call panics when it takes longer than [`PATIENCE`], and each value is checked.
#[derive(Clone, Debug)]
pub struct Site {
    manager: Arc<CacheManager>,
    cache: Cache<String, Value>,
    source: Source,
}

impl Site {
    /// Opens the cache of a config.
    pub async fn open(config: &Config, source: &Source) -> Self {
        Self::try_open(config, source).await.expect("the cache can be opened")
    }

    /// Opens the cache of a config with a clock of its own.
    pub async fn open_at(config: &Config, source: &Source, clock: Arc<dyn Clock>) -> Self {
        let opened = Self::open_with(config, source, clock).await;
        opened.expect("the cache can be opened")
    }

    /// Opens the cache of a config, if it can be.
    ///
    /// # Errors
    ///
    /// What the manager says.
    pub async fn try_open(config: &Config, source: &Source) -> Result<Self> {
        Self::open_with(config, source, SystemClock::shared()).await
    }

    async fn open_with(config: &Config, source: &Source, clock: Arc<dyn Clock>) -> Result<Self> {
        listen();
        let text = config.text();
        let builder = CacheManager::builder().text("faults.toml", Format::Toml, text).clock(clock);
        let manager = within("opening", builder.build()).await?;
        let cache = manager.cache(config.name())?;
        Ok(Self { manager: Arc::new(manager), cache, source: source.clone() })
    }

    /// The cache.
    #[must_use]
    pub fn cache(&self) -> &Cache<String, Value> {
        &self.cache
    }

    /// The manager.
    #[must_use]
    pub fn manager(&self) -> &CacheManager {
        &self.manager
    }

    /// The value of a key, from the cache or from the source, which must not fail.
    #[track_caller]
    pub fn load(&self, key: &str) -> impl Future<Output = Value> + Send + use<> {
        self.load_with(key, SetOptions::new())
    }

    /// Like [`load`](Self::load), storing with options.
    pub fn load_with(
        &self,
        key: &str,
        options: SetOptions,
    ) -> impl Future<Output = Value> + Send + use<> {
        let (cache, source, key) = (self.cache.clone(), self.source.clone(), key.to_owned());
        async move {
            let asked = key.clone();
            let read = move || async move { Ok::<_, std::io::Error>(source.read(&asked)) };
            let loaded = within("a load", cache.get_or_load_with(&key, options, read)).await;
            let value = loaded.expect("a load does not fail when its loader does not");
            value.check(&key);
            value
        }
    }

    /// The value of a key if the cache has one.
    pub async fn get(&self, key: &str) -> Option<Value> {
        let found = within("a get", self.cache.get(key)).await;
        let found = found.expect("a tier that fails is skipped");
        found.inspect(|value| value.check(key))
    }

    /// Stores a version of a key; whether the tiers took it.
    ///
    /// # Errors
    ///
    /// What the cache says.
    pub async fn set(&self, key: &str, version: u64) -> Result<()> {
        within("a set", self.cache.set(key, Value::new(key, version))).await
    }

    /// Removes a key.
    ///
    /// # Errors
    ///
    /// What the cache says.
    pub async fn delete(&self, key: &str) -> Result<bool> {
        within("a delete", self.cache.delete(key)).await
    }

    /// How many calls of the tier over Redis have failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.tier().map_or(0, |tier| tier.failures)
    }

    /// Whether the breaker of the tier over Redis is open.
    #[must_use]
    pub fn is_left_alone(&self) -> bool {
        self.tier().is_some_and(|tier| tier.breaker == "open")
    }

    fn tier(&self) -> Option<TierStats> {
        let tiers = self.cache.stats().snapshot().tiers;
        tiers.into_iter().find(|tier| tier.backend == "redis")
    }
}

/// Awaits what must end in time.
///
/// # Panics
///
/// If it does not.
pub(crate) async fn within<T>(what: &str, call: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let ended = tokio::time::timeout(PATIENCE * 4, call).await;
    let took = start.elapsed();
    assert!(ended.is_ok() && took <= PATIENCE, "{what} took {took:?}, longer than {PATIENCE:?}");
    ended.expect("it ended")
}
