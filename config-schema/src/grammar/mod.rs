//! The sections that belong to Larder itself, described in the way in which plugins describe their
//! options: one schema for checks, editors and the manual.
//!
//! A node that names a plugin is marked `x-plugin`; the checks and the composed schema put the
//! plugins of that slot in its place. Sections that a later release will act on are marked
//! `x-not-yet`: they are checked and then ignored with a warning.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use larder_core::{ByteSize, Descriptor, HumanDuration, Life, RefreshAhead, Secret, Share, Slot};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value};

use self::nodes::{
    BackendNode, ConnectionNode, InvalidatorNode, OneOrMany, OnePerSystem, PolicyNode,
    ReplicatorNode, SerializerNode, WarmerNode,
};
use crate::shape::{normalise, properties};

mod nodes;
mod rule;
mod tier;

use self::rule::RuleSection;
pub(crate) use nodes::{Picked, PickedSerializer, WrapSection};
pub(crate) use tier::{BreakerNode, BreakerSection, TierSection};

/// The schema of a whole config file, without references.
pub(crate) fn schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(schema_of::<Root>);
    &SCHEMA
}

/// The sections that occur more than once, by the name of their definition.
pub(crate) fn sections() -> &'static [(&'static str, Value)] {
    static SECTIONS: LazyLock<[(&str, Value); 6]> = LazyLock::new(|| {
        [
            ("cache", schema_of::<CacheSection>()),
            ("pattern", schema_of::<PatternSection>()),
            ("plugin", schema_of::<LibrarySection>()),
            ("resilience", schema_of::<ResilienceSection>()),
            ("rule", schema_of::<RuleSection>()),
            ("tier", schema_of::<TierSection>()),
        ]
    });
    &*SECTIONS
}

/// What every serializer takes beside its own options.
pub(crate) fn wrapping() -> &'static Value {
    static WRAPPING: LazyLock<Value> = LazyLock::new(schema_of::<WrapSection>);
    &WRAPPING
}

/// The options that a plugin takes, without `kind` and `unset`. Those of wrapping win over options
/// of a serializer with the same name, which then cannot be set.
pub(crate) fn options_of(descriptor: &Descriptor) -> Value {
    let mut schema = normalise(descriptor.factory.config().schema().to_value());
    if descriptor.slot == Slot::Serializer
        && let Some(object) = schema.as_object_mut()
    {
        let own = object.entry("properties").or_insert_with(|| Value::Object(Map::new()));
        for (name, option) in properties(wrapping()) {
            own[name] = option.clone();
        }
    }
    schema
}

fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let schema = settings.into_generator().into_root_schema_for::<T>();
    normalise(schema.to_value())
}

/// A config file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Root {
    /// Version of the config language; this program reads version 1, and takes a file without one
    /// for that.
    #[schemars(extend("enum" = [1]))]
    version: Option<u32>,
    /// More files, as globs relative to this one; read in the order of their names.
    include: Vec<String>,
    /// Values for every cache that does not set them itself.
    #[schemars(extend("x-partial" = true))]
    defaults: Option<CacheSection>,
    /// Parts of caches, taken over with `extends`; never caches on their own.
    #[schemars(extend("x-partial" = true))]
    templates: BTreeMap<String, CacheSection>,
    /// Connections that several plugins share.
    pub(crate) connections: BTreeMap<String, ConnectionNode>,
    /// Plugins in libraries that are loaded at run time.
    plugins: BTreeMap<String, LibrarySection>,
    /// The caches.
    pub(crate) caches: BTreeMap<String, CacheSection>,
    /// Caches that are created on demand when their name matches a glob.
    pub(crate) patterns: BTreeMap<String, PatternSection>,
    /// The admin server.
    #[schemars(extend("x-not-yet" = "the admin server"))]
    admin: Option<AdminSection>,
    /// Reloading of this file while the program runs.
    #[schemars(extend("x-not-yet" = "reloading"))]
    reload: Option<ReloadSection>,
    /// Changes for one environment, chosen with `--profile` or `LARDER_PROFILE`.
    #[schemars(extend("x-partial" = true))]
    profile: BTreeMap<String, ProfileSection>,
    /// Codes of warnings that are accepted everywhere.
    allow: Vec<String>,
}

