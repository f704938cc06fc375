//! [`Collector`], which makes room.
//!
//! It walks the directory, reads no entry (the times of the files say enough), removes what has
//! expired, and then, if there is still too much, the entries the policy likes least. One at a
//! time runs in a process (a mutex) and on a directory (a lock file).

use std::fs::{Metadata, TryLockError};
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use larder_core::{BuildContext, CacheError, ErrorKind, Result};

use crate::config::FileConfig;
use crate::directory::Directory;
use crate::layout::{EntryName, Layout};
use crate::platform::{self, Identity};

/// Which entries go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Written longest ago.
    Fifo,
    /// Used longest ago.
    Lru,
    /// Any.
    Random,
    /// Next to expire; those that never do go last.
    Ttl,
}

impl Order {
    fn of(context: &BuildContext) -> Result<Self> {
        let kind = context.policy.as_ref().map(|policy| policy.kind());
        match kind {
            None | Some("lru") => Ok(Self::Lru),
            Some("fifo") => Ok(Self::Fifo),
            Some("random") => Ok(Self::Random),
            Some("ttl") => Ok(Self::Ttl),
            Some(other) => Err(CacheError::new(
                ErrorKind::Config,
                "the file backend does not know this policy",
            )
            .with("cache", &context.cache)
            .with("found", other)
            .with("expected", "lru, fifo, ttl or random")
            .hint("use one of these, or put a memory tier with this policy in front")),
        }
    }
}

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Down to nine tenths of the limits, if they are exceeded.
    Limits,
    /// Down to 95 % of what is there: the disk is full.
    Share,
}

/// A number of files and of their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Amount {
    entries: u64,
    bytes: u64,
}

