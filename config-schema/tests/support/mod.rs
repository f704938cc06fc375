//! Plugins that exist only as options, so that these tests depend on no plugin crate.

use larder_core::entry::Entry;
use larder_core::invalidator::{Invalidation, InvalidationSink};
use larder_core::policy::{Capacity, SlotId, Slots};
use larder_core::schemars::JsonSchema;
use larder_core::serde::Deserialize;
use larder_core::serializer::Visit;
use larder_core::{
    Backend, BuildContext, ByteSize, CacheError, Capabilities, Descriptor, ErrorKind, HitMode,
    HumanDuration, Invalidator, KeyPath, PluginConfig, Policy, PolicyConfig, Problem, Problems,
    Registry, Resource, Result, Role, Secret, Serializer, WrapContext, Wrapper, WrapperConfig,
    async_trait, erased_serde,
};
use std::path::PathBuf;
use std::sync::Arc;

/// What every fake would build, if it could.
#[derive(Debug)]
pub(crate) struct Nothing;

fn nothing() -> CacheError {
    CacheError::new(ErrorKind::Unsupported, "a fake does nothing")
}

#[async_trait]
impl Backend for Nothing {
    fn capabilities(&self) -> Capabilities {
        Capabilities::empty()
    }

    async fn get(&self, _: &str) -> Result<Option<Entry>> {
        Err(nothing())
    }

    async fn set(&self, _: &str, _: Entry) -> Result<()> {
        Err(nothing())
    }

    async fn delete(&self, _: &str) -> Result<bool> {
        Err(nothing())
    }

    async fn clear(&self) -> Result<()> {
        Err(nothing())
    }
}

impl Serializer for Nothing {
    fn format(&self) -> u16 {
        0
    }

    fn serialize(&self, _: &dyn erased_serde::Serialize, _: &mut Vec<u8>) -> Result<()> {
        Err(nothing())
    }

    fn deserialize(&self, _: &[u8], _: &mut Visit<'_>) -> Result<()> {
        Err(nothing())
    }
}

impl Wrapper for Nothing {
    fn number(&self) -> u16 {
        1
    }

    fn wrap(&self, _: &[u8], _: &WrapContext<'_>) -> Result<Vec<u8>> {
        Err(nothing())
    }

    fn undo(&self, _: &[u8], _: &WrapContext<'_>) -> Result<Vec<u8>> {
        Err(nothing())
    }
}

#[async_trait]
impl Invalidator for Nothing {
    async fn start(&self, _: Arc<dyn InvalidationSink>) -> Result<()> {
        Err(nothing())
    }

    async fn publish(&self, _: &Invalidation) -> Result<()> {
        Err(nothing())
    }

    async fn stop(&self) -> Result<()> {
        Err(nothing())
    }
}

impl Policy for Nothing {
    fn hit_mode(&self) -> HitMode {
        HitMode::None
    }

    fn on_insert(&mut self, _: SlotId, _: &mut dyn Slots) {}

    fn on_remove(&mut self, _: SlotId, _: bool, _: &mut dyn Slots) {}

    fn victim(&mut self, _: &mut dyn Slots) -> Option<SlotId> {
        None
    }

    fn resize(&mut self, _: Capacity) {}

    fn len(&self) -> usize {
        0
    }
}

macro_rules! fake {
    ($name:ident, $kind:literal, $($capability:ident)|*, $resources:expr, $validate:expr) => {
        #[async_trait]
        impl PluginConfig for $name {
            const KIND: &'static str = $kind;
            const SUMMARY: &'static str = "a fake";
            const CAPABILITIES: Capabilities =
                Capabilities::empty()$(.union(Capabilities::$capability))*;
            type Plugin = Nothing;

            fn validate(&self, at: &KeyPath) -> Result<(), Problems> {
                let validate: fn(&Self, &KeyPath) -> Result<(), Problems> = $validate;
                validate(self, at)
            }

            fn resources(&self) -> Vec<Resource> {
                let resources: fn(&Self) -> Vec<Resource> = $resources;
                resources(self)
            }

            async fn build(self, _: &BuildContext) -> Result<Nothing> {
                Err(nothing())
            }
        }
    };
    ($name:ident, $kind:literal) => {
        fake!($name, $kind, , |_| Vec::new(), |_, _| Ok(()));
    };
}

/// Entries in the memory of this process.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(crate = "larder_core::serde", default, deny_unknown_fields)]
#[schemars(crate = "larder_core::schemars")]
pub(crate) struct FakeMemory {
    /// Upper bound of the number of entries.
    #[schemars(extend("x-aliases" = ["max_entries", "max_capacity", "maximum_size", "size"]))]
    #[schemars(range(min = 1))]
    capacity: Option<u64>,
    /// Upper bound of all entries together.
    #[schemars(extend("x-aliases" = ["max_memory", "max_size"]))]
    max_bytes: Option<ByteSize>,
}

