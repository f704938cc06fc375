//! [`RedbBackend`], entries in a redb database.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use larder_core::backend::{Backend, Deadlines, Health, ScanPage, ScanRequest};
use larder_core::{
    BuildContext, CacheError, Capabilities, Clock, Entry, ErrorKind, PluginConfig, Result,
    async_trait,
};
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, spawn_blocking};

use crate::caller::{Caller, Presence};
use crate::config::{Durability, RedbConfig};
use crate::store::Store;

/// How long a write may wait to be forced to the disk with the durability `eventual`.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);

/// Keeps entries in one file, through the crate redb.
///
/// All work is blocking and goes to the blocking pool of the tokio runtime the caller runs in;
/// without a runtime it is done at once, on the caller's thread. One write is done at a time.
///
/// # Behaviour
///
/// * A write is complete or not there, whenever the process ends or the power fails. Which writes
///   are there afterwards is the business of the option `durability`.
/// * Many entries that are set at once are stored in one transaction, all or none of them.
/// * A `set` that failed leaves no entry of its key. Where a full disk refuses to remove it, too,
///   the whole cache begins anew. A `put_if_newer` that failed leaves the old entry, or none.
/// * A write whose future was dropped is done before whatever is called next, or not at all.
/// * A file that cannot be read is moved to `damaged.redb`, and the cache begins empty.
/// * One process uses the directory at a time; another one is refused.
#[derive(Debug)]
pub struct RedbBackend {
    store: Arc<Store>,
    durability: Durability,
    clock: Arc<dyn Clock>,
    /// The task that flushes.
    flusher: Mutex<Option<AbortHandle>>,
}

impl RedbBackend {
    /// Opens the directory of a cache, and makes it if it is missing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when the directory is not safe to use (it is not a directory, belongs
    /// to another user, can be written by others, holds something else), or another process uses
    /// it. [`ErrorKind::Connection`] and [`ErrorKind::Capacity`] when the file system refuses.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind but an empty cache.
    pub async fn open(config: RedbConfig, context: &BuildContext) -> Result<Self> {
        let (durability, clock) = (config.durability, Arc::clone(&context.clock));
        let context = context.clone();
        let store = off_thread(move || Store::open(&config, &context)).await?;
        Ok(Self { store: Arc::new(store), durability, clock, flusher: Mutex::default() })
    }

    async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Store) -> Result<T> + Send + 'static,
    {
        let store = Arc::clone(&self.store);
        off_thread(move || work(&store)).await
    }

    /// Does work that changes something, unless the caller has gone before it began.
    async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Store, &Caller) -> Result<T> + Send + 'static,
    {
        let presence = Presence::default();
        let caller = presence.caller();
        self.read(move |store| work(store, &caller)).await
    }

    fn stop_flusher(&self) {
        let flusher = self.flusher.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(flusher) = flusher {
            flusher.abort();
        }
    }
}

#[async_trait]
impl Backend for RedbBackend {
    fn capabilities(&self) -> Capabilities {
        RedbConfig::CAPABILITIES
    }

    async fn start(&self) -> Result<()> {
        if self.durability != Durability::Eventual {
            return Ok(());
        }
        let runtime = Handle::try_current().map_err(|error| {
            let message = "`durability = \"eventual\"` needs a tokio runtime";
            let error = CacheError::new(ErrorKind::Config, message).caused_by(error);
            error.hint("build the caches inside of one, or use `immediate`")
        })?;
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        let flusher = runtime.spawn(async move {
            loop {
                clock.sleep(FLUSH_INTERVAL).await;
                let store = Arc::clone(&store);
                // Whoever flushes or closes is told what is wrong; here it is tried again.
                off_thread(move || store.flush()).await.ok();
            }
        });
        let mut slot = self.flusher.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(flusher.abort_handle());
        Ok(())
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        let keys = [key.to_owned()];
        let mut found = self.read(move |store| store.get_many(&keys)).await?;
        Ok(found.pop().flatten())
    }

    async fn set(&self, key: &str, entry: Entry) -> Result<()> {
        self.set_many(vec![(key.to_owned(), entry)]).await
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        Ok(self.delete_many(&[key]).await? != 0)
    }

    async fn clear(&self) -> Result<()> {
        self.write(Store::clear).await
    }

    async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Entry>>> {
        let keys = owned(keys);
        self.read(move |store| store.get_many(&keys)).await
    }

    async fn set_many(&self, entries: Vec<(String, Entry)>) -> Result<()> {
        self.write(move |store, caller| store.set_many(&entries, caller)).await
    }

    async fn delete_many(&self, keys: &[&str]) -> Result<u64> {
        let keys = owned(keys);
        self.write(move |store, caller| store.delete_many(&keys, caller)).await
    }

    async fn touch(&self, key: &str, deadlines: Deadlines) -> Result<bool> {
        let key = key.to_owned();
        self.write(move |store, caller| store.touch(&key, deadlines, caller)).await
    }

    async fn scan(&self, request: ScanRequest) -> Result<ScanPage> {
        self.read(move |store| store.scan(&request)).await
    }

    async fn put_if_newer(&self, key: &str, entry: Entry) -> Result<bool> {
        let key = key.to_owned();
        self.write(move |store, caller| store.put_if_newer(&key, &entry, caller)).await
    }

    async fn health(&self) -> Result<Health> {
        self.read(Store::health).await
    }

    async fn flush(&self) -> Result<()> {
        self.read(Store::flush).await
    }

    async fn close(&self) -> Result<()> {
        self.stop_flusher();
        self.read(Store::close).await
    }
}

impl Drop for RedbBackend {
    fn drop(&mut self) {
        self.stop_flusher();
    }
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
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
            (ErrorKind::Plugin, "the redb backend panicked")
        } else {
            (ErrorKind::Closed, "the runtime is shutting down")
        };
        Err(CacheError::new(kind, message).caused_by(error))
    })
}
