//! `acme.table`: a table in memory. Put what you came for in its place.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use larder_core::{
    Backend, BuildContext, Capabilities, Clock, Entry, KeyPath, PluginConfig, Problem, Problems,
    Result, async_trait,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Options of `acme.table`. These comments are what an editor shows.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct TableConfig {
    /// How many entries fit. When it is full, the one with the first key makes room. Default 10000.
    pub max_entries: usize,
}

impl Default for TableConfig {
    fn default() -> Self {
        Self { max_entries: 10_000 }
    }
}

#[async_trait]
impl PluginConfig for TableConfig {
    const KIND: &'static str = "acme.table";
    const SUMMARY: &'static str = "a table in memory";
    const CAPABILITIES: Capabilities = Capabilities::TAGS;
    type Plugin = Table;

    /// What the schema cannot say.
    fn validate(&self, at: &KeyPath) -> Result<(), Problems> {
        if self.max_entries > 0 {
            return Ok(());
        }
        let problem = Problem::new(at.join("max_entries"), "a table of `0` entries keeps nothing");
        Err(problem.help("write `max_entries = 1`, or more").into())
    }

    async fn build(self, context: &BuildContext) -> Result<Table> {
        tracing::debug!(max_entries = self.max_entries, "the table is ready");
        Ok(Table {
            max_entries: self.max_entries,
            clock: Arc::clone(&context.clock),
            entries: Mutex::default(),
        })
    }
}

/// A table of entries.
#[derive(Debug)]
pub struct Table {
    max_entries: usize,
    clock: Arc<dyn Clock>,
    entries: Mutex<BTreeMap<String, Entry>>,
}

impl Table {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        // No entry is left half written when a thread panics with the lock.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an entry is past its hard deadline, and so was not there.
    fn is_dead(&self, entry: &Entry) -> bool {
        entry.meta.is_dead(self.clock.wall())
    }
}

#[async_trait]
impl Backend for Table {
    fn capabilities(&self) -> Capabilities {
        TableConfig::CAPABILITIES
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        Ok(self.entries().get(key).filter(|entry| !self.is_dead(entry)).cloned())
    }

    async fn set(&self, key: &str, entry: Entry) -> Result<()> {
        let mut entries = self.entries();
        entries.insert(key.to_owned(), entry);
        if entries.len() > self.max_entries {
            entries.pop_first();
        }
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        Ok(self.entries().remove(key).is_some_and(|entry| !self.is_dead(&entry)))
    }

    async fn clear(&self) -> Result<()> {
        self.entries().clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_entry_with_the_first_key_makes_room() -> Result<()> {
        let config = TableConfig { max_entries: 2 };
        let table = config.build(&BuildContext::new("tested")).await?;
        for key in ["b", "a", "c"] {
            table.set(key, Entry::default()).await?;
        }
        assert!(table.get("a").await?.is_none());
        assert!(table.get("b").await?.is_some());
        Ok(())
    }
}
