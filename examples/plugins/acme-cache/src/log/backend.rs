//! [`LogBackend`], a log as a backend of a cache.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder_core::backend::{Backend, Deadlines, Health, ScanPage, ScanRequest};
use larder_core::{
    BuildContext, CacheError, Capabilities, Clock, Entry, ErrorKind, PluginConfig, Result,
    Timestamp, async_trait,
};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::LogConfig;
use super::file::Log;

/// Keeps all entries of a cache in one file.
///
/// The work blocks, so it goes to the blocking pool of the runtime; without a runtime it is done
/// at once, on the caller's thread.
#[derive(Debug)]
pub struct LogBackend {
    /// `None` once it was closed. The lock is taken before the work goes to another thread and
    /// goes with it: a caller that gives up and then does something else finds it done after, not
    /// undone by, what it gave up.
    log: Arc<Mutex<Option<Log>>>,
    path: PathBuf,
    clock: Arc<dyn Clock>,
}

impl LogBackend {
    /// Opens the log of a cache, and makes it if it is missing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when another cache uses the file; [`ErrorKind::Connection`] when the
    /// file system refuses.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind but files it created.
    pub async fn open(config: LogConfig, context: &BuildContext) -> Result<Self> {
        let clock = Arc::clone(&context.clock);
        let (path, now) = (config.path.clone(), clock.wall());
        let opened = off_thread(move || Log::open(path, config.max_bytes.0, now)).await?;
        let log = opened.map_err(|error| failed("open", &config.path, error))?;
        tracing::debug!(path = %config.path.display(), "the log is open");
        Ok(Self { log: Arc::new(Mutex::new(Some(log))), path: config.path, clock })
    }

    async fn run<T, F>(&self, operation: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Log, Timestamp) -> io::Result<T> + Send + 'static,
    {
        let mut log = Arc::clone(&self.log).lock_owned().await;
        let now = self.clock.wall();
        let done = off_thread(move || log.as_mut().map(|log| work(log, now))).await?;
        let done = done.ok_or_else(|| CacheError::new(ErrorKind::Closed, "the log was closed"))?;
        done.map_err(|error| failed(operation, &self.path, error))
    }
}

#[async_trait]
impl Backend for LogBackend {
    fn capabilities(&self) -> Capabilities {
        LogConfig::CAPABILITIES
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        let key = key.to_owned();
        self.run("get", move |log, now| log.get(&key, now)).await
    }

    async fn set(&self, key: &str, entry: Entry) -> Result<()> {
        let key = key.to_owned();
        self.run("set", move |log, now| log.set(&key, &entry, now)).await
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        let key = key.to_owned();
        self.run("delete", move |log, now| log.delete(&key, now)).await
    }

    async fn clear(&self) -> Result<()> {
        self.run("clear", |log, _| log.clear()).await
    }

    async fn touch(&self, key: &str, deadlines: Deadlines) -> Result<bool> {
        let key = key.to_owned();
        self.run("touch", move |log, now| log.touch(&key, deadlines, now)).await
    }

    async fn scan(&self, request: ScanRequest) -> Result<ScanPage> {
        self.run("scan", move |log, _| Ok(log.scan(&request))).await
    }

    async fn health(&self) -> Result<Health> {
        let health = |log: &mut Log, _| {
            let mut health = Health::default();
            health.entries = Some(log.entries());
            health.bytes = Some(log.bytes());
            health.corrupt = log.corrupt();
            Ok(health)
        };
        self.run("health", health).await
    }

    async fn flush(&self) -> Result<()> {
        self.run("flush", |log, _| log.sync()).await
    }

    async fn close(&self) -> Result<()> {
        let flushed = self.flush().await;
        // Dropping the log gives its lock back, even when the disk refused the last bytes.
        self.log.lock().await.take();
        flushed
    }
}

/// Does blocking work where it blocks nobody, if there is such a place.
async fn off_thread<T, F>(work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    if Handle::try_current().is_err() {
        return Ok(work());
    }
    spawn_blocking(work).await.map_err(|error| {
        CacheError::new(ErrorKind::Plugin, "the work on the log did not end").caused_by(error)
    })
}

fn failed(operation: &'static str, path: &Path, error: io::Error) -> CacheError {
    let (kind, message, hint) = match error.kind() {
        io::ErrorKind::ResourceBusy => (
            ErrorKind::Config,
            "the log is in use by another process or cache",
            "give every cache of every process a `path` of its own",
        ),
        io::ErrorKind::FileTooLarge | io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (
                ErrorKind::Capacity,
                "there is no room for the entry",
                "raise `max_bytes`, or free space on the disk",
            )
        }
        _ => (
            ErrorKind::Connection,
            "the file system refused the operation",
            "look at the file and the disk it is on",
        ),
    };
    CacheError::new(kind, message)
        .during(operation)
        .with("backend", LogConfig::KIND)
        .with("path", path.display())
        .caused_by(error)
        .hint(hint)
}