/// A cache, or a part of one.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CacheSection {
    /// The template, or the templates, that this one builds on; later ones win.
    extends: Option<OneOrMany>,
    /// Inherited keys that are removed.
    pub(crate) unset: Vec<String>,
    /// What the cache is for.
    pub(crate) description: Option<String>,
    /// How long entries live from the time they are written; `never` switches expiry off.
    #[schemars(extend(
        "x-default" = "never",
        "x-reload" = "live",
        "x-aliases" = ["expiration", "expire_after_write", "lifespan", "max_age", "time_to_live"]
    ))]
    pub(crate) ttl: Option<Life>,
    /// How long an entry lives that nobody reads; every read starts it anew. The ttl ends an entry
    /// even if it is read.
    #[schemars(extend(
        "x-default" = "never",
        "x-reload" = "live",
        "x-aliases" = ["expire_after_access", "max_idle", "time_to_idle", "tti"]
    ))]
    pub(crate) idle_ttl: Option<Life>,
    /// By how much of the ttl expiry is spread, up and down, so that entries written together do
    /// not expire together: with `10%` an entry lives from 90 % to 110 % of its ttl.
    #[schemars(extend("x-default" = "0%", "x-reload" = "live", "x-aliases" = ["jitter"]))]
    pub(crate) ttl_jitter: Option<Share>,
    /// How long it is remembered that a load found nothing, spread like the ttl; not at all when
    /// absent.
    #[schemars(extend("x-reload" = "live"))]
    pub(crate) negative_ttl: Option<HumanDuration>,
    /// After which share of its ttl an entry that `get_or_load` finds is loaded again in the
    /// background; `auto` begins the sooner the longer the load takes. Never when absent.
    #[schemars(extend("x-reload" = "live", "x-aliases" = ["refresh_after_write"]))]
    pub(crate) refresh_ahead: Option<RefreshAhead>,
    /// The greatest serialized value that is taken; writing a greater one is an error. No limit
    /// when absent.
    #[schemars(extend("x-reload" = "live", "x-aliases" = ["max_entry_size", "max_value_bytes"]))]
    pub(crate) max_value_size: Option<ByteSize>,
    /// How values become bytes in tiers without a serializer of their own.
    #[schemars(extend("x-default" = "messagepack", "x-reload" = "migrate"))]
    pub(crate) serializer: Option<SerializerNode>,
    /// What to do when loading is slow or fails.
    pub(crate) resilience: Option<ResilienceSection>,
    /// Keeps the entries of the memory in front over a restart, in a file.
    pub(crate) persist: Option<PersistSection>,
    /// Short for `l1.backend`.
    pub(crate) backend: Option<BackendNode>,
    /// Short for `l1.policy`.
    #[schemars(extend("x-aliases" = ["eviction", "eviction_policy"]))]
    pub(crate) policy: Option<PolicyNode>,
    /// The tier that is looked up first.
    pub(crate) l1: Option<TierSection>,
    /// The tier that is looked up second.
    pub(crate) l2: Option<TierSection>,
    /// The tier that is looked up last.
    pub(crate) l3: Option<TierSection>,
    /// How other processes and the application make entries unusable.
    invalidation: Option<InvalidationSection>,
    /// Sends changes to other sites.
    #[schemars(extend("x-not-yet" = "replication"))]
    replication: Option<ReplicatorNode>,
    /// Fill the cache before anybody asks.
    #[schemars(extend("x-not-yet" = "warming"))]
    warmers: BTreeMap<String, WarmerNode>,
    /// Other values for some keys. The first rule that matches a key counts, and no other; what it
    /// leaves out is as in the cache.
    #[schemars(with = "Vec<RuleSection>", extend("x-aliases" = ["overrides", "rule"]))]
    pub(crate) rules: Vec<Map<String, Value>>,
    /// Codes of warnings that are accepted for this cache.
    allow: Vec<String>,
}

/// Caches that are created on demand.
#[derive(Debug, Deserialize)]
pub(crate) struct PatternSection {
    #[serde(flatten)]
    pub(crate) cache: CacheSection,
    pub(crate) max_instances: Option<u64>,
}

impl JsonSchema for PatternSection {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PatternSection".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = CacheSection::json_schema(generator);
        let limit = json_schema!({
            "description": "How many of these caches there may be at a time; opening one more is \
                            an error. No limit when absent.",
            "type": "integer",
            "minimum": 1,
        });
        let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
        if let Some(properties) = properties {
            properties.insert("max_instances".to_owned(), limit.to_value());
        }
        schema
    }
}

/// What to do when loading is slow or fails.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ResilienceSection {
    /// One load per key at a time: other callers of the same key wait for it and share the result.
    #[schemars(extend("x-default" = true, "x-reload" = "live"))]
    pub(crate) single_flight: Option<bool>,
    /// How long past the end of its ttl an entry is kept, to be served when loading it anew fails
    /// or takes too long; `none` for not at all.
    #[schemars(extend(
        "x-default" = "none",
        "x-reload" = "live",
        "x-aliases" = ["fail_safe", "grace", "stale_if_error"]
    ))]
    pub(crate) stale_for: Option<Life>,
    /// After a load that failed, how long a stale entry is served before the next one is tried.
    #[schemars(extend("x-default" = "30s", "x-reload" = "live"))]
    pub(crate) stale_retry: Option<HumanDuration>,
    /// How long callers wait for a load when there is a stale entry to serve instead; the load goes
    /// on.
    #[schemars(extend("x-default" = "never", "x-reload" = "live"))]
    pub(crate) soft_timeout: Option<Life>,
    /// How long callers wait for a load at most: then they get a stale entry or a timeout error.
    #[schemars(extend(
        "x-default" = "never",
        "x-reload" = "live",
        "x-aliases" = ["load_timeout", "timeout"]
    ))]
    pub(crate) hard_timeout: Option<Life>,
    /// Whether a load goes on when it takes longer than its callers wait, for ten times as long.
    #[schemars(extend("x-default" = true, "x-reload" = "live"))]
    pub(crate) background: Option<bool>,
    /// One load per key at a time among all processes that share the last tier, where its backend
    /// grants leases.
    #[schemars(extend("x-default" = true, "x-reload" = "live"))]
    pub(crate) lease: Option<bool>,
    /// Inherited keys that are removed.
    pub(crate) unset: Vec<String>,
}

