//! [`Directory`], the work of the backend without its futures: blocking calls that any number of
//! threads and processes may make at a time.

use std::fs::{self, File, FileTimes};
use std::io::{self, ErrorKind as Io, Seek as _, SeekFrom, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use larder_core::backend::{Deadlines, Health};
use larder_core::envelope::deadline_bytes;
use larder_core::{
    BuildContext, CacheError, Clock, Entry, ErrorKind, Result, Timestamp, telemetry,
};
use tracing::warn;

use crate::collect::{Collector, Goal};
use crate::config::{FileConfig, Fsync};
use crate::entry_file::{self, Header, Unreadable};
use crate::error::failed;
use crate::layout::{EntryName, Layout};
use crate::meta::{self, Fingerprint, Meta};
use crate::platform::{self, Identity};
use crate::root;

/// The last use of an entry is written down at most this often: each time dirties an inode.
const USE_INTERVAL: Duration = Duration::from_secs(10);

/// How many locks the entries share.
const LOCKS: usize = 64;

/// Set when nobody waits for the outcome of an operation any more.
pub(crate) type Cancelled = AtomicBool;

/// A directory of entries.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) layout: Layout,
    pub(crate) cache: String,
    pub(crate) fsync: Fsync,
    clock: Arc<dyn Clock>,
    agreed: RwLock<(Arc<Meta>, Fingerprint)>,
    pub(crate) collector: Collector,
    /// Held while the file of an entry is replaced, patched or removed, so that within this
    /// process nobody removes what was written a moment ago. Between processes the same can
    /// happen in the instant between a look and a removal; it costs a miss.
    locks: [Mutex<()>; LOCKS],
    pub(crate) writer: u64,
    pub(crate) written: AtomicU64,
    corrupt: AtomicU64,
}

/// What is to be done with the entry that a file holds.
enum Found {
    /// It is the one that is asked for, and alive.
    Live,
    /// Its life is over, or the cache was cleared since.
    Gone,
    /// Another key has the same name.
    Other,
}

impl Directory {
    pub(crate) fn open(config: &FileConfig, context: &BuildContext) -> Result<Self> {
        let collector = Collector::new(config, context)?;
        let dir = std::path::absolute(&config.dir).map_err(|e| failed("open", &config.dir, e))?;
        let layout = Layout::new(dir);
        let (meta, fingerprint) = root::open(&layout, &context.cache)?;
        let at = |error| failed("open", layout.root(), error);
        root::remove_orphans(&layout, context.clock.wall()).map_err(at)?;
        collector.count(&layout).map_err(at)?;
        Ok(Self {
            layout,
            cache: context.cache.clone(),
            fsync: config.fsync,
            clock: Arc::clone(&context.clock),
            agreed: RwLock::new((Arc::new(meta), fingerprint)),
            collector,
            locks: std::array::from_fn(|_| Mutex::new(())),
            writer: fastrand::u64(..),
            written: AtomicU64::new(0),
            corrupt: AtomicU64::new(0),
        })
    }

    /// What all processes agree on now. Looks whether another one changed it; makes the directory
    /// anew when somebody deleted it.
    pub(crate) fn meta(&self) -> Result<Arc<Meta>> {
        let now = Fingerprint::now(&self.layout);
        {
            let agreed = self.agreed.read().unwrap_or_else(PoisonError::into_inner);
            if now.is_ok_and(|now| now == agreed.1) {
                return Ok(Arc::clone(&agreed.0));
            }
        }
        let (meta, fingerprint) = root::open(&self.layout, &self.cache).map_err(|error| {
            let message = "the cache directory cannot be used any more";
            CacheError::new(ErrorKind::Connection, message).caused_by(error)
        })?;
        let meta = Arc::new(meta);
        let mut agreed = self.agreed.write().unwrap_or_else(PoisonError::into_inner);
        *agreed = (Arc::clone(&meta), fingerprint);
        Ok(meta)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.wall()
    }

