//! `persist` of the config: the memory of a cache, saved to a file and brought back.
//!
//! The types of a cache are known once somebody opens it, so that is when its file is read. In a
//! cache of memory alone nobody else has a handle yet, and what the file says is put straight into
//! the store. Where tiers lie below, they know better than a file that may be old: it only says
//! which keys were in memory, and those are read again from below, in the background.
//!
//! [`CacheManager::close`](crate::CacheManager::close) saves once more, after the last call was
//! let in and before the store is emptied. A file that cannot be read is a cold start and one
//! event, never an error.

use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use larder_config::model::PersistSpec;
use larder_core::{CacheError, ErrorKind, Result, telemetry};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use tokio::task::JoinHandle;

use crate::block::{block_on, offload};
use crate::core::{AnyCache, CacheValue, Core, Key, Origin, can_read, read_key};
use crate::engine::Engine;
use crate::snapshot::decoder::Decoder;
use crate::snapshot::file::open_plain;
use crate::snapshot::{Exported, Fate, ImportMode, Imported, PAGE, SnapshotFile, lives};
use crate::tier::count;

/// A file is not written more often than this.
const SHORTEST: Duration = Duration::from_millis(1);

/// The file of a cache.
#[derive(Debug)]
pub(crate) struct Persist {
    path: PathBuf,
    every: Option<Duration>,
    engine: Arc<Engine>,
    /// Held by whoever reads or writes the file.
    turn: Arc<Turn<()>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    has_begun: bool,
    /// What came back, once all did.
    restored: Option<Imported>,
    /// Whether the last save has begun: the store is emptied after it.
    has_ended: bool,
    tasks: Vec<JoinHandle<()>>,
}

impl Persist {
    pub(crate) fn new(spec: &PersistSpec, engine: &Arc<Engine>) -> Arc<Self> {
        Arc::new(Self {
            path: spec.path.clone(),
            every: spec.every,
            engine: Arc::clone(engine),
            turn: Arc::default(),
            state: Mutex::default(),
        })
    }

    /// Refuses types that cannot be saved.
    pub(crate) fn check<K: Key, V: CacheValue>(core: &Core<K, V>) -> Result<()> {
        let checked = core.codec_for_snapshots().map(drop).and_then(|()| can_read::<K>());
        checked.map_err(|error| error.with("cache", &core.engine.name).with("option", "persist"))
    }

    /// Brings back what the file has, and begins to save: for a cache that nobody else has yet.
    pub(crate) fn begin<K: Key, V: CacheValue>(self: &Arc<Self>, core: &Arc<Core<K, V>>) {
        // Nobody saves before the first handle is there, and nobody waits before it has begun.
        let Ok(turn) = Arc::clone(&self.turn).try_lock_owned() else { return };
        self.state().has_begun = true;
        let runtime = tokio::runtime::Handle::try_current().ok();
        if let Some(local) = core.local() {
            let how = (ImportMode::KeepNewer, Origin::OwnFile);
            self.restore(|decoder, imported| core.import_locally(&local, decoder, how, imported));
            drop(turn);
        } else {
            let (persist, core) = (Arc::clone(self), Arc::clone(core));
            let warming = async move { persist.warm(core, turn).await };
            match &runtime {
                Some(runtime) => self.state().tasks.push(runtime.spawn(warming)),
                None => block_on(warming),
            }
        }
        if let (Some(runtime), Some(every)) = (runtime, self.every) {
            let cache = Arc::clone(core) as Arc<dyn AnyCache>;
            let (persist, weak) = (Arc::clone(self), Arc::downgrade(&cache));
            self.state().tasks.push(runtime.spawn(async move {
                loop {
                    persist.engine.clock.sleep(every.max(SHORTEST)).await;
                    let Some(cache) = weak.upgrade() else { return };
                    // It was reported, and the next time comes.
                    persist.save(cache).await.ok();
                }
            }));
        }
    }

    /// Reads the file, if there is one, and notes what came back.
    fn restore(&self, read: impl FnOnce(&mut Decoder<std::fs::File>, &mut Imported) -> Result<()>) {
        let mut imported = Imported::default();
        let outcome = open_plain(&self.path).and_then(|file| {
            let Some(file) = file else { return Ok(()) };
            let mut decoder = Decoder::open(file)?;
            imported = Imported::of(decoder.header());
            read(&mut decoder, &mut imported)
        });
        self.note_restored(imported, outcome.err());
    }

    /// Reads again from the tiers below what was in memory.
    async fn warm<K: Key, V: CacheValue>(&self, core: Arc<Core<K, V>>, turn: OwnedMutexGuard<()>) {
        let path = self.path.clone();
        let opened = offload(move || match open_plain(&path)? {
            Some(file) => Decoder::open(file).map(Some),
            None => Ok(None),
        });
        let mut decoder = match opened.await {
            Ok(Some(decoder)) => decoder,
            Ok(None) => return self.note_restored(Imported::default(), None),
            Err(error) => return self.note_restored(Imported::default(), Some(error)),
        };
        let mut imported = Imported::of(decoder.header());
        loop {
            let now = self.engine.clock.wall();
            let read = offload(move || {
                let page = read_keys::<K>(&mut decoder, now);
                Ok((decoder, page))
            });
            let (keys, fates, end) = match read.await {
                Ok((next, page)) => {
                    decoder = next;
                    page
                }
                Err(error) => return self.note_restored(imported, Some(error)),
            };
            fates.into_iter().for_each(|fate| imported.count(fate));
            if self.engine.check_open().is_err() {
                // The file stays as it is: not all of it is in memory.
                return;
            }
            let asked = keys.len() as u64;
            let (warmed, outcome) = core.warm(keys).await;
            imported.entries += warmed;
            if let Err(error) = outcome {
                // The file stays as it is: the tier has what it names, once it is back.
                return self.report_restored(&imported, Some(error));
            }
            imported.invalidated += asked - warmed;
            match end {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => return self.note_restored(imported, Some(error)),
            }
        }
        self.note_restored(imported, None);
        drop(turn);
    }