fake!(FakeMemory, "memory", POLICY | TTL | TYPED, |_| Vec::new(), |config, at| match config {
    FakeMemory { capacity: None, max_bytes: None } =>
        Err(Problem::new(at.clone(), "neither `capacity` nor `max_bytes` is set")
            .help("add `capacity = 10_000`")
            .into()),
    _ => Ok(()),
});

/// When a file is written through to the disk.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(crate = "larder_core::serde", rename_all = "kebab-case")]
#[schemars(crate = "larder_core::schemars")]
pub(crate) enum Durability {
    /// Never: a torn file is a miss.
    #[default]
    None,
    /// After every write.
    Data,
}

/// One file per entry.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(crate = "larder_core::serde", deny_unknown_fields)]
#[schemars(crate = "larder_core::schemars")]
pub(crate) struct FakeFile {
    /// Directory, created when absent.
    #[schemars(extend("x-path" = true, "x-aliases" = ["path", "cache_dir", "directory"]))]
    #[schemars(example = "/var/cache/shop/build")]
    dir: PathBuf,
    /// Upper bound of all files together.
    #[schemars(extend("x-aliases" = ["max_size", "size"]))]
    max_bytes: Option<ByteSize>,
    /// Upper bound of the number of files.
    #[schemars(extend("x-aliases" = ["max_size", "capacity"]))]
    max_entries: Option<u64>,
    /// When a file is written through to the disk.
    #[serde(default)]
    durability: Durability,
}

fake!(
    FakeFile,
    "file",
    POLICY | TTL | PERSIST | SHARED,
    |config| vec![Resource::Directory { option: "dir".into(), path: config.dir.clone() }],
    |config, _| {
        let _ = (config.max_bytes, config.max_entries, config.durability);
        Ok(())
    }
);

/// Which server answers reads.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(crate = "larder_core::serde", rename_all = "kebab-case")]
#[schemars(crate = "larder_core::schemars")]
pub(crate) enum ReadFrom {
    /// The one that takes writes.
    #[default]
    Primary,
    /// A copy.
    Replica,
}

/// Keys of a Redis server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(crate = "larder_core::serde", deny_unknown_fields)]
#[schemars(crate = "larder_core::schemars")]
pub(crate) struct FakeRedis {
    /// Name of the connection.
    connection: String,
    /// What all keys begin with; the name of the cache when absent.
    prefix: Option<String>,
    /// Which server answers reads.
    #[serde(default)]
    read_from: ReadFrom,
}

fake!(
    FakeRedis,
    "redis",
    TTL | SHARED,
    |config| {
        let (option, connection) = ("prefix".into(), config.connection.clone());
        vec![match config.prefix.clone() {
            Some(prefix) => Resource::KeyPrefix { option, connection, prefix },
            None => Resource::CacheKeyPrefix { option, connection, suffix: ":".into() },
        }]
    },
    |config, _| {
        let _ = config.read_from;
        Ok(())
    }
);

/// A connection to one Redis server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(crate = "larder_core::serde", deny_unknown_fields)]
#[schemars(crate = "larder_core::schemars")]
#[expect(dead_code, reason = "only the schema is read")]
pub(crate) struct FakeConnection {
    /// Server address.
    url: String,
    /// Name of the user.
    username: Option<String>,
    /// Password of the user.
    password: Option<Secret>,
    /// Maximum number of pooled connections.
    #[serde(default = "default_pool")]
    #[schemars(range(min = 1))]
    pool_size: u32,
    /// Longest wait for a connection.
    connect_timeout: Option<HumanDuration>,
}

fn default_pool() -> u32 {
    8
}

fake!(FakeConnection, "redis");

/// Connections to a Redis Cluster.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(crate = "larder_core::serde", deny_unknown_fields)]
#[schemars(crate = "larder_core::schemars")]
#[expect(dead_code, reason = "only the schema is read")]
pub(crate) struct FakeCluster {
    /// Addresses of some of the servers.
    nodes: Vec<String>,
    /// Password of the user.
    password: Option<Secret>,
}

fake!(FakeCluster, "redis-cluster");

/// A backplane.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(crate = "larder_core::serde", deny_unknown_fields)]
#[schemars(crate = "larder_core::schemars")]
#[expect(dead_code, reason = "only the schema is read")]
pub(crate) struct FakePubSub {
    /// Name of the connection.
    connection: String,
}

fake!(FakePubSub, "redis-pubsub");

