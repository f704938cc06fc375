//! [`MemoryConfig`], the options of the in-process backend.

use std::sync::Arc;

use larder_core::backend::{InProcess, OnFull};
use larder_core::policy::{Capacity, Policy, PolicyFactory};
use larder_core::{
    BuildContext, ByteSize, CacheError, Capabilities, Descriptor, ErrorKind, KeyPath, PluginConfig,
    Problem, Problems, Result, async_trait, descriptor, register,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::backend::MemoryBackend;

/// Options of the `memory` backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct MemoryConfig {
    /// Most entries at a time. Default: `10000` if `max_bytes` is not set either, else no limit.
    #[schemars(extend("x-aliases" = ["max_entries", "size", "maxsize", "max_capacity"]))]
    pub capacity: Option<u64>,
    /// Most bytes of all keys and values together. The books about an entry, some fifty bytes, are
    /// not counted. Default: no limit.
    #[schemars(extend("x-aliases" = ["max_size", "size_limit", "max_weight"]))]
    pub max_bytes: Option<ByteSize>,
    /// What happens to a new entry when there is no room: `evict` (others make room, as the policy
    /// says) or `reject` (the write fails).
    pub on_full: OnFull,
    /// Number of parts with a lock of their own, rounded up to a power of two. Default: four per
    /// core, fewer for small caches, and one below 64 entries.
    #[schemars(extend("x-aliases" = ["concurrency", "segments"]))]
    pub shards: Option<usize>,
    /// Runs small models of the cache that estimate what it would answer with other capacities, for
    /// the statistics. They take up to 600 KiB and some nanoseconds a request. The policy `auto`
    /// always has them. Default `false`.
    pub estimates: bool,
}

/// Most entries of a cache that sets no limit at all: a cache without any is a leak.
const DEFAULT_CAPACITY: u64 = 10_000;
/// The most shards that make sense on any machine.
const MAX_SHARDS: usize = 1024;

impl MemoryConfig {
    /// At most this many entries.
    #[must_use]
    pub fn with_capacity(capacity: u64) -> Self {
        Self { capacity: Some(capacity), ..Self::default() }
    }

    /// Sets the most bytes of all keys and values together.
    #[must_use]
    pub const fn max_bytes(mut self, max_bytes: Option<ByteSize>) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// Sets what happens to a new entry when there is no room.
    #[must_use]
    pub const fn on_full(mut self, on_full: OnFull) -> Self {
        self.on_full = on_full;
        self
    }

    /// The limits, with the default in place.
    fn limits(&self) -> Capacity {
        let weight = self.max_bytes.map(|size| size.0);
        let default = weight.is_none().then_some(DEFAULT_CAPACITY);
        Capacity { entries: self.capacity.or(default), weight }
    }
}

#[async_trait]
impl PluginConfig for MemoryConfig {
    const KIND: &'static str = "memory";
    const SUMMARY: &'static str = "values of this process as they are, gone when it ends";
    const CAPABILITIES: Capabilities = Capabilities::POLICY
        .union(Capabilities::TTL)
        .union(Capabilities::TOUCH)
        .union(Capabilities::TAGS)
        .union(Capabilities::SCAN)
        .union(Capabilities::BATCH)
        .union(Capabilities::TYPED);
    type Plugin = MemoryBackend;

    fn validate(&self, at: &KeyPath) -> Result<(), Problems> {
        let mut problems = Problems::new();
        for (option, is_zero) in [
            ("capacity", self.capacity == Some(0)),
            ("max_bytes", self.max_bytes == Some(ByteSize(0))),
        ] {
            if is_zero {
                let problem = Problem::new(at.join(option), "`0` leaves no room for any entry");
                problems.push(problem.help("write at least 1, or leave it out"));
            }
        }
        if let Some(shards) = self.shards
            && !(1..=MAX_SHARDS).contains(&shards)
        {
            let message = format!("`{shards}` is not from 1 to {MAX_SHARDS}");
            let problem = Problem::new(at.join("shards"), message);
            problems.push(problem.help("leave it out to let the number of cores decide"));
        }
        problems.into_result()
    }

    async fn build(self, context: &BuildContext) -> Result<MemoryBackend> {
        let Some(policy) = context.policy.clone() else {
            return Err(CacheError::new(ErrorKind::Config, "there is no eviction policy")
                .with("cache", &context.cache)
                .with("backend", Self::KIND)
                .hint("name one, such as `policy = \"s3-fifo\"`"));
        };
        let policy = if self.estimates { watched(policy) } else { policy };
        let in_process =
            InProcess::new(self.limits(), policy).on_full(self.on_full).shards(self.shards);
        let clock = Arc::clone(&context.clock);
        Ok(MemoryBackend::new(in_process, clock))
    }
}

/// A policy that its store estimates other capacities for.
#[derive(Debug)]
struct Watched([Arc<dyn PolicyFactory>; 1]);

/// Lets a policy be the only candidate for its own place, unless it has others already.
fn watched(policy: Arc<dyn PolicyFactory>) -> Arc<dyn PolicyFactory> {
    if policy.candidates().is_empty() { Arc::new(Watched([policy])) } else { policy }
}

impl PolicyFactory for Watched {
    fn kind(&self) -> &str {
        self.0[0].kind()
    }

    fn policy(&self, capacity: Capacity) -> Box<dyn Policy> {
        self.0[0].policy(capacity)
    }

    fn candidates(&self) -> &[Arc<dyn PolicyFactory>] {
        &self.0
    }
}

/// The plugin, for explicit registration.
pub const MEMORY: Descriptor = descriptor!(backend: MemoryConfig);

register!(backend: MemoryConfig);
