//! [`FileConfig`], the options of the file backend.

use std::path::PathBuf;

use larder_core::{
    BuildContext, ByteSize, Capabilities, Descriptor, KeyPath, PluginConfig, Problem, Problems,
    Resource, Result, async_trait, descriptor, register,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::backend::FileBackend;

/// What is forced to the disk before a write counts as done.
///
/// A crash of the program loses nothing with any of them; this is about power loss. In order of
/// cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Durability {
    /// Nothing: after a power loss recent entries may be missing. Those that are torn are found by
    /// their checksum, and missed.
    #[default]
    None,
    /// The entry: after a power loss it may be missing, but is not torn.
    Data,
    /// The entry and its name: it is there after a power loss.
    Full,
}

/// Options of the `file` backend.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FileConfig {
    /// The directory of this cache, and of no other. It is made if it is missing. One that holds
    /// other files, belongs to another user, is a link, or is writable for others is refused.
    #[schemars(extend(
        "x-path" = true,
        "x-aliases" = ["path", "cache_dir", "directory"]
    ))]
    pub dir: PathBuf,
    /// Most bytes of all files together. Beyond it entries are removed as the policy says, down to
    /// nine tenths. It may be exceeded by what is written while room is being made. Default: no
    /// limit.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["max_size", "size_limit"]))]
    pub max_bytes: Option<ByteSize>,
    /// Most entries. Beyond it entries are removed as for `max_bytes`. Default: no limit.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["capacity", "max_items"]))]
    pub max_entries: Option<u64>,
    /// How much of the disk is left to others. Where less is free, entries are removed as for
    /// `max_bytes`, and writes are refused until there is room. Default: nothing is left.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["reserve", "min_free_space"]))]
    pub min_free: Option<ByteSize>,
    /// What is forced to the disk before a write counts as done: `none` (an entry may be lost with
    /// the power), `data` (it is not torn), `full` (it is there).
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["fsync", "sync"]))]
    pub durability: Durability,
}

impl FileConfig {
    /// A cache in this directory, without limits.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            max_bytes: None,
            max_entries: None,
            min_free: None,
            durability: Durability::None,
        }
    }
}

/// A lease is a file that is removed while it is locked, which Windows does not do.
const LEASE: Capabilities = match cfg!(unix) {
    true => Capabilities::LEASE.union(Capabilities::LEASE_SCAN),
    false => Capabilities::empty(),
};

#[async_trait]
impl PluginConfig for FileConfig {
    const KIND: &'static str = "file";
    const SUMMARY: &'static str = "one file per entry in a directory, shared by processes";
    const CAPABILITIES: Capabilities = Capabilities::TTL
        .union(Capabilities::TOUCH)
        .union(Capabilities::TAGS)
        .union(Capabilities::SCAN)
        .union(Capabilities::BATCH)
        .union(Capabilities::PERSIST)
        .union(Capabilities::SHARED)
        .union(Capabilities::PUT_IF_NEWER)
        .union(LEASE)
        .union(Capabilities::HEADER_READ)
        .union(Capabilities::POLICY);
    type Plugin = FileBackend;

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
        if self.min_free.is_some() && !cfg!(unix) {
            let message = "nobody tells here how much of the disk is free";
            problems.push(Problem::new(at.join("min_free"), message).help("use `max_bytes`"));
        }
        problems.into_result()
    }

    fn resources(&self) -> Vec<Resource> {
        vec![Resource::Directory { option: "dir".into(), path: self.dir.clone() }]
    }

    async fn build(self, context: &BuildContext) -> Result<FileBackend> {
        FileBackend::open(self, context).await
    }
}

/// The plugin, for explicit registration.
pub const FILE: Descriptor = descriptor!(backend: FileConfig);

register!(backend: FileConfig);