impl Amount {
    const fn add(&mut self, bytes: u64) {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    const fn sub(&mut self, bytes: u64) {
        self.entries = self.entries.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    const fn is_above(&self, most: &Self) -> bool {
        self.entries > most.entries || self.bytes > most.bytes
    }

    fn share(self, parts: u64, of: u64) -> Self {
        let share = |whole: u64| {
            let part = u128::from(whole) * u128::from(parts) / u128::from(of);
            u64::try_from(part).unwrap_or(u64::MAX)
        };
        Self { entries: share(self.entries), bytes: share(self.bytes) }
    }
}

/// Keeps a directory within its limits.
#[derive(Debug)]
pub(crate) struct Collector {
    order: Order,
    /// `u64::MAX` is no limit.
    limits: Amount,
    has_limits: bool,
    entries: AtomicU64,
    bytes: AtomicU64,
    /// What this process wrote since the directory was last counted.
    written_entries: AtomicU64,
    written_bytes: AtomicU64,
    running: Mutex<()>,
}

/// A file that could go.
struct Candidate {
    name: EntryName,
    identity: Identity,
    length: u64,
    expires: Option<SystemTime>,
    used: SystemTime,
}

impl Collector {
    /// The limits of a config. Fails for a policy that cannot be had.
    pub(crate) fn new(config: &FileConfig, context: &BuildContext) -> Result<Self> {
        Ok(Self {
            order: Order::of(context)?,
            limits: Amount {
                entries: config.max_entries.unwrap_or(u64::MAX),
                bytes: config.max_bytes.map_or(u64::MAX, |size| size.0),
            },
            has_limits: config.max_entries.is_some() || config.max_bytes.is_some(),
            entries: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            written_entries: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
            running: Mutex::new(()),
        })
    }

    /// Whether the policy needs to know when an entry is used.
    pub(crate) fn wants_uses(&self) -> bool {
        self.order == Order::Lru
    }

    /// Entries and bytes, about; `None` when nobody counts, for there are no limits.
    pub(crate) fn usage(&self) -> Option<(u64, u64)> {
        let usage = || {
            let entries = self.entries.load(Ordering::Relaxed);
            (entries, self.bytes.load(Ordering::Relaxed))
        };
        self.has_limits.then(usage)
    }

    /// Counts the directory, if there are limits. Cost: one `stat` per entry.
    pub(crate) fn count(&self, layout: &Layout) -> io::Result<()> {
        if self.has_limits {
            let mut found = Amount::default();
            layout.walk(&mut |_, metadata| found.add(metadata.len()))?;
            self.counted(found);
        }
        Ok(())
    }

    /// Whether a file of this length can ever be stored.
    pub(crate) fn fits(&self, length: usize) -> bool {
        length as u64 <= self.limits.bytes
    }

    /// Refuses a file that could never be stored.
    pub(crate) fn admit(&self, length: usize) -> Result<()> {
        if self.fits(length) {
            return Ok(());
        }
        let message = "the entry is larger than the whole cache may be";
        Err(CacheError::new(ErrorKind::Capacity, message)
            .during("set")
            .with("backend", "file")
            .with("size", length)
            .with("max_size", self.limits.bytes)
            .hint("raise `max_bytes`, or lower `max_value_bytes` so that it is not tried"))
    }

    /// A file was put in place, maybe of one that was there.
    pub(crate) fn replaced(&self, old: Option<u64>, new: u64) {
        if let Some(old) = old {
            self.removed(old);
        }
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(new, Ordering::Relaxed);
        self.written_entries.fetch_add(1, Ordering::Relaxed);
        self.written_bytes.fetch_add(new, Ordering::Relaxed);
    }

    /// A file was removed.
    pub(crate) fn removed(&self, length: u64) {
        subtract(&self.entries, 1);
        subtract(&self.bytes, length);
    }

    /// Whether it is time to collect: the limits are exceeded as far as this process knows, or it
    /// wrote so much that the others may have done so as well.
    pub(crate) fn is_due(&self) -> bool {
        let usage = amount(&self.entries, &self.bytes);
        let written = amount(&self.written_entries, &self.written_bytes);
        self.has_limits
            && (usage.is_above(&self.limits) || written.is_above(&self.limits.share(1, 4)))
    }

    /// Makes room, unless another thread or process is at it.
    pub(crate) fn run(&self, directory: &Directory, goal: Goal) -> io::Result<()> {
        let Ok(_running) = self.running.try_lock() else {
            return Ok(());
        };
        let lock = platform::locking().open(directory.layout.locks().join("gc"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut found = Amount::default();
        let mut candidates = Vec::new();
        directory.layout.walk(&mut |name, metadata| {
            found.add(metadata.len());
            candidates.push(Candidate::new(name, metadata));
        })?;
        self.counted(found);
        let (limit, target) = match goal {
            Goal::Limits => (self.limits, self.limits.share(9, 10)),
            Goal::Share => (found.share(95, 100), found.share(95, 100)),
        };
        let now = directory.now().to_system_time();
        let (expired, mut alive): (Vec<_>, Vec<_>) = candidates
            .into_iter()
            .partition(|file| file.expires.is_some_and(|expires| expires <= now));
        for candidate in &expired {
            candidate.remove(directory, &mut found);
        }
        if found.is_above(&limit) {
            self.order.sort(&mut alive);
            let mut victims = alive.iter();
            while found.is_above(&target)
                && let Some(victim) = victims.next()
            {
                victim.remove(directory, &mut found);
            }
        }
        Ok(())
    }

    fn counted(&self, found: Amount) {
        self.entries.store(found.entries, Ordering::Relaxed);
        self.bytes.store(found.bytes, Ordering::Relaxed);
        self.written_entries.store(0, Ordering::Relaxed);
        self.written_bytes.store(0, Ordering::Relaxed);
    }
}

impl Order {
    /// Those that should go come first.
    fn sort(self, files: &mut [Candidate]) {
        match self {
            // The time of use is set when a file is written, and moved only under `lru`.
            Self::Fifo | Self::Lru => files.sort_unstable_by_key(|file| file.used),
            Self::Random => fastrand::shuffle(files),
            Self::Ttl => files.sort_unstable_by_key(|file| (file.expires.is_none(), file.expires)),
        }
    }
}

impl Candidate {
    fn new(name: EntryName, metadata: &Metadata) -> Self {
        let never = SystemTime::UNIX_EPOCH;
        Self {
            name,
            identity: Identity::of(metadata),
            length: metadata.len(),
            expires: metadata.modified().ok().filter(|time| *time != never),
            used: metadata.accessed().unwrap_or(never),
        }
    }

    /// Removes the file unless it was replaced or used since it was looked at.
    fn remove(&self, directory: &Directory, found: &mut Amount) {
        if directory.remove_if(self.name, self.identity) {
            found.sub(self.length);
        }
    }
}

fn amount(entries: &AtomicU64, bytes: &AtomicU64) -> Amount {
    Amount { entries: entries.load(Ordering::Relaxed), bytes: bytes.load(Ordering::Relaxed) }
}

/// Stops at zero: another process may have written what is removed here.
fn subtract(counter: &AtomicU64, number: u64) {
    let less = |value: u64| Some(value.saturating_sub(number));
    // The closure never declines.
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).ok();
}