    /// All came back that ever will; what is saved from now on replaces the file.
    fn note_restored(&self, imported: Imported, error: Option<CacheError>) {
        self.report_restored(&imported, error);
        self.state().restored = Some(imported);
    }

    fn report_restored(&self, imported: &Imported, error: Option<CacheError>) {
        let (cache, path) = (&self.engine.name, self.path.display());
        self.engine.counters.restored.fetch_add(imported.entries, Relaxed);
        let error = error.or_else(|| unreadable(imported.refused));
        if let Some(error) = error {
            count(&self.engine.counters.snapshot_failures);
            tracing::warn!(
                target: telemetry::TARGET,
                %cache, %path, restored = imported.entries, %error,
                "{}", telemetry::RESTORE_FAILED
            );
        } else {
            tracing::debug!(
                target: telemetry::TARGET,
                %cache, %path, restored = imported.entries, "{}", telemetry::CACHE_RESTORED
            );
        }
    }

    /// What came back from the file, once all did; `None` if the cache was closed before, a tier
    /// below failed, or nobody has opened it.
    pub(crate) async fn restored(&self) -> Option<Imported> {
        if !self.state().has_begun {
            return None;
        }
        let _turn = self.turn.lock().await;
        self.state().restored.clone()
    }

    /// Writes the file, unless memory may hold less than the file does.
    pub(crate) async fn save(&self, cache: Arc<dyn AnyCache>) -> Result<Exported> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        // Whoever had the turn before may have been the last to save, or have left the file
        // half-read.
        self.check_whole()?;
        self.write(cache, turn).await
    }

    fn check_whole(&self) -> Result<()> {
        let is_whole = {
            let state = self.state();
            state.restored.is_some() && !state.has_ended
        };
        if is_whole {
            return Ok(());
        }
        self.engine.check_open()?;
        Err(CacheError::new(ErrorKind::Connection, "the file was not read to its end")
            .with("cache", &self.engine.name)
            .with("path", self.path.display())
            .hint("it is kept as it is, and read again when the program starts again"))
    }

    async fn write(&self, cache: Arc<dyn AnyCache>, turn: OwnedMutexGuard<()>) -> Result<Exported> {
        let path = self.path.clone();
        let saved = offload(move || {
            // Goes with the work, which goes on if the caller does not wait.
            let _turn = turn;
            let mut file = SnapshotFile::create(&path)?;
            let exported = cache.save(&mut file)?;
            file.commit()?;
            Ok(exported)
        });
        let saved = saved.await.map_err(|error| error.with("cache", &self.engine.name));
        match &saved {
            Err(error) => self.warn_unsaved(error),
            Ok(exported) if exported.skipped > 0 => self.warn_unsaved(
                &CacheError::new(ErrorKind::Serialization, "some values could not be written")
                    .with("entries", exported.skipped),
            ),
            Ok(_) => {}
        }
        saved
    }

    fn warn_unsaved(&self, error: &CacheError) {
        count(&self.engine.counters.snapshot_failures);
        tracing::warn!(
            target: telemetry::TARGET,
            cache = %self.engine.name, path = %self.path.display(), %error,
            "{}", telemetry::SAVE_FAILED
        );
    }

    /// Saves for the last time, once: the cache takes no calls any more. Whoever comes second waits
    /// for that save, so the store may be emptied afterwards.
    pub(crate) async fn end(&self, cache: Arc<dyn AnyCache>) -> Result<()> {
        if !self.state().has_begun {
            return Ok(());
        }
        // Those that are saving go on to their end: they hold the turn.
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let is_whole = self.check_whole().is_ok();
        let tasks = {
            let mut state = self.state();
            state.has_ended = true;
            std::mem::take(&mut state.tasks)
        };
        tasks.iter().for_each(JoinHandle::abort);
        if is_whole { self.write(cache, turn).await.map(drop) } else { Ok(()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why entries of a file that is whole did not come back, if some did not.
fn unreadable(refused: u64) -> Option<CacheError> {
    let message = "some entries are of no use to this cache";
    (refused > 0).then(|| {
        CacheError::new(ErrorKind::Serialization, message)
            .with("entries", refused)
            .hint("they have other types, another serializer, or no room")
    })
}

/// Some keys, what became of others, and whether they were the last or what follows them.
type Page<K> = (Vec<K>, Vec<Fate>, Result<bool>);

fn read_keys<K: Key>(decoder: &mut Decoder<std::fs::File>, now: larder_core::Timestamp) -> Page<K> {
    let (mut keys, mut fates) = (Vec::with_capacity(PAGE), Vec::new());
    loop {
        let record = match decoder.next() {
            Ok(Some(record)) => record,
            Ok(None) => return (keys, fates, Ok(true)),
            Err(error) => return (keys, fates, Err(error)),
        };
        match read_key::<K>(&record.key) {
            _ if !lives(&record.entry, now) => fates.push(Fate::Expired),
            Some(key) => keys.push(key),
            None => fates.push(Fate::Refused),
        }
        if keys.len() == PAGE {
            return (keys, fates, Ok(false));
        }
    }
}
