//! [`FoyerBackend`], entries in foyer.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use foyer::Load;
use larder_core::backend::{Backend, Health};
use larder_core::envelope::{self, EnvelopeError};
use larder_core::{
    BuildContext, Bytes, CacheError, Capabilities, Clock, Entry, ErrorKind, PluginConfig, Result,
    async_trait, telemetry,
};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError};
use tracing::warn;

use crate::config::FoyerConfig;
use crate::directory::Directory;
use crate::engine::{self, Engine, Sizes, failed};
use crate::stored::Stored;
use crate::versions::{Sealed, Versions};

/// Keeps entries in memory and on the disk, through the crate foyer.
///
/// A `set` is done when the entry is in memory and on its way to the disk; when much is on its
/// way, it waits. Reads of entries in memory do not wait for anything.
///
/// # Behaviour
///
/// * What is returned for a key is what the last `set` stored, or nothing.
/// * Entries survive an orderly [`close`](Backend::close). Without one the cache is empty when it
///   is opened again, also when the process was killed.
/// * One process uses the directory at a time; another one is refused.
/// * Work goes on in the tokio runtime in which the backend was opened, so it ends with it.
#[derive(Debug)]
pub struct FoyerBackend {
    engine: Engine,
    versions: Arc<Versions>,
    sizes: Sizes,
    directory: Arc<Directory>,
    runtime: Lifeline,
    cache: String,
    clock: Arc<dyn Clock>,
    /// Bytes that went to foyer since a writer waited for it last.
    backlog: AtomicU64,
    corrupt: AtomicU64,
    is_closed: AtomicBool,
}

impl FoyerBackend {
    /// Opens the directory of a cache, and makes it if it is missing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] without a tokio runtime, when the directory is not safe to use (it is
    /// not a directory, belongs to another user, can be written by others, holds something else),
    /// when another process uses it, and when the disk has no room for it.
    /// [`ErrorKind::Connection`] when the file system refuses.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the cache empty.
    pub async fn open(config: FoyerConfig, context: &BuildContext) -> Result<Self> {
        let runtime = Handle::try_current().map_err(|error| {
            CacheError::new(ErrorKind::Config, "the `foyer` backend needs a tokio runtime")
                .caused_by(error)
                .hint("build the caches inside of one, or use the backend `file`")
        })?;
        let sizes = Sizes::new(&config);
        let cache = context.cache.clone();
        let opening = runtime.spawn_blocking(move || {
            let directory = Directory::open(&config.dir)?;
            directory.check_room(config.max_bytes.0)?;
            let versions = read_versions(&directory, &sizes)?;
            if versions.is_none() && directory.begin_anew()? {
                warn_of_reset(&cache, &"it was not closed in order, or had another size");
            }
            Ok((directory, versions))
        });
        let (directory, versions) = joined(opening.await)?;
        let opened = open_engine(&runtime, &directory, sizes, versions, &context.cache);
        let (engine, versions) = opened.await?;
        Ok(Self {
            engine,
            versions: Arc::new(versions),
            sizes,
            directory: Arc::new(directory),
            runtime: Lifeline::new(runtime),
            cache: context.cache.clone(),
            clock: Arc::clone(&context.clock),
            backlog: AtomicU64::new(0),
            corrupt: AtomicU64::new(0),
            is_closed: AtomicBool::new(false),
        })
    }

    /// What the last `set` of the key stored.
    async fn fetch(&self, key: &str) -> Result<Option<Stored>> {
        let Some(version) = self.versions.get(key) else {
            return Ok(None);
        };
        // A greater one was set meanwhile.
        let counts = |stored: &Stored| stored.version >= version;
        if let Some(found) = self.engine.memory().get(key) {
            return Ok(Some(found.value().clone()).filter(counts));
        }
        // Not `HybridCache::get`: it waits for itself when its runtime has gone, and brings what
        // it reads into memory although it was overwritten meanwhile.
        let loading = self.runtime.wait_for("get", self.engine.storage().load(key)).await?;
        let found = match loading.map_err(|error| failed("get", error))? {
            Load::Entry { value, .. } => Some(value),
            Load::Piece { piece, .. } => Some(piece.value().clone()),
            Load::Miss | Load::Throttled => None,
        };
        let found = found.filter(counts);
        if let Some(stored) = &found {
            self.versions.while_last(key, stored.version, || {
                drop(self.engine.memory().insert(key.to_owned(), stored.clone()));
            });
        }
        Ok(found)
    }

    /// Removes an entry that is still this one.
    fn remove_if(&self, key: &str, version: u64) -> bool {
        self.versions.forget_if(key, version, || self.engine.remove(key))
    }

    fn discard(&self, key: &str, version: u64, reason: &EnvelopeError) {
        self.corrupt.fetch_add(1, Ordering::Relaxed);
        warn!(
            target: telemetry::TARGET,
            cache = self.cache,
            %reason,
            "{}",
            telemetry::FILE_CORRUPT
        );
        self.remove_if(key, version);
    }