    pub(crate) fn get(&self, key: &str) -> Result<Option<Entry>> {
        let meta = self.meta()?;
        let (name, now) = (EntryName::new(&meta.salt, &self.cache, key), self.now());
        let Some((file, identity)) = self.open_entry(name, &platform::reading(), "get")? else {
            return Ok(None);
        };
        let read = file.metadata().map_err(Unreadable::Io).and_then(|metadata| {
            Ok((entry_file::read_entry(&mut &file, metadata.len())?, metadata))
        });
        match read {
            Err(reason) => self.discard(name, identity, &reason),
            Ok(((header, entry), metadata)) => match self.judge(&header, &meta, key, now) {
                Found::Live => {
                    self.note_use(&file, &metadata, now);
                    return Ok(Some(entry));
                }
                // Of another epoch it may also be one that is newer than what we read above.
                Found::Gone if header.epoch == self.meta()?.epoch && header.epoch != meta.epoch => {
                }
                Found::Gone => {
                    self.remove_if(name, identity);
                }
                Found::Other => {}
            },
        }
        Ok(None)
    }

    pub(crate) fn delete(&self, key: &str, cancelled: &Cancelled) -> Result<bool> {
        let meta = self.meta()?;
        let name = EntryName::new(&meta.salt, &self.cache, key);
        let _lock = self.lock(name);
        if is_cancelled(cancelled) {
            return Ok(false);
        }
        let Some((file, _)) = self.open_entry(name, &platform::reading(), "delete")? else {
            return Ok(false);
        };
        let found = match self.read_header(&file) {
            Ok(header) => self.judge(&header, &meta, key, self.now()),
            Err(_) => Found::Gone,
        };
        if matches!(found, Found::Other) {
            return Ok(false);
        }
        let path = self.layout.entry(name);
        match fs::remove_file(&path) {
            Ok(()) => self.collector.removed(length(&file)),
            Err(error) if is_missing(&error) => return Ok(false),
            Err(error) => return Err(failed("delete", &path, error)),
        }
        Ok(matches!(found, Found::Live))
    }

    pub(crate) fn touch(
        &self,
        key: &str,
        deadlines: Deadlines,
        cancelled: &Cancelled,
    ) -> Result<bool> {
        let meta = self.meta()?;
        let name = EntryName::new(&meta.salt, &self.cache, key);
        let _lock = self.lock(name);
        if is_cancelled(cancelled) {
            return Ok(false);
        }
        let Some((mut file, _)) = self.open_entry(name, &platform::patching(), "touch")? else {
            return Ok(false);
        };
        let Ok(header) = self.read_header(&file) else {
            // The next `get` finds out why, and removes it.
            return Ok(false);
        };
        if !matches!(self.judge(&header, &meta, key, self.now()), Found::Live) {
            return Ok(false);
        }
        let patched = (|| {
            file.seek(SeekFrom::Start(header.deadlines_at))?;
            file.write_all(&deadline_bytes(deadlines))?;
            let modified = entry_file::modified(deadlines.hard);
            file.set_times(FileTimes::new().set_modified(modified))?;
            self.sync(&file)
        })();
        let at = |error| failed("touch", &self.layout.entry(name), error);
        patched.map(|()| true).map_err(at)
    }

    pub(crate) fn clear(&self) -> Result<()> {
        self.meta()?;
        let at = |error| failed("clear", self.layout.root(), error);
        let lock = meta::lock(&self.layout).map_err(at)?;
        // Read under the lock: another process may have cleared a moment ago.
        let mut next = match meta::read(&self.layout) {
            Ok((meta, _)) => meta,
            Err(_) => Meta::new(&self.cache),
        };
        next.epoch = next.epoch.wrapping_add(1);
        meta::write(&self.layout, &next).map_err(at)?;
        drop(lock);
        let remove_older = |name| {
            let Ok(Some((file, identity))) = self.open_entry(name, &platform::reading(), "clear")
            else {
                return;
            };
            if self.read_header(&file).is_ok_and(|header| header.epoch == next.epoch) {
                return;
            }
            self.remove_if(name, identity);
        };
        for shard in 0..=u8::MAX {
            self.layout.names(shard).map_err(at)?.into_iter().for_each(remove_older);
        }
        Ok(())
    }

    pub(crate) fn health(&self) -> Result<Health> {
        self.meta()?;
        let mut health = Health::default();
        if let Some((entries, bytes)) = self.collector.usage() {
            health.entries = Some(entries);
            health.bytes = Some(bytes);
        }
        health.corrupt = self.corrupt.load(Ordering::Relaxed);
        Ok(health)
    }

    /// The header of an entry that belongs to this cache and is alive.
    pub(crate) fn live_header(&self, name: EntryName, meta: &Meta) -> Result<Option<Header>> {
        let Some((file, _)) = self.open_entry(name, &platform::reading(), "scan")? else {
            return Ok(None);
        };
        let header = self.read_header(&file).ok();
        Ok(header.filter(|header| {
            matches!(self.judge(header, meta, &header.key, self.now()), Found::Live)
        }))
    }

