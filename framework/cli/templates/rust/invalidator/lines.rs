//! `acme.lines`: a file that several processes append to and read. A line is the key of an entry
//! that changed. Put what you came for in its place.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use larder_core::invalidator::{Invalidation, InvalidationSink, Invalidator, Scope};
use larder_core::{
    BuildContext, CacheError, Clock, ErrorKind, PluginConfig, Result, Stamp, async_trait,
};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::task::JoinHandle;

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_millis(100);

/// Options of `acme.lines`. These comments are what an editor shows.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct LinesConfig {
    /// The file with a key in each line. Default `changed.txt`.
    pub path: PathBuf,
}

impl Default for LinesConfig {
    fn default() -> Self {
        Self { path: "changed.txt".into() }
    }
}

#[async_trait]
impl PluginConfig for LinesConfig {
    const KIND: &'static str = "acme.lines";
    const SUMMARY: &'static str = "keys that changed, from lines of a file";
    type Plugin = Lines;

    async fn build(self, context: &BuildContext) -> Result<Lines> {
        let clock = Arc::clone(&context.clock);
        Ok(Lines { path: self.path, clock, task: Mutex::default() })
    }
}

/// A file of keys.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    task: Mutex<Option<JoinHandle<()>>>,
}

fn failed(error: io::Error, path: &Path) -> CacheError {
    CacheError::transparent(ErrorKind::Invalidation, error).with("path", path.display())
}

#[async_trait]
impl Invalidator for Lines {
    async fn start(&self, sink: Arc<dyn InvalidationSink>) -> Result<()> {
        let opened = OpenOptions::new().create(true).append(true).read(true).open(&self.path);
        let mut file = opened.map_err(|error| failed(error, &self.path))?;
        // What was written before concerns nobody: the cache has read nothing yet.
        file.seek(SeekFrom::End(0)).map_err(|error| failed(error, &self.path))?;
        let task = tokio::spawn(follow(file, sink, Arc::clone(&self.clock)));
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        Ok(())
    }

    async fn publish(&self, invalidation: &Invalidation) -> Result<()> {
        let key = match &invalidation.scope {
            Scope::Key(key) if !key.contains('\n') => key,
            _ => return Err(CacheError::new(ErrorKind::Unsupported, "a line can only tell a key")),
        };
        let opened = OpenOptions::new().create(true).append(true).open(&self.path);
        // In one write, for others append to it, too.
        let written = opened.and_then(|mut file| file.write_all(format!("{key}\n").as_bytes()));
        written.map_err(|error| failed(error, &self.path))
    }

    async fn stop(&self) -> Result<()> {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
            // Once it is over, the sink is not called any more.
            drop(task.await);
        }
        Ok(())
    }
}

/// Delivers each line that comes, until it is stopped.
async fn follow(mut file: File, sink: Arc<dyn InvalidationSink>, clock: Arc<dyn Clock>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    let mut unread = String::new();
    loop {
        ticks.tick().await;
        if file.read_to_string(&mut unread).is_err() {
            // Nobody knows what stands there, so nothing that was read can be trusted.
            sink.lost_track().await;
            continue;
        }
        while let Some((line, _)) = unread.split_once('\n') {
            let stamp = Stamp { time: clock.wall(), origin: 0 };
            let change = Invalidation::new(Scope::Key(line.to_owned()), stamp);
            let length = line.len() + 1;
            if sink.invalidate(change).await.is_err() {
                // It is delivered again.
                break;
            }
            unread.drain(..length);
        }
    }
}
