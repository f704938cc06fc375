//! [`FoyerConfig`], the options of the foyer backend.

use std::path::PathBuf;

use larder_core::{
    BuildContext, ByteSize, Capabilities, Descriptor, KeyPath, PluginConfig, Problem, Problems,
    Resource, Result, async_trait, descriptor, register,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::backend::FoyerBackend;

const SMALLEST: ByteSize = ByteSize(1024 * 1024);

/// Options of the `foyer` backend.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FoyerConfig {
    /// The directory of this cache, and of no other. It is made if it is missing. One that holds
    /// other files, belongs to another user, is a link, or is writable for others is refused, and
    /// so is one that another process uses.
    #[schemars(extend(
        "x-path" = true,
        "x-aliases" = ["path", "cache_dir", "directory"]
    ))]
    pub dir: PathBuf,
    /// How much of the disk the entries take; at least 1MiB. The disk must have room for it when
    /// the cache is opened. When all is taken, the oldest block of entries goes: a 16th, but at
    /// most 2MiB, or a 128th of large caches. No entry is greater than a block, nor than 16MiB,
    /// and each takes a multiple of 4KiB. With another size than before the cache begins empty.
    #[schemars(extend("x-aliases" = ["max_size", "size_limit", "capacity", "disk_bytes"]))]
    pub max_bytes: ByteSize,
    /// Memory for entries that were used lately; buffers take up to 32MiB besides.
    #[serde(default = "default_memory")]
    #[schemars(extend("x-aliases" = ["memory", "max_memory", "memory_size"]))]
    pub memory_bytes: ByteSize,
}

const fn default_memory() -> ByteSize {
    ByteSize(32 * 1024 * 1024)
}

impl FoyerConfig {
    /// A cache in this directory that takes this much of the disk.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, max_bytes: ByteSize) -> Self {
        Self { dir: dir.into(), max_bytes, memory_bytes: default_memory() }
    }
}

#[async_trait]
impl PluginConfig for FoyerConfig {
    const KIND: &'static str = "foyer";
    const SUMMARY: &'static str = "memory and disk as one cache of fixed size, for high rates";
    const CAPABILITIES: Capabilities =
        Capabilities::TTL.union(Capabilities::TAGS).union(Capabilities::PERSIST);
    type Plugin = FoyerBackend;

    fn validate(&self, at: &KeyPath) -> Result<(), Problems> {
        let mut problems = Problems::new();
        if self.dir.as_os_str().is_empty() {
            let problem = Problem::new(at.join("dir"), "the directory is empty");
            problems.push(problem.help("name a directory of its own for this cache"));
        }
        if self.max_bytes < SMALLEST {
            let message = format!("`{}` is less than `{SMALLEST}`", self.max_bytes);
            problems.push(Problem::new(at.join("max_bytes"), message));
        }
        problems.into_result()
    }

    fn resources(&self) -> Vec<Resource> {
        vec![Resource::Directory { option: "dir".into(), path: self.dir.clone() }]
    }

    async fn build(self, context: &BuildContext) -> Result<FoyerBackend> {
        FoyerBackend::open(self, context).await
    }
}

/// The plugin, for explicit registration.
pub const FOYER: Descriptor = descriptor!(backend: FoyerConfig);

register!(backend: FoyerConfig);
