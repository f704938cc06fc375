//! The checked config: what the framework builds caches from.
//!
//! Everything here passed every check, so the framework only has to look up factories and hand
//! them their options.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use larder_core::{KeyPath, Life, RefreshAhead, Share, Slot, Tier};

/// A cache as the config describes it, with all layers applied.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CacheSpec {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Where it stands: `caches.users`, or `patterns."tenant-*"`.
    pub path: KeyPath,
    /// How long entries live. Default: never expire.
    pub ttl: Life,
    /// How long an entry lives that nobody reads. Default: for ever.
    pub idle_ttl: Life,
    /// By how much of the ttl expiry is spread, up and down. Default 0.
    pub ttl_jitter: Share,
    /// How long "there is none" is remembered. Default: not at all.
    pub negative_ttl: Option<Duration>,
    /// When an entry that is read is loaded again before its end. Default: not at all.
    pub refresh_ahead: Option<RefreshAhead>,
    /// The greatest serialized value that is stored. Default: no limit.
    pub max_value_bytes: Option<u64>,
    /// How values become bytes in tiers that have no serializer of their own.
    pub serializer: SerializerSpec,
    /// The tiers in the order in which they are looked up; at least one.
    pub tiers: Vec<TierSpec>,
    /// What to do when things go wrong.
    pub resilience: ResilienceSpec,
    /// Where the entries of the memory in front are over a restart. Default: nowhere.
    pub persist: Option<PersistSpec>,
    /// Other values for some keys; the first that matches a key counts.
    pub rules: Vec<RuleSpec>,
}

impl CacheSpec {
    /// The greatest serialized value of any key, by the cache or one of its rules; `None` when one
    /// of them sets no limit.
    #[must_use]
    pub fn greatest_value_bytes(&self) -> Option<u64> {
        let of_rules = self.rules.iter().map(|rule| rule.cache.max_value_bytes);
        of_rules.fold(self.max_value_bytes, |greatest, limit| Some(greatest?.max(limit?)))
    }
}

/// Other values of a cache for some of its keys.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RuleSpec {
    /// Which keys: globs as [`larder_core::key::glob_matches`] reads them; at least one.
    pub patterns: Vec<String>,
    /// The cache as it is to these keys, with the values of the rule in place. Has no rules of its
    /// own, and the tiers and the serializer of the cache.
    pub cache: CacheSpec,
}

/// Where the entries of a memory tier are while no process holds them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PersistSpec {
    /// The file; absolute.
    pub path: PathBuf,
    /// How often it is written. Default: only when the cache is closed.
    pub every: Option<Duration>,
}

/// A tier of a cache.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TierSpec {
    /// Which.
    pub tier: Tier,
    /// Where it stands; for the shorthand without `l1` the cache itself.
    pub path: KeyPath,
    /// What keeps the entries.
    pub source: TierSource,
    /// How long entries live in this tier at most. Default: as long as in the cache.
    pub ttl: Option<Life>,
    /// Which entry has to go. Default: the backend's.
    pub policy: Option<PluginNode>,
    /// How values become bytes in this tier. Default: the cache's.
    pub serializer: Option<SerializerSpec>,
    /// The longest wait for one call.
    pub timeout: Duration,
    /// The longest wait for a read while a stale value is at hand. Default: the same.
    pub soft_timeout: Duration,
    /// When the tier is left alone; `None` for never.
    pub breaker: Option<BreakerSpec>,
}

/// When a tier that fails is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerSpec {
    /// How many calls in a row have to fail; at least one.
    pub failures: u32,
    /// How long it is left alone at first.
    pub open_for: Duration,
    /// How long it is left alone at most; not shorter than at first.
    pub max_open_for: Duration,
}

impl Default for BreakerSpec {
    /// Five failures in a row, from one second to thirty.
    fn default() -> Self {
        let (open_for, max_open_for) = (Duration::from_secs(1), Duration::from_secs(30));
        Self { failures: 5, open_for, max_open_for }
    }
}

/// What keeps the entries of a tier.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "the config language has these two")]
pub enum TierSource {
    /// A backend of its own.
    Backend(PluginNode),
    /// Another named cache.
    Cache(String),
}

/// How values become bytes: a serializer, and what its output goes through, in the order of the
/// fields.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SerializerSpec {
    /// The serializer.
    pub node: PluginNode,
    /// What compresses.
    pub compress: Option<PluginNode>,
    /// The least size of a serialized value that is compressed. Default 1 KiB.
    pub compress_min_bytes: u64,
    /// What encrypts.
    pub encrypt: Option<PluginNode>,
    /// What encodes.
    pub encode: Option<PluginNode>,
}

impl SerializerSpec {
    /// The wrappers, in the order in which they are applied.
    pub fn wrappers(&self) -> impl Iterator<Item = &PluginNode> {
        self.compress.iter().chain(&self.encrypt).chain(&self.encode)
    }

    /// The serializer and the wrappers.
    pub fn plugins(&self) -> impl Iterator<Item = &PluginNode> {
        std::iter::once(&self.node).chain(self.wrappers())
    }
}

/// A plugin to build.
#[derive(Clone)]
#[non_exhaustive]
pub struct PluginNode {
    /// Its role.
    pub slot: Slot,
    /// Its kind; registered.
    pub kind: String,
    /// Its options, without `kind`, interpolated; paths are absolute. May hold secrets: never
    /// print it.
    pub options: serde_json::Value,
    /// Where it stands.
    pub path: KeyPath,
}

impl PluginNode {
    /// A plugin without options that the config does not name.
    #[must_use]
    pub fn bare(slot: Slot, kind: &str) -> Self {
        let options = serde_json::Value::Object(serde_json::Map::new());
        Self { slot, kind: kind.to_owned(), options, path: KeyPath::root() }
    }
}

impl fmt::Debug for PluginNode {
    /// Without the values of options, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}` at `{}`", self.slot, self.kind, self.path)
    }
}

/// What to do when things go wrong.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResilienceSpec {
    /// One load per key, however many callers. Default true.
    pub single_flight: bool,
    /// How long past its end an entry is kept, to be served when the loader fails. Default 0.
    pub stale_for: Duration,
    /// How long after a failure the next load waits while there is a stale entry. Default 30 s.
    pub stale_retry: Duration,
    /// How long callers wait that have a stale entry. Default: as long as all others.
    pub soft_timeout: Option<Duration>,
    /// How long callers wait for a load at most. Default: as long as it takes.
    pub hard_timeout: Option<Duration>,
    /// Whether a load goes on that takes longer than its callers wait. Default true.
    pub background: bool,
    /// One load per key among all processes that share the last tier. Default true.
    pub lease: bool,
}

/// Caches created on demand.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PatternSpec {
    /// A glob such as `tenant-*`.
    pub pattern: String,
    /// What each is made of; its name is the pattern.
    pub cache: CacheSpec,
    /// How many there may be at a time. Default: no limit.
    pub max_instances: Option<u64>,
}

/// A config that passed every check.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Config {
    /// The named caches.
    pub caches: BTreeMap<String, CacheSpec>,
    /// Caches created on demand, in the order of the file: the first match wins.
    pub patterns: Vec<PatternSpec>,
    /// Connections that plugins share, by name.
    pub connections: BTreeMap<String, PluginNode>,
}