    fn read_header(&self, file: &File) -> Result<Header, Unreadable> {
        entry_file::read_header(&mut &*file, length(file))
    }

    fn judge(&self, header: &Header, meta: &Meta, key: &str, now: Timestamp) -> Found {
        if header.key != key || header.cache != self.cache {
            Found::Other
        } else if header.epoch != meta.epoch || header.meta.is_dead(now) {
            Found::Gone
        } else {
            Found::Live
        }
    }

    /// Opens the file of an entry. What is no file, or cannot be opened by its owner, is removed.
    fn open_entry(
        &self,
        name: EntryName,
        options: &fs::OpenOptions,
        operation: &'static str,
    ) -> Result<Option<(File, Identity)>> {
        let path = self.layout.entry(name);
        let opened = options.open(&path).and_then(|file| {
            let metadata = file.metadata()?;
            Ok((file, metadata))
        });
        match opened {
            Ok((file, metadata)) if metadata.is_file() => Ok(Some((file, Identity::of(&metadata)))),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) if !platform::is_foreign(&error) => Err(failed(operation, &path, error)),
            other => {
                let reason = other.err().map_or(Unreadable::NotAFile, Unreadable::Io);
                if let Ok(metadata) = fs::symlink_metadata(&path) {
                    // A lock may be held by the caller, so this goes without: it is no entry.
                    self.report(&reason);
                    fs::remove_file(&path).ok();
                    self.collector.removed(metadata.len());
                }
                Ok(None)
            }
        }
    }

    pub(crate) fn sync(&self, file: &File) -> io::Result<()> {
        match self.fsync {
            Fsync::None => Ok(()),
            Fsync::Data | Fsync::Full => file.sync_data(),
        }
    }

    /// Removes an entry that could not be read, and says so.
    fn discard(&self, name: EntryName, identity: Identity, reason: &Unreadable) {
        self.report(reason);
        self.remove_if(name, identity);
    }

    fn report(&self, reason: &Unreadable) {
        self.corrupt.fetch_add(1, Ordering::Relaxed);
        warn!(
            target: telemetry::TARGET,
            cache = self.cache,
            %reason,
            "{}",
            telemetry::FILE_CORRUPT
        );
    }

    /// Removes the file of an entry if it is still the one that was looked at; whether it was.
    pub(crate) fn remove_if(&self, name: EntryName, identity: Identity) -> bool {
        let path = self.layout.entry(name);
        let _lock = self.lock(name);
        match fs::symlink_metadata(&path) {
            Ok(now) if Identity::of(&now) == identity && fs::remove_file(&path).is_ok() => {
                self.collector.removed(now.len());
                true
            }
            _ => false,
        }
    }

    /// Removes whatever has the name, unless nobody waits for it any more.
    pub(crate) fn remove(&self, name: EntryName, cancelled: &Cancelled) {
        let path = self.layout.entry(name);
        let _lock = self.lock(name);
        if !is_cancelled(cancelled)
            && let Ok(metadata) = fs::symlink_metadata(&path)
            && fs::remove_file(&path).is_ok()
        {
            self.collector.removed(metadata.len());
        }
    }

    pub(crate) fn collect(&self, goal: Goal) {
        // What cannot be collected now can be after the next write.
        self.collector.run(self, goal).ok();
    }

    /// Writes down that an entry was used, when the policy wants to know and it was not done a
    /// moment ago.
    fn note_use(&self, file: &File, metadata: &fs::Metadata, now: Timestamp) {
        let since = metadata
            .accessed()
            .ok()
            .and_then(|used| now.to_system_time().duration_since(used).ok());
        if self.collector.wants_uses() && since.is_some_and(|since| since >= USE_INTERVAL) {
            let times = FileTimes::new().set_accessed(now.to_system_time());
            // A use that is not written down makes the entry look older than it is, no more.
            file.set_times(times).ok();
        }
    }

    pub(crate) fn lock(&self, name: EntryName) -> MutexGuard<'_, ()> {
        let lock = &self.locks[usize::from(name.shard()) % LOCKS];
        lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn is_cancelled(cancelled: &Cancelled) -> bool {
    cancelled.load(Ordering::Acquire)
}

fn length(file: &File) -> u64 {
    file.metadata().map_or(0, |metadata| metadata.len())
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), Io::NotFound | Io::StaleNetworkFileHandle)
}
