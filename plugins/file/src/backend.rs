//! [`FileBackend`], entries as files of a directory.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use larder_core::backend::{Backend, Deadlines, Health, ScanPage, ScanRequest};
use larder_core::{
    BuildContext, CacheError, Capabilities, Entry, ErrorKind, PluginConfig, Result, async_trait,
};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use crate::config::FileConfig;
use crate::directory::{Cancelled, Directory};

/// Keeps each entry in a file of its own.
///
/// All work is blocking and goes to the blocking pool of the tokio runtime the caller runs in;
/// without a runtime it is done at once, on the caller's thread.
///
/// # Behaviour
///
/// * A write is complete or not there, whenever the process ends. After a power loss the checksum
///   finds what is torn, and it is a miss.
/// * A write that failed leaves no entry of its key. The one exception is a disk that refuses
///   removals, too (it became read-only): then what is stored stays.
/// * A future that is dropped before its work reached the file has no effect, so it cannot undo
///   what the caller does next.
/// * Several processes may use the directory. Each sees what the others wrote, removed or cleared
///   at once.
#[derive(Clone, Debug)]
pub struct FileBackend {
    directory: Arc<Directory>,
}

impl FileBackend {
    /// Opens the directory of a cache, and makes it if it is missing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when the directory is not safe to use: it is not a directory, belongs
    /// to another user or another cache, can be written by others, or holds something else; and
    /// for a policy other than `lru`, `fifo`, `ttl` and `random`. [`ErrorKind::Connection`] when
    /// the file system refuses.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind but an empty cache directory.
    pub async fn open(config: FileConfig, context: &BuildContext) -> Result<Self> {
        let context = context.clone();
        let directory = off_thread(move || Directory::open(&config, &context)).await?;
        Ok(Self { directory: Arc::new(directory) })
    }

    async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Directory, &Cancelled) -> Result<T> + Send + 'static,
    {
        let directory = Arc::clone(&self.directory);
        let on_drop = CancelOnDrop::default();
        let cancelled = Arc::clone(&on_drop.0);
        off_thread(move || work(&directory, &cancelled)).await
    }
}

#[async_trait]
impl Backend for FileBackend {
    fn capabilities(&self) -> Capabilities {
        FileConfig::CAPABILITIES
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        let key = key.to_owned();
        self.run(move |directory, _| directory.get(&key)).await
    }

    async fn set(&self, key: &str, entry: Entry) -> Result<()> {
        let key = key.to_owned();
        self.run(move |directory, cancelled| directory.set(&key, &entry, cancelled)).await
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        let key = key.to_owned();
        self.run(move |directory, cancelled| directory.delete(&key, cancelled)).await
    }

    async fn clear(&self) -> Result<()> {
        self.run(|directory, _| directory.clear()).await
    }

    async fn touch(&self, key: &str, deadlines: Deadlines) -> Result<bool> {
        let key = key.to_owned();
        self.run(move |directory, cancelled| directory.touch(&key, deadlines, cancelled)).await
    }

    async fn scan(&self, request: ScanRequest) -> Result<ScanPage> {
        self.run(move |directory, _| directory.scan(&request)).await
    }

    async fn health(&self) -> Result<Health> {
        self.run(|directory, _| directory.health()).await
    }
}

/// Tells the work that its caller has gone.
#[derive(Default)]
struct CancelOnDrop(Arc<Cancelled>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Does blocking work where it blocks nobody, if there is such a place.
async fn off_thread<T, F>(work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    if Handle::try_current().is_err() {
        return work();
    }
    spawn_blocking(work).await.unwrap_or_else(|error| {
        let (kind, message) = if error.is_panic() {
            (ErrorKind::Plugin, "the file backend panicked")
        } else {
            (ErrorKind::Closed, "the runtime is shutting down")
        };
        Err(CacheError::new(kind, message).caused_by(error))
    })
}
