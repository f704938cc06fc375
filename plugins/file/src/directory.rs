//! [`Directory`], the work of the backend without its futures: blocking calls that any number of
//! threads and processes may make at a time. What each operation does is in `read`, `store`,
//! `change`, `lease`, `scan`, `collect` and `sweep`.

use std::fs::{File, FileTimes};
use std::io::{self, ErrorKind as Io};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use larder_core::backend::Health;
use larder_core::{
    BuildContext, CacheError, Clock, EntryMeta, ErrorKind, Result, Timestamp, telemetry,
};
use tracing::warn;

use crate::breaker::Breaker;
use crate::collect::Collector;
use crate::config::{Durability, FileConfig};
use crate::entry_file::{self, Header, Unreadable};
use crate::error::failed;
use crate::home::Home;
use crate::layout::{EntryName, META, VERSION, shard_name};
use crate::lease::Leases;
use crate::locks::Guard;
use crate::meta::Fingerprint;
use crate::platform::{self, Access, Dir, Identity, Kind, Stat};
use crate::poison::Poisoned;
use crate::root;
use crate::usage::Change;

/// The last use of an entry is written down at most this often: each time dirties an inode.
const USE_INTERVAL: Duration = Duration::from_secs(10);

/// Set when nobody waits for the outcome of an operation any more.
pub(crate) type Cancelled = AtomicBool;

/// A directory of entries.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    meta_path: PathBuf,
    pub(crate) cache: String,
    pub(crate) durability: Durability,
    pub(crate) clock: Arc<dyn Clock>,
    home: RwLock<Arc<Home>>,
    pub(crate) collector: Collector,
    pub(crate) leases: Leases,
    pub(crate) breaker: Breaker,
    pub(crate) poisoned: Poisoned,
    /// Whether the file system can tell what is in memory; believed until it says no.
    pub(crate) is_quick: AtomicBool,
    pub(crate) written: AtomicU64,
    corrupt: AtomicU64,
}

/// What is to be done with the entry that a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It is the one that is asked for, and alive.
    Live,
    /// Its life is over, or it is of another epoch.
    Gone,
    /// Another key has the same name.
    Other,
}

/// The open file of an entry.
pub(crate) struct Opened {
    pub(crate) dir: Dir,
    pub(crate) file: File,
    pub(crate) stat: Stat,
}

impl Directory {
    pub(crate) fn open(config: &FileConfig, context: &BuildContext) -> Result<Self> {
        let path = std::path::absolute(&config.dir).map_err(|e| failed("open", &config.dir, e))?;
        let home = root::open(&path, &context.cache, config.durability)?;
        Ok(Self {
            meta_path: path.join(VERSION).join(META),
            path,
            cache: context.cache.clone(),
            durability: config.durability,
            clock: Arc::clone(&context.clock),
            home: RwLock::new(Arc::new(home)),
            collector: Collector::new(config, context),
            leases: Leases::default(),
            breaker: Breaker::default(),
            poisoned: Poisoned::default(),
            is_quick: AtomicBool::new(true),
            written: AtomicU64::new(0),
            corrupt: AtomicU64::new(0),
        })
    }

    /// What all processes agree on now. Looks whether another one changed it; makes the directory
    /// anew when somebody removed it.
    pub(crate) fn home(&self) -> Result<Arc<Home>> {
        if let Some(home) = self.unchanged_home() {
            return Ok(home);
        }
        self.reopen()
    }

    /// The home, if it is still the right one. Cost: one `stat`.
    pub(crate) fn unchanged_home(&self) -> Option<Arc<Home>> {
        let now = Fingerprint::at(&self.meta_path).ok()?;
        let home = self.home.read().unwrap_or_else(PoisonError::into_inner);
        (home.fingerprint == now).then(|| Arc::clone(&home))
    }

    /// Opens the directory again.
    pub(crate) fn reopen(&self) -> Result<Arc<Home>> {
        let opened = root::open(&self.path, &self.cache, self.durability).map_err(|error| {
            if error.kind() == ErrorKind::Timeout {
                return error;
            }
            let message = "the cache directory cannot be used any more";
            CacheError::new(ErrorKind::Connection, message).caused_by(error)
        })?;
        let opened = Arc::new(opened);
        let mut home = self.home.write().unwrap_or_else(PoisonError::into_inner);
        if home.meta != opened.meta {
            self.poisoned.clear();
        }
        *home = Arc::clone(&opened);
        Ok(opened)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.wall()
    }

    pub(crate) fn name(&self, home: &Home, key: &str) -> EntryName {
        EntryName::new(&home.meta.salt, &self.cache, key)
    }

    /// The path of an entry, for messages.
    pub(crate) fn path(home: &Home, name: EntryName) -> PathBuf {
        home.entries.path().join(shard_name(name.shard())).join(name.to_string())
    }

    pub(crate) fn health(&self) -> Result<Health> {
        let home = self.home()?;
        let usage = home.usage.total();
        let mut health = Health::default();
        health.entries = Some(usage.entries);
        health.bytes = Some(usage.bytes);
        health.corrupt = self.corrupt.load(Ordering::Relaxed);
        let stuck = self.poisoned.len();
        if self.breaker.is_open(self.clock.now()) {
            health.degraded = Some("the disk is full: writes fail for a while".into());
        } else if stuck > 0 {
            health.degraded = Some(format!("`{stuck}` files could not be removed"));
        }
        Ok(health)
    }

