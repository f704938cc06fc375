//! `acme.keys`: names the keys that a file lists, one a line, the most important first. Put what
//! you came for in its place.

use std::path::PathBuf;

use larder_core::warmer::{WarmKey, WarmKeys, Warmer, WarmingStats, WarmingTrigger};
use larder_core::{BuildContext, CacheError, ErrorKind, PluginConfig, Result, async_trait};
use schemars::JsonSchema;
use serde::Deserialize;

/// How many keys are named at a time.
const BATCH: usize = 100;

/// Options of `acme.keys`. These comments are what an editor shows.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct KeysConfig {
    /// The file with a key in each line. Default `keys.txt`.
    pub path: PathBuf,
}

impl Default for KeysConfig {
    fn default() -> Self {
        Self { path: "keys.txt".into() }
    }
}

#[async_trait]
impl PluginConfig for KeysConfig {
    const KIND: &'static str = "acme.keys";
    const SUMMARY: &'static str = "names the keys of a list";
    type Plugin = Keys;

    async fn build(self, _: &BuildContext) -> Result<Keys> {
        Ok(Keys { path: self.path })
    }
}

/// A file of keys.
#[derive(Debug)]
pub struct Keys {
    path: PathBuf,
}

#[async_trait]
impl Warmer for Keys {
    /// The file is read anew for each run.
    async fn keys(&self, _: WarmingTrigger) -> Result<Box<dyn WarmKeys>> {
        let text = std::fs::read_to_string(&self.path).map_err(|error| {
            CacheError::transparent(ErrorKind::Connection, error).with("path", self.path.display())
        })?;
        let keys = text.lines().filter(|line| !line.is_empty()).map(str::to_owned);
        Ok(Box::new(Run { keys: keys.collect::<Vec<_>>().into_iter() }))
    }

    fn finished(&self, stats: &WarmingStats) {
        tracing::debug!(warmed = stats.warmed, failed = stats.failed, "the run is over");
    }
}

/// What is left to name.
#[derive(Debug)]
struct Run {
    keys: std::vec::IntoIter<String>,
}

#[async_trait]
impl WarmKeys for Run {
    async fn next_batch(&mut self) -> Result<Option<Vec<WarmKey>>> {
        let batch: Vec<WarmKey> = self.keys.by_ref().take(BATCH).map(WarmKey::new).collect();
        Ok((!batch.is_empty()).then_some(batch))
    }

    fn estimate(&self) -> Option<u64> {
        u64::try_from(self.keys.len()).ok()
    }
}