/// A map of another vendor.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(crate = "larder_core::serde", deny_unknown_fields)]
#[schemars(crate = "larder_core::schemars")]
#[expect(dead_code, reason = "only the schema is read")]
pub(crate) struct FakeLmdb {
    /// The file.
    #[schemars(extend("x-path" = true))]
    path: PathBuf,
    /// Size of the map.
    map_size: ByteSize,
    /// Whether entries are only read.
    #[serde(default)]
    read_only: bool,
}

fake!(FakeLmdb, "acme.lmdb", TTL | PERSIST, |_| Vec::new(), |_, _| Ok(()));

/// No options.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(crate = "larder_core::serde", default, deny_unknown_fields)]
#[schemars(crate = "larder_core::schemars")]
pub(crate) struct FakeMessagePack {}

fake!(FakeMessagePack, "messagepack");

/// Bytes as they are.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(crate = "larder_core::serde", default, deny_unknown_fields)]
#[schemars(crate = "larder_core::schemars")]
pub(crate) struct FakeRaw {}

fake!(FakeRaw, "raw");

/// Makes bytes fewer.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(crate = "larder_core::serde", default, deny_unknown_fields)]
#[schemars(crate = "larder_core::schemars")]
pub(crate) struct FakeZstd {
    /// How hard to try.
    #[schemars(range(min = 1, max = 22))]
    level: Option<u8>,
}

fake!(FakeZstd, "zstd");

impl WrapperConfig for FakeZstd {
    const ROLE: Role = Role::Compress;
}

/// Hides bytes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(crate = "larder_core::serde", deny_unknown_fields)]
#[schemars(crate = "larder_core::schemars")]
pub(crate) struct FakeCipher {
    /// The keys.
    #[schemars(extend("x-secret" = true))]
    keys: Vec<Secret>,
}

fake!(FakeCipher, "aes-256-gcm", , |_| Vec::new(), |config, at| match config.keys.as_slice() {
    [] => Err(Problem::new(at.join("keys"), "there is no key").into()),
    _ => Ok(()),
});

impl WrapperConfig for FakeCipher {
    const ROLE: Role = Role::Encrypt;
}

/// Writes bytes as text.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(crate = "larder_core::serde", default, deny_unknown_fields)]
#[schemars(crate = "larder_core::schemars")]
pub(crate) struct FakeBase64 {}

fake!(FakeBase64, "base64");

impl WrapperConfig for FakeBase64 {
    const ROLE: Role = Role::Encode;
}

macro_rules! fake_policy {
    ($name:ident, $kind:literal) => {
        /// A policy without options.
        #[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
        #[serde(crate = "larder_core::serde", default, deny_unknown_fields)]
        #[schemars(crate = "larder_core::schemars")]
        pub(crate) struct $name {}

        impl PolicyConfig for $name {
            const KIND: &'static str = $kind;
            const SUMMARY: &'static str = "a fake";
            type Policy = Nothing;

            fn build(&self, _: Capacity) -> Nothing {
                Nothing
            }
        }
    };
}

fake_policy!(FakeLru, "lru");
fake_policy!(FakeS3Fifo, "s3-fifo");
fake_policy!(FakeTinyLfu, "w-tinylfu");

/// All of the above.
#[must_use]
pub(crate) fn registry() -> Registry {
    const ORIGIN: &str = "fakes";
    const VERSION: &str = "1.0.0";
    Registry::empty()
        .with(Descriptor::backend::<FakeFile>(ORIGIN, VERSION))
        .with(Descriptor::backend::<FakeMemory>(ORIGIN, VERSION))
        .with(Descriptor::backend::<FakeRedis>(ORIGIN, VERSION))
        .with(Descriptor::connection::<FakeCluster>(ORIGIN, VERSION))
        .with(Descriptor::connection::<FakeConnection>(ORIGIN, VERSION))
        .with(Descriptor::invalidator::<FakePubSub>(ORIGIN, VERSION))
        .with(Descriptor::policy::<FakeLru>(ORIGIN, VERSION))
        .with(Descriptor::policy::<FakeS3Fifo>(ORIGIN, VERSION))
        .with(Descriptor::policy::<FakeTinyLfu>(ORIGIN, VERSION))
        .with(Descriptor::serializer::<FakeMessagePack>(ORIGIN, VERSION))
        .with(Descriptor::serializer::<FakeRaw>(ORIGIN, VERSION))
        .with(Descriptor::wrapper::<FakeBase64>(ORIGIN, VERSION))
        .with(Descriptor::wrapper::<FakeCipher>(ORIGIN, VERSION))
        .with(Descriptor::wrapper::<FakeZstd>(ORIGIN, VERSION))
        .with_loaded("acme-lmdb", [Descriptor::backend::<FakeLmdb>(ORIGIN, VERSION)])
}