    pub(crate) fn judge(
        &self,
        header: &Header,
        meta: &EntryMeta,
        home: &Home,
        key: &str,
        now: Timestamp,
    ) -> Found {
        if header.key != key || header.cache != self.cache {
            Found::Other
        } else if header.epoch != home.meta.epoch || meta.is_dead(now) {
            Found::Gone
        } else {
            Found::Live
        }
    }

    /// Opens the file of an entry. What is no file, or cannot be opened by its owner, is removed.
    pub(crate) fn open_entry(
        &self,
        home: &Home,
        name: EntryName,
        access: Access,
        operation: &'static str,
    ) -> Result<Option<Opened>> {
        let dir = match home.shard(name.shard()) {
            Ok(Some(dir)) => dir,
            Ok(None) => return Ok(None),
            // A link or a file in place of the shard is not ours, and nothing in it is.
            Err(error) if platform::is_no_directory(&error) => return Ok(None),
            Err(error) => return Err(failed(operation, &Self::path(home, name), error)),
        };
        let text = name.to_string();
        let opened = dir.file(&text, access).and_then(|file| {
            let stat = Stat::of(&file)?;
            Ok((file, stat))
        });
        match opened {
            Ok((file, stat)) if stat.kind == Kind::File => Ok(Some(Opened { dir, file, stat })),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) if !platform::is_foreign(&error) => {
                Err(failed(operation, &Self::path(home, name), error))
            }
            other => {
                let reason = other.err().map_or(Unreadable::NotAFile, Unreadable::Io);
                self.remove_foreign(&dir, &text, &reason);
                Ok(None)
            }
        }
    }

    /// Removes what has the name of an entry and is none. A lock may be held by the caller, so this
    /// goes without.
    fn remove_foreign(&self, dir: &Dir, name: &str, reason: &Unreadable) {
        // Where not even this works, the shard cannot be entered, and nothing is known.
        let Ok(stat) = dir.stat(name) else { return };
        self.report(reason);
        if dir.remove_file(name).is_ok() && stat.kind == Kind::File {
            self.collector.ask_to_count();
        }
    }

    /// Removes an entry that could not be read, and says so.
    pub(crate) fn discard(
        &self,
        home: &Home,
        name: EntryName,
        identity: Identity,
        reason: &Unreadable,
    ) {
        self.report(reason);
        self.remove_if(home, name, identity);
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

    /// Removes the file of an entry if it is still the one that was looked at; its length, if it
    /// was.
    pub(crate) fn remove_if(
        &self,
        home: &Home,
        name: EntryName,
        identity: Identity,
    ) -> Option<u64> {
        let dir = home.shard(name.shard()).ok()??;
        let guard = home.lock_shard(name.shard());
        let text = name.to_string();
        let stat = dir.stat(&text).ok()?;
        (stat.identity == identity).then_some(())?;
        dir.remove_file(&text).ok()?;
        Self::went(home, name, &stat, &guard);
        Some(stat.length)
    }

    /// Removes whatever has the name. If even that fails it is never returned by this process.
    pub(crate) fn remove(&self, home: &Home, name: EntryName) {
        let removed = (|| {
            let Some(dir) = home.shard(name.shard())? else { return Ok(()) };
            let guard = home.lock_shard(name.shard());
            let text = name.to_string();
            let stat = dir.stat(&text)?;
            dir.remove_file(&text)?;
            Self::went(home, name, &stat, &guard);
            Ok(())
        })();
        match removed {
            Err(error) if !is_missing(&error) => self.poisoned.insert(name),
            _ => self.poisoned.remove(name),
        }
    }

    /// Notes that a file was removed, under the lock of its shard.
    pub(crate) fn went(home: &Home, name: EntryName, stat: &Stat, _: &Guard<'_>) {
        if stat.kind == Kind::File {
            home.usage.note(name.shard(), Change { came: None, went: Some(stat.length) });
        }
    }

    /// Whether it is time to write down that an entry is used: the policy wants to know, and it
    /// was not done a moment ago.
    pub(crate) fn is_use_due(&self, stat: &Stat, now: Timestamp) -> bool {
        let (used, _) = entry_file::uses(stat.accessed);
        self.collector.wants_uses() && now.since(Timestamp::from_micros(used)) >= USE_INTERVAL
    }

    pub(crate) fn note_use(&self, file: &File, stat: &Stat, now: Timestamp) {
        if self.is_use_due(stat, now) {
            let (_, uses) = entry_file::uses(stat.accessed);
            let times = FileTimes::new().set_accessed(entry_file::accessed(now, uses + 1));
            // A use that is not written down makes the entry look older than it is, no more.
            file.set_times(times).ok();
        }
    }
}

pub(crate) fn is_cancelled(cancelled: &Cancelled) -> bool {
    cancelled.load(Ordering::Acquire)
}

pub(crate) fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), Io::NotFound | Io::StaleNetworkFileHandle)
}