    /// Waits when so much is on its way to the disk that foyer would begin to drop entries.
    async fn wait_for_room(&self, bytes: u64) -> Result<()> {
        let bytes = Sizes::on_disk(bytes);
        let backlog = self.backlog.fetch_add(bytes, Ordering::Relaxed);
        if backlog.saturating_add(bytes) > self.sizes.backlog() {
            self.backlog.store(0, Ordering::Relaxed);
            self.runtime.wait_for("set", self.engine.storage().wait()).await?;
        }
        Ok(())
    }

    /// The entry in bytes, if foyer takes so many of them.
    fn encode(&self, key: &str, entry: &Entry) -> Result<Bytes> {
        let mut bytes = Vec::new();
        envelope::encode(entry, &mut bytes).map_err(|error| {
            let message = "the entry does not fit into an envelope";
            CacheError::new(ErrorKind::Capacity, message).caused_by(error)
        })?;
        let size = key.len() as u64 + bytes.len() as u64;
        let most = self.sizes.greatest_entry();
        if size > most {
            return Err(CacheError::new(ErrorKind::Capacity, "the entry is too large")
                .with("backend", "foyer")
                .with("current_size", size)
                .with("max_size", most)
                .hint("raise `max_bytes`, of which an entry can take a part"));
        }
        Ok(bytes.into())
    }

    fn check_open(&self, operation: &'static str) -> Result<()> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(closed(operation));
        }
        Ok(())
    }
}

#[async_trait]
impl Backend for FoyerBackend {
    fn capabilities(&self) -> Capabilities {
        FoyerConfig::CAPABILITIES
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        self.check_open("get")?;
        let Some(stored) = self.fetch(key).await? else {
            return Ok(None);
        };
        match envelope::decode(&stored.envelope) {
            Ok(entry) if !entry.meta.is_dead(self.clock.wall()) => return Ok(Some(entry)),
            Ok(_) => drop(self.remove_if(key, stored.version)),
            Err(reason) => self.discard(key, stored.version, &reason),
        }
        Ok(None)
    }

    async fn set(&self, key: &str, entry: Entry) -> Result<()> {
        self.check_open("set")?;
        let envelope = match self.encode(key, &entry) {
            Ok(envelope) => envelope,
            Err(error) => {
                let forgotten = self.versions.forget(key, || self.engine.remove(key));
                forgotten.map_err(|Sealed| closed("set"))?;
                return Err(error.during("set"));
            }
        };
        self.wait_for_room(key.len() as u64 + envelope.len() as u64).await?;
        let written = self.versions.write(key, |version| {
            drop(self.engine.insert(key.to_owned(), Stored { version, envelope }));
        });
        written.map_err(|Sealed| closed("set"))
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        self.check_open("delete")?;
        let was_there = self.get(key).await;
        let forgotten = self.versions.forget(key, || self.engine.remove(key));
        forgotten.map_err(|Sealed| closed("delete"))?;
        was_there.map(|entry| entry.is_some())
    }

    async fn clear(&self) -> Result<()> {
        self.check_open("clear")?;
        self.versions.clear().map_err(|Sealed| closed("clear"))?;
        // What is on the disk counts no more and makes room in its turn. Not `destroy`: foyer goes
        // on in the middle of a block whose beginning it has wiped, and finds nothing of what is
        // written there when it is opened again.
        self.engine.memory().clear();
        Ok(())
    }

    async fn health(&self) -> Result<Health> {
        self.check_open("health")?;
        let mut health = Health::default();
        health.corrupt = self.corrupt.load(Ordering::Relaxed);
        Ok(health)
    }

    async fn flush(&self) -> Result<()> {
        self.runtime.wait_for("flush", self.engine.storage().wait()).await
    }

    async fn close(&self) -> Result<()> {
        if self.is_closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let (engine, versions) = (self.engine.clone(), Arc::clone(&self.versions));
        let (sizes, directory) = (self.sizes, Arc::clone(&self.directory));
        // A task of its own: it comes to its end, and keeps the directory, also when this future
        // is dropped.
        let closing = self.runtime.handle.spawn(close(engine, versions, sizes, directory));
        joined(closing.await)
    }
}

impl Drop for FoyerBackend {
    /// The directory stays locked until nothing is written to it any more.
    fn drop(&mut self) {
        if !self.is_closed.load(Ordering::Acquire) {
            let (engine, directory) = (self.engine.clone(), Arc::clone(&self.directory));
            self.runtime.handle.spawn(async move {
                // Nobody is left to be told, and the cache begins empty next time anyway.
                engine.close().await.ok();
                drop(directory);
            });
        }
    }
}

