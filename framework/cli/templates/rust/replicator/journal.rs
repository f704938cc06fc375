//! `acme.journal`: writes every change of the cache to a file, for others to read. It brings
//! nothing back; one that does keeps the sink of `start`. Put what you came for in its place.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use larder_core::replicator::{Mutation, MutationSink, Replicator, TargetStatus};
use larder_core::{BuildContext, CacheError, ErrorKind, PluginConfig, Result, async_trait};
use schemars::JsonSchema;
use serde::Deserialize;

/// Options of `acme.journal`. These comments are what an editor shows.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct JournalConfig {
    /// The file with a change in each line. Default `changes.log`.
    pub path: PathBuf,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self { path: "changes.log".into() }
    }
}

#[async_trait]
impl PluginConfig for JournalConfig {
    const KIND: &'static str = "acme.journal";
    const SUMMARY: &'static str = "writes changes to a file";
    type Plugin = Journal;

    async fn build(self, _: &BuildContext) -> Result<Journal> {
        Ok(Journal { path: self.path, file: Mutex::default() })
    }
}

/// A file of changes.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    /// `None` before it is started, and after it is stopped.
    file: Mutex<Option<File>>,
}

impl Journal {
    fn file(&self) -> MutexGuard<'_, Option<File>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(error: io::Error, path: &Path) -> CacheError {
    CacheError::transparent(ErrorKind::Connection, error).with("path", path.display())
}

/// What happened to which key, or to what the scope names.
fn line(mutation: &Mutation) -> String {
    let time = mutation.stamp().time.as_micros();
    match mutation {
        Mutation::Put { key, .. } => format!("put {time} {key}\n"),
        Mutation::Delete { key, .. } => format!("delete {time} {key}\n"),
        Mutation::Invalidate { scope, .. } => format!("invalidate {time} {scope:?}\n"),
        _ => format!("other {time}\n"),
    }
}

#[async_trait]
impl Replicator for Journal {
    async fn start(&self, _: Arc<dyn MutationSink>) -> Result<()> {
        let opened = OpenOptions::new().create(true).append(true).open(&self.path);
        *self.file() = Some(opened.map_err(|error| failed(error, &self.path))?);
        Ok(())
    }

    async fn send(&self, batch: Vec<Mutation>) -> Result<()> {
        let lines: String = batch.iter().map(line).collect();
        match &mut *self.file() {
            Some(file) => {
                file.write_all(lines.as_bytes()).map_err(|error| failed(error, &self.path))
            }
            None => Err(CacheError::new(ErrorKind::Closed, "the journal is not open")),
        }
    }

    /// Nothing ever waits: what is not written is an error of `send`.
    fn status(&self) -> Vec<TargetStatus> {
        let mut status = TargetStatus::default();
        status.target = "journal".to_owned();
        vec![status]
    }

    async fn stop(&self, _: Duration) -> Result<()> {
        *self.file() = None;
        Ok(())
    }
}
