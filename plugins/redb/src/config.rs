//! [`RedbConfig`], the options of the redb backend.

use std::path::PathBuf;

use larder_core::{
    BuildContext, ByteSize, Capabilities, Descriptor, KeyPath, PluginConfig, Problem, Problems,
    Resource, Result, async_trait, descriptor, register,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::backend::RedbBackend;

/// When a write is forced to the disk. In order of cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Durability {
    /// When the cache is closed or flushed. After a crash the cache begins empty.
    None,
    /// Within a second. After a crash of the program or the machine the cache is as it was up to a
    /// second before, so that what was overwritten or deleted since has its old value.
    Eventual,
    /// Before it counts as done.
    #[default]
    Immediate,
}

/// Options of the `redb` backend.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RedbConfig {
    /// The directory of this cache, and of no other. It is made if it is missing. One that holds
    /// other files, belongs to another user, is a link, or is writable for others is refused, and
    /// so is one that another process uses.
    #[schemars(extend(
        "x-path" = true,
        "x-aliases" = ["path", "cache_dir", "directory", "file"]
    ))]
    pub dir: PathBuf,
    /// When a write is forced to the disk: `immediate` (before it counts as done), `eventual`
    /// (within a second), `none` (when the cache is closed; after a crash it begins empty).
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["fsync", "sync"]))]
    pub durability: Durability,
    /// Most bytes of all keys and entries together; the file takes some more, and does not shrink.
    /// Beyond it entries go that are over, then those that were written first. Default: no limit.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["max_size", "size_limit"]))]
    pub max_bytes: Option<ByteSize>,
    /// Most entries. Beyond it entries are removed as for `max_bytes`. Default: no limit.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["capacity", "max_items"]))]
    pub max_entries: Option<u64>,
    /// Memory for parts of the file that were used lately.
    #[serde(default = "default_memory")]
    #[schemars(extend("x-aliases" = ["cache_size", "memory"]))]
    pub memory_bytes: ByteSize,
}

const fn default_memory() -> ByteSize {
    ByteSize(16 * 1024 * 1024)
}

impl RedbConfig {
    /// A cache in this directory, without limits, that forgets nothing.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            durability: Durability::Immediate,
            max_bytes: None,
            max_entries: None,
            memory_bytes: default_memory(),
        }
    }
}

#[async_trait]
impl PluginConfig for RedbConfig {
    const KIND: &'static str = "redb";
    const SUMMARY: &'static str = "one file that loses nothing in a crash, for small caches";
    const CAPABILITIES: Capabilities = Capabilities::TTL
        .union(Capabilities::TOUCH)
        .union(Capabilities::TAGS)
        .union(Capabilities::SCAN)
        .union(Capabilities::BATCH)
        .union(Capabilities::PERSIST)
        .union(Capabilities::PUT_IF_NEWER);
    type Plugin = RedbBackend;

    fn validate(&self, at: &KeyPath) -> Result<(), Problems> {
        let mut problems = Problems::new();
        if self.dir.as_os_str().is_empty() {
            let problem = Problem::new(at.join("dir"), "the directory is empty");
            problems.push(problem.help("name a directory of its own for this cache"));
        }
        for (option, is_zero) in [
            ("max_bytes", self.max_bytes == Some(ByteSize(0))),
            ("max_entries", self.max_entries == Some(0)),
        ] {
            if is_zero {
                let problem = Problem::new(at.join(option), "`0` leaves no room for any entry");
                problems.push(problem.help("leave it out for no limit"));
            }
        }
        problems.into_result()
    }

    fn resources(&self) -> Vec<Resource> {
        vec![Resource::Directory { option: "dir".into(), path: self.dir.clone() }]
    }

    async fn build(self, context: &BuildContext) -> Result<RedbBackend> {
        RedbBackend::open(self, context).await
    }
}

/// The plugin, for explicit registration.
pub const REDB: Descriptor = descriptor!(backend: RedbConfig);

register!(backend: RedbConfig);
