//! `acme.log`: all entries of a cache in one file that only grows, until it is compacted.
//!
//! The idea is that of log-structured stores such as Bitcask: a write is one append, a read one
//! read at a place that an index in memory knows, and opening the file reads it once to build the
//! index. When the file is full it is written anew without what was replaced, deleted or expired,
//! and without the oldest entries if that is not enough.
//!
//! What it is not: shared by processes (a lock file sees to that), and safe against power loss
//! beyond what [`flush`](larder_core::Backend::flush) wrote out.

use std::path::PathBuf;

use larder_core::{
    BuildContext, ByteSize, Capabilities, Descriptor, KeyPath, PluginConfig, Problem, Problems,
    Resource, Result, async_trait, descriptor, register,
};
use schemars::JsonSchema;
use serde::Deserialize;

mod backend;
mod file;
mod record;

pub use backend::LogBackend;

/// Options of `acme.log`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LogConfig {
    /// The file of this cache, and of no other. It is made if it is missing, as are the
    /// directories above it. A file of the same name with `.lock` stands beside it.
    #[schemars(extend("x-path" = true, "x-aliases" = ["file", "filename"]))]
    pub path: PathBuf,
    /// Most bytes of the file. When it is full it is compacted to half of this, and the entries
    /// that were written longest ago go first. Default `64MiB`.
    #[serde(default = "default_max_bytes")]
    #[schemars(extend("x-aliases" = ["max_size", "size_limit"]))]
    pub max_bytes: ByteSize,
}

const fn default_max_bytes() -> ByteSize {
    ByteSize(64 << 20)
}

/// Below this a file is full after a handful of entries.
const LEAST_BYTES: ByteSize = ByteSize(4 << 10);

impl LogConfig {
    /// A log in this file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), max_bytes: default_max_bytes() }
    }

    /// Sets the most bytes of the file.
    #[must_use]
    pub const fn max_bytes(mut self, max_bytes: ByteSize) -> Self {
        self.max_bytes = max_bytes;
        self
    }
}

#[async_trait]
impl PluginConfig for LogConfig {
    const KIND: &'static str = "acme.log";
    const SUMMARY: &'static str = "all entries in one file that is appended to and compacted";
    const CAPABILITIES: Capabilities = Capabilities::TTL
        .union(Capabilities::TOUCH)
        .union(Capabilities::TAGS)
        .union(Capabilities::SCAN)
        .union(Capabilities::PERSIST);
    type Plugin = LogBackend;

    fn validate(&self, at: &KeyPath) -> Result<(), Problems> {
        let mut problems = Problems::new();
        if self.path.file_name().is_none() {
            let message = format!("`{}` is not the path of a file", self.path.display());
            let problem = Problem::new(at.join("path"), message);
            problems.push(problem.help("name a file of its own for this cache"));
        }
        if self.max_bytes < LEAST_BYTES {
            let message = format!("`{}` leaves no room for entries", self.max_bytes);
            let problem = Problem::new(at.join("max_bytes"), message);
            problems.push(problem.help(format!("write `{LEAST_BYTES}` or more")));
        }
        problems.into_result()
    }

    fn resources(&self) -> Vec<Resource> {
        // Larder compares paths, so a file can stand for itself.
        vec![Resource::Directory { option: "path".into(), path: self.path.clone() }]
    }

    async fn build(self, context: &BuildContext) -> Result<LogBackend> {
        LogBackend::open(self, context).await
    }
}

/// The plugin, for explicit registration.
pub const LOG: Descriptor = descriptor!(backend: LogConfig);

register!(backend: LogConfig);

#[cfg(test)]
mod tests;