/// Where the entries of the memory tier are while no process holds them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PersistSection {
    /// The file, of this cache alone; made when absent, with its directory. It holds the values as
    /// the serializer writes them, and only its owner may read it.
    #[schemars(extend("x-path" = true))]
    pub(crate) path: String,
    /// How often it is written; in any case when the cache is closed. What changed after that is
    /// lost if the process is killed.
    #[schemars(extend("x-aliases" = ["interval", "save_interval"]))]
    pub(crate) every: Option<HumanDuration>,
    /// Inherited keys that are removed.
    #[serde(default)]
    #[expect(dead_code, reason = "the loader reads it from the tree")]
    unset: Vec<String>,
}

/// How entries become unusable before their life is over.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct InvalidationSection {
    /// Says that entries of this cache are invalidated by tag. Every cache can; nothing is kept for
    /// entries without tags.
    tags: Option<bool>,
    /// Says that entries of this cache are invalidated by a pattern of their keys. Every cache can
    /// whose tiers list their keys.
    patterns: Option<bool>,
    /// Tells other processes what was invalidated.
    #[schemars(extend("x-not-yet" = "telling other processes"))]
    backplane: Option<InvalidatorNode>,
    /// Inherited keys that are removed.
    pub(crate) unset: Vec<String>,
}

/// A library with plugins.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read from the tree, which knows the positions")]
pub(crate) struct LibrarySection {
    /// The library: one path, or one per operating system.
    #[schemars(extend("x-path" = true))]
    library: OnePerSystem,
    /// SHA-256 of the library: one, or one per operating system. A library with another one is not
    /// loaded.
    sha256: Option<OnePerSystem>,
    /// Public keys of minisign, one or several. A library that none of them signed is not loaded,
    /// whatever `sha256` and `trust` say; one that is signed needs neither. The signature is in the
    /// file of the same name with `.minisig` at its end.
    signed_by: Option<OneOrMany>,
    /// Why a library without `sha256` and `signed_by` may be run: `path` says because of where it
    /// is, so everybody who can write there can run code in this process. Else it is not loaded.
    #[schemars(extend("enum" = ["path"]))]
    trust: Option<String>,
    /// What it registers, as `slot:kind`; nothing else, and nothing less.
    provides: Vec<String>,
    /// Where it runs: in the process of the program (`none`), or in one of its own (`process`),
    /// whose end costs entries and not the program. Only backends can be used from there.
    #[schemars(extend("enum" = ["none", "process"], "x-default" = "none"))]
    isolation: Option<String>,
    /// The program that runs it in a process of its own. Default: what the environment variable
    /// `LARDER_RUNNER` names, else `larder-runner` beside the program.
    #[schemars(extend("x-path" = true))]
    runner: Option<String>,
}

/// The admin server.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AdminSection {
    /// Address and port, or `unix:` and a path.
    listen: Option<String>,
    /// What callers must present.
    token: Option<Secret>,
    /// Whether callers may change entries.
    #[schemars(extend("x-default" = false))]
    write: Option<bool>,
    /// Path of the metrics.
    #[schemars(extend("x-default" = "/metrics"))]
    metrics: Option<String>,
    /// Whether keys are shown; they may be personal data.
    #[schemars(extend("x-default" = false))]
    show_keys: Option<bool>,
}

/// Reloading of the config.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ReloadSection {
    /// Whether the files are watched.
    watch: Option<bool>,
    /// How long the files must be unchanged before they are read.
    debounce: Option<HumanDuration>,
    /// How long new pieces may take to become ready.
    prepare_timeout: Option<HumanDuration>,
    /// How long calls on replaced pieces may take to finish.
    drain: Option<HumanDuration>,
    /// How long a cache that turns unhealthy after a reload takes the reload back.
    probation: Option<HumanDuration>,
    /// Whether a shorter ttl applies to entries that are stored already.
    apply_ttl_to_existing: Option<bool>,
}

/// Changes for one environment.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ProfileSection {
    /// Changes of `defaults`.
    defaults: Option<CacheSection>,
    /// Changes of templates.
    templates: BTreeMap<String, CacheSection>,
    /// Changes of connections.
    connections: BTreeMap<String, ConnectionNode>,
    /// Changes of plugins.
    plugins: BTreeMap<String, LibrarySection>,
    /// Changes of caches.
    caches: BTreeMap<String, CacheSection>,
    /// Changes of patterns.
    patterns: BTreeMap<String, PatternSection>,
    /// Changes of the admin server.
    admin: Option<AdminSection>,
    /// Changes of reloading.
    reload: Option<ReloadSection>,
    /// Sections that are removed.
    pub(crate) unset: Vec<String>,
}
