//! Named caches from a config file, assembled from plugins at run time.
//!
//! ```toml
//! # caches.toml
//! [caches.users]
//! ttl = "10m"
//! l1.backend = { kind = "memory", capacity = 10_000 }
//! l2.backend = { kind = "file", dir = "/var/cache/app/users" }
//! ```
//!
//! ```no_run
//! # #[derive(Clone, serde::Serialize, serde::Deserialize)] struct User;
//! # async fn load_user(id: u64) -> std::io::Result<User> { Ok(User) }
//! # async fn example() -> larder::Result<()> {
//! let caches = larder::CacheManager::from_file("caches.toml").await?;
//! let users = caches.cache::<u64, User>("users")?;
//! let user = users.get_or_load(&42, || load_user(42)).await?;
//! # Ok(()) }
//! ```
//!
//! What a cache is made of stands in the file: memory, files, servers, in up to three tiers;
//! which entries have to go when it is full; how values become bytes; how long they live. The
//! code only knows the name.
//!
//! | for | start at |
//! |---|---|
//! | applications | [`CacheManager`], [`Cache`], [`get_cache`] |
//! | programs without a runtime | [`Cache::blocking`] |
//! | operators | [`CacheStats`], the `larder` command |
//! | plugin authors | [`larder_core`], re-exported as [`plugin`] |
//!
//! # Features
//!
//! | feature | default | what |
//! |---|---|---|
//! | `cbor` | yes | the serializer of that name |
//! | `dynamic` | no | plugins in libraries that a config names: see [`environment`] |
//! | `file` | yes | the backend that keeps entries as files |
//! | `foyer` | no | the backend `foyer`: memory and disk as one cache, for high rates |
//! | `pickle` | yes | the serializer of that name |
//! | `postcard` | yes | the serializer of that name |
//! | `redb` | no | the backend `redb`: small durable caches in one file; needs Rust 1.90 |
//! | `redis` | no | the backend `redis` and its connections |

mod assemble;
mod block;
mod blocking;
mod breaker;
mod cache;
mod codec;
mod core;
mod deferred;
mod dynamic;
mod engine;
mod fence;
mod flight;
mod format;
mod loaded;
mod manager;
mod namespace;
mod open;
mod options;
mod persist;
mod read_options;
mod recovery;
mod replay;
mod rules;
mod settings;
mod snapshot;
mod stats;
mod stored;
mod tags;
mod tier;
mod ttl;

pub use larder_config as config;
pub use larder_config::parse::Format;
pub use larder_config::render::ConfigError;
pub use larder_core::{self as plugin};
pub use larder_core::{
    ByteSize, CacheError, CacheKey, Clock, ErrorKind, Life, ManualClock, RefreshAhead, Registry,
    Result, Share, SystemClock, Tier,
};
#[cfg(feature = "dynamic")]
pub use larder_dynamic as libraries;
pub use larder_store::{Estimates, PolicyEstimate, SizeEstimate};

pub use crate::blocking::Blocking;
pub use crate::cache::{Cache, Lookup};
pub use crate::core::{CacheValue, Key, KeyRef};
pub use crate::dynamic::{DynamicCache, default_manager, get_cache};
pub use crate::loaded::{Load, Loaded};
pub use crate::manager::{CacheManager, CacheManagerBuilder, CacheSummary, TierHealth};
pub use crate::namespace::{NamespaceStats, NamespacedCache};
pub use crate::open::{CacheOptions, RemovalReason, Removed};
pub use crate::options::LoadOptions;
pub use crate::read_options::ReadOptions;
pub use crate::settings::SetOptions;
pub use crate::snapshot::{Exported, ImportMode, Imported, SnapshotFile};
pub use crate::stats::{
    CacheStats, MissCause, ResilienceStats, StaleReason, StatsSnapshot, TierStats,
};
pub use crate::ttl::TtlManager;

/// What the checks of a config may use here: the memory limit of the container, and, with the
/// feature `dynamic`, a loader of the libraries that the config names.
#[must_use]
pub fn environment() -> config::check::CheckEnvironment {
    let environment = config::check::CheckEnvironment::detect();
    #[cfg(feature = "dynamic")]
    let environment = environment.libraries(std::sync::Arc::new(larder_dynamic::Loader::new()));
    environment
}

/// All plugins that come with this crate, and all that are linked into the program.
///
/// The first-party plugins are named one by one, so that they are there even where a linker
/// drops what `inventory` needs.
#[must_use]
pub fn registry() -> Registry {
    let registry = Registry::linked().with(larder_memory::MEMORY);
    #[cfg(feature = "file")]
    let registry = registry.with(larder_file::FILE);
    #[cfg(feature = "foyer")]
    let registry = registry.with(larder_foyer::FOYER);
    #[cfg(feature = "redb")]
    let registry = registry.with(larder_redb::REDB);
    #[cfg(feature = "redis")]
    let registry = registry
        .with(larder_redis::REDIS)
        .with(larder_redis::REDIS_CONNECTION)
        .with(larder_redis::REDIS_CLUSTER_CONNECTION);
    let policies = {
        use larder_policies::{
            ARC, AUTO, CLOCK, CLOCK_PRO, FIFO, GDSF, LFU, LIRS, LRU, RANDOM, S3_FIFO, SIEVE, SLRU,
            TINYLFU, TTL, TWO_Q, W_TINYLFU,
        };
        [
            ARC, AUTO, CLOCK, CLOCK_PRO, FIFO, GDSF, LFU, LIRS, LRU, RANDOM, S3_FIFO, SIEVE, SLRU,
            TINYLFU, TTL, TWO_Q, W_TINYLFU,
        ]
    };
    let serializers = larder_serializers::PLUGINS.iter().copied();
    policies.into_iter().chain(serializers).fold(registry, Registry::with)
}
