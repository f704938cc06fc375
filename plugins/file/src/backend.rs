//! [`FileBackend`], entries as files of a directory.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use larder_core::backend::{Backend, Deadlines, Health, Lease, ScanPage, ScanRequest};
use larder_core::{
    BuildContext, CacheError, Capabilities, Entry, EntryMeta, ErrorKind, PluginConfig, Result,
    async_trait,
};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use crate::config::FileConfig;
use crate::directory::{Cancelled, Directory};
use crate::sweeper::Sweeper;

/// Keeps each entry in a file of its own.
///
/// A read that needs no disk, for everything it wants is in the memory of the system, is done at
/// once (Linux only). All other work goes to the blocking pool of the tokio runtime the caller runs
/// in; without a runtime it is done on the caller's thread.
///
/// # Behaviour
///
/// * A write is complete or not there, whenever the process ends. After a power loss the checksum
///   finds what is torn, and it is a miss.
/// * A write that failed leaves no entry of its key. On a disk that refuses removals, too (it
///   became read-only), the file stays, and this process does not return it; another one may.
/// * A future that is dropped before its work reached the file has no effect, so it cannot undo
///   what the caller does next.
/// * Several processes may use the directory. Each sees what the others wrote, removed or cleared
///   at once.
#[derive(Clone, Debug)]
pub struct FileBackend {
    directory: Arc<Directory>,
    sweeper: Arc<Sweeper>,
}

impl FileBackend {
    /// Opens the directory of a cache, and makes it if it is missing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when the directory is not safe to use: it is not a directory, belongs
    /// to another user or another cache, can be written by others, or holds something else.
    /// [`ErrorKind::Connection`] when the file system refuses, [`ErrorKind::Timeout`] when another
    /// process keeps the directory locked for two seconds, for instance because it was stopped.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind but an empty cache directory.
    pub async fn open(config: FileConfig, context: &BuildContext) -> Result<Self> {
        let context = context.clone();
        let directory = off_thread(move || Directory::open(&config, &context)).await?;
        Ok(Self { directory: Arc::new(directory), sweeper: Arc::default() })
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

    async fn start(&self) -> Result<()> {
        self.sweeper.sweep(&self.directory);
        Ok(())
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        if let Some(known) = self.directory.quick_get(key) {
            return Ok(known);
        }
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
        self.run(|directory, _| directory.clear()).await?;
        self.sweeper.sweep(&self.directory);
        Ok(())
    }

    async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Entry>>> {
        let mut entries = Vec::with_capacity(keys.len());
        let mut rest = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            match self.directory.quick_get(key) {
                Some(known) => entries.push(known),
                None => {
                    entries.push(None);
                    rest.push((index, (*key).to_owned()));
                }
            }
        }
        if rest.is_empty() {
            return Ok(entries);
        }
        let read = move |directory: &Directory, _: &Cancelled| {
            let each = rest.into_iter().map(|(index, key)| Ok((index, directory.get(&key)?)));
            each.collect::<Result<Vec<_>>>()
        };
        for (index, entry) in self.run(read).await? {
            entries[index] = entry;
        }
        Ok(entries)
    }

    async fn set_many(&self, entries: Vec<(String, Entry)>) -> Result<()> {
        self.run(move |directory, cancelled| {
            let mut each = entries.iter();
            each.try_for_each(|(key, entry)| directory.set(key, entry, cancelled))
        })
        .await
    }

    async fn delete_many(&self, keys: &[&str]) -> Result<u64> {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        self.run(move |directory, cancelled| {
            keys.iter().try_fold(0, |deleted, key| {
                Ok(deleted + u64::from(directory.delete(key, cancelled)?))
            })
        })
        .await
    }

    async fn touch(&self, key: &str, deadlines: Deadlines) -> Result<bool> {
        let key = key.to_owned();
        self.run(move |directory, cancelled| directory.touch(&key, deadlines, cancelled)).await
    }

    async fn scan(&self, request: ScanRequest) -> Result<ScanPage> {
        self.run(move |directory, _| directory.scan(&request)).await
    }

    async fn put_if_newer(&self, key: &str, entry: Entry) -> Result<bool> {
        let key = key.to_owned();
        self.run(move |directory, cancelled| directory.put_if_newer(&key, &entry, cancelled)).await
    }

    async fn lease(&self, key: &str, duration: Duration) -> Result<Lease> {
        let key = key.to_owned();
        self.run(move |directory, _| directory.lease(&key, duration)).await
    }

    async fn fill(&self, key: &str, entry: Entry, token: u64) -> Result<bool> {
        let key = key.to_owned();
        self.run(move |directory, cancelled| directory.fill(&key, &entry, token, cancelled)).await
    }

    async fn release(&self, key: &str, token: u64) -> Result<bool> {
        let key = key.to_owned();
        self.run(move |directory, _| directory.release(&key, token)).await
    }

    async fn meta(&self, key: &str) -> Result<Option<EntryMeta>> {
        let key = key.to_owned();
        self.run(move |directory, _| directory.meta(&key)).await
    }

    async fn health(&self) -> Result<Health> {
        self.run(|directory, _| directory.health()).await
    }

    async fn close(&self) -> Result<()> {
        self.sweeper.stop().await;
        Ok(())
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
pub(crate) async fn off_thread<T, F>(work: F) -> Result<T>
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
