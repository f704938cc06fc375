//! [`RedisConfig`], the options of the Redis backend.

use larder_core::{
    BuildContext, Capabilities, Descriptor, KeyPath, PluginConfig, Problem, Problems, Resource,
    Result, async_trait, descriptor, register,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::RedisBackend;

/// The longest prefix. Every key of the server begins with it, so a long one costs memory.
const LONGEST_PREFIX: usize = 200;

/// What follows the name of the cache in the prefix that is not written out.
pub(super) const SUFFIX: &str = ":";

/// Options of the `redis` backend.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RedisConfig {
    /// The name of a connection below `connections`, of the kind `redis` or `redis-cluster`.
    #[schemars(extend("x-aliases" = ["url", "server", "pool"]))]
    pub connection: String,
    /// What tells the keys of this cache from all others on the server. Programs share their
    /// entries when they use the same server, database and prefix. Default: the name of the cache
    /// and a colon.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["key_prefix", "namespace"]))]
    pub prefix: Option<String>,
    /// Which servers answer gets. `replica` spares the primary the values, and may find an entry as
    /// it was up to 8 seconds ago, after writes of other processes; see the manual. Default:
    /// `primary`.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["read_preference", "replica_reads", "readonly"]))]
    pub read_from: ReadFrom,
}

/// Which servers answer gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ReadFrom {
    /// The one that takes the writes.
    #[default]
    Primary,
    /// One that follows it and keeps up, where there is any.
    Replica,
}

impl RedisConfig {
    /// A cache over the connection of this name.
    #[must_use]
    pub fn new(connection: impl Into<String>) -> Self {
        Self { connection: connection.into(), prefix: None, read_from: ReadFrom::default() }
    }

    /// Sets which servers answer gets.
    #[must_use]
    pub const fn read_from(mut self, read_from: ReadFrom) -> Self {
        self.read_from = read_from;
        self
    }

    /// Sets what tells its keys from others.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }
}

#[async_trait]
impl PluginConfig for RedisConfig {
    const KIND: &'static str = "redis";
    const SUMMARY: &'static str = "a Redis or Valkey server or cluster, shared by processes";
    const CAPABILITIES: Capabilities = Capabilities::TTL
        .union(Capabilities::TOUCH)
        .union(Capabilities::TAGS)
        .union(Capabilities::SCAN)
        .union(Capabilities::BATCH)
        .union(Capabilities::PERSIST)
        .union(Capabilities::SHARED)
        .union(Capabilities::PUT_IF_NEWER)
        .union(Capabilities::LEASE)
        .union(Capabilities::LEASE_SCAN)
        .union(Capabilities::HEADER_READ);
    type Plugin = RedisBackend;

    fn validate(&self, at: &KeyPath) -> Result<(), Problems> {
        let mut problems = Problems::new();
        let Some(prefix) = &self.prefix else { return Ok(()) };
        if prefix.is_empty() {
            let problem = Problem::new(at.join("prefix"), "the prefix is empty");
            problems.push(problem.help("leave it out for the name of the cache and a colon"));
        }
        if prefix.len() > LONGEST_PREFIX {
            let message = format!("the prefix is longer than `{LONGEST_PREFIX}` bytes");
            let problem = Problem::new(at.join("prefix"), message);
            problems.push(problem.help("every key begins with it, so keep it short"));
        }
        problems.into_result()
    }

    fn resources(&self) -> Vec<Resource> {
        let (option, connection) = ("prefix".into(), self.connection.clone());
        vec![match self.prefix.clone() {
            Some(prefix) => Resource::KeyPrefix { option, connection, prefix },
            None => Resource::CacheKeyPrefix { option, connection, suffix: SUFFIX.into() },
        }]
    }

    async fn build(self, context: &BuildContext) -> Result<RedisBackend> {
        RedisBackend::new(&self, context)
    }
}

/// The backend, for explicit registration.
pub const REDIS: Descriptor = descriptor!(backend: RedisConfig);

register!(backend: RedisConfig);