/// The runtime that the tasks of foyer run in. When it is gone they never answer, so nobody may
/// wait for them alone.
#[derive(Debug)]
struct Lifeline {
    handle: Handle,
    /// Closed when the task at the other end has ended, which it only does with its runtime.
    end: watch::Receiver<()>,
    task: AbortHandle,
}

impl Lifeline {
    fn new(handle: Handle) -> Self {
        let (other_end, end) = watch::channel(());
        let task = handle.spawn(async move { other_end.closed().await }).abort_handle();
        Self { handle, end, task }
    }

    /// Waits for tasks of foyer while there is a runtime in which they can run.
    async fn wait_for<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = T>,
    ) -> Result<T> {
        let mut end = self.end.clone();
        tokio::select! {
            done = work => Ok(done),
            _ = end.changed() => {
                let message = "the runtime in which the backend was opened is gone";
                let error = CacheError::new(ErrorKind::Closed, message).during(operation);
                Err(error.with("backend", "foyer"))
            }
        }
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The versions of an orderly close, if the data is laid out as we would do it.
fn read_versions(directory: &Directory, sizes: &Sizes) -> Result<Option<Versions>> {
    let Some(bytes) = directory.take_versions()? else {
        return Ok(None);
    };
    let geometry = sizes.geometry().map(u64::to_be_bytes).concat();
    let versions = bytes.strip_prefix(&geometry[..]);
    Ok(versions.and_then(|bytes| Versions::from_bytes(bytes, sizes.entries())))
}

/// Opens foyer, without the data when it cannot be read.
async fn open_engine(
    runtime: &Handle,
    directory: &Directory,
    sizes: Sizes,
    versions: Option<Versions>,
    cache: &str,
) -> Result<(Engine, Versions)> {
    if let Some(versions) = versions {
        match engine::open(runtime, directory.data(), sizes).await {
            Ok(engine) => return Ok((engine, versions)),
            Err(error) => {
                warn_of_reset(cache, &error);
                directory.begin_anew()?;
            }
        }
    }
    let engine = engine::open(runtime, directory.data(), sizes).await?;
    Ok((engine, Versions::new(sizes.entries())))
}

fn warn_of_reset(cache: &str, reason: &dyn fmt::Display) {
    warn!(
        target: telemetry::TARGET,
        cache,
        backend = "foyer",
        %reason,
        "{}",
        telemetry::DISK_RESET
    );
}

/// Ends foyer, and then saves the versions, which nobody changes any more.
async fn close(
    engine: Engine,
    versions: Arc<Versions>,
    sizes: Sizes,
    directory: Arc<Directory>,
) -> Result<()> {
    versions.seal();
    engine.close().await.map_err(|error| failed("close", error))?;
    let written = tokio::task::spawn_blocking(move || {
        let geometry = sizes.geometry().map(u64::to_be_bytes);
        let written = directory.put_versions(&[geometry.concat(), versions.to_bytes()].concat());
        directory.release();
        written
    });
    joined(written.await)
}

/// The error of a call that came too late.
fn closed(operation: &'static str) -> CacheError {
    let error = CacheError::new(ErrorKind::Closed, "the backend is closed");
    error.during(operation).with("backend", "foyer")
}

/// What a task or blocking work gave.
fn joined<T>(done: Result<Result<T>, JoinError>) -> Result<T> {
    done.unwrap_or_else(|error| {
        let (kind, message) = if error.is_panic() {
            (ErrorKind::Plugin, "the foyer backend panicked")
        } else {
            (ErrorKind::Closed, "the runtime is shutting down")
        };
        Err(CacheError::new(kind, message).caused_by(error))
    })
}

#[cfg(test)]
mod tests {
    use larder_core::{ByteSize, EntryMeta};

    use super::*;

    #[tokio::test]
    async fn a_change_that_a_close_overtakes_is_refused() {
        let outer = tempfile::tempdir().unwrap();
        let config = FoyerConfig::new(outer.path().join("cache"), ByteSize(8 << 20));
        let backend = config.build(&BuildContext::new("users")).await.unwrap();
        let entry = Entry { value: Bytes::from_static(b"value"), meta: EntryMeta::default() };
        backend.set("a", entry.clone()).await.unwrap();
        // What a change meets that began before the close.
        backend.versions.seal();
        for error in [
            backend.set("a", entry.clone()).await.unwrap_err(),
            backend.delete("a").await.unwrap_err(),
            backend.clear().await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Closed);
        }
        assert_eq!(backend.get("a").await.unwrap(), Some(entry));
    }

    #[tokio::test]
    async fn a_close_seals_the_versions_that_it_saves() {
        let outer = tempfile::tempdir().unwrap();
        let config = FoyerConfig::new(outer.path().join("cache"), ByteSize(8 << 20));
        let backend = config.build(&BuildContext::new("users")).await.unwrap();
        backend.close().await.unwrap();
        assert_eq!(backend.versions.write("a", |_| panic!("it was saved")), Err(Sealed));
    }
}
