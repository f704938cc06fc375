//! [`Home`], the open directories of a cache as they are between one `clear` and the next.

use std::fs::{File, TryLockError};
use std::io;

use crate::layout::{EntryName, epoch_name, shard_name, writer_name};
use crate::locks::{Guard, Locks};
use crate::meta::{Fingerprint, Meta};
use crate::platform::{Access, Dir, Kind, Stat};
use crate::root::Parts;
use crate::usage::{Amount, Usage};

/// What a process holds open. Replaced by another one when the cache was cleared, or when somebody
/// removed or replaced the directory: work that has begun goes on in the old one, where nobody
/// looks any more.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) meta: Meta,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) version: Dir,
    pub(crate) temporary: Dir,
    pub(crate) locks: Dir,
    /// The open files of `locks`. They belong to the home because the files that are in place after
    /// the directory was moved away and made anew are others.
    shard_locks: Locks,
    pub(crate) leases: Dir,
    pub(crate) usages: Dir,
    pub(crate) epochs: Dir,
    /// The entries of this epoch.
    pub(crate) entries: Dir,
    pub(crate) usage: Usage,
    /// Part of the names of the files this process writes.
    pub(crate) writer: u64,
    /// Locked, so that others can tell files in progress from what a crash left.
    _alive: File,
}

impl Home {
    /// Opens what belongs to the epoch, and makes it if nobody did yet. The caller holds the lock
    /// of `meta.toml`, so that only one counts.
    pub(crate) fn open(parts: Parts, meta: Meta, fingerprint: Fingerprint) -> io::Result<Self> {
        let Parts { version, temporary, locks, leases, usage: usages, epochs } = parts;
        let epoch = epoch_name(meta.epoch);
        let is_empty = epochs.make(&epoch)?;
        let entries = epochs.child(&epoch)?;
        let (usage, is_new) = Usage::open(&usages, &epoch)?;
        let (writer, alive) = announce(&locks)?;
        let home = Self {
            meta,
            fingerprint,
            version,
            temporary,
            locks,
            shard_locks: Locks::default(),
            leases,
            usages,
            epochs,
            entries,
            usage,
            writer,
            _alive: alive,
        };
        if is_new && !is_empty {
            home.count()?;
        }
        Ok(home)
    }

    /// Counts what is there when nobody wrote it down.
    fn count(&self) -> io::Result<()> {
        for shard in 0..=u8::MAX {
            let mut found = Amount::default();
            self.walk(shard, &mut |_, stat| found.add(stat.length))?;
            if found != Amount::default() {
                let _guard = self.lock_shard(shard);
                self.usage.correct(shard, Amount::default(), found);
            }
        }
        Ok(())
    }

    /// Waits for the right to change the files of a shard.
    pub(crate) fn lock_shard(&self, shard: u8) -> Guard<'_> {
        self.shard_locks.acquire(&self.locks, shard)
    }

    /// The directory of a shard; `None` when it is not there yet.
    pub(crate) fn shard(&self, shard: u8) -> io::Result<Option<Dir>> {
        match self.entries.enter(&shard_name(shard)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    /// The directory of a shard, made if it is missing.
    pub(crate) fn make_shard(&self, shard: u8, is_durable: bool) -> io::Result<Dir> {
        if let Some(found) = self.shard(shard)? {
            return Ok(found);
        }
        let name = shard_name(shard);
        self.entries.make(&name)?;
        if is_durable {
            self.entries.sync()?;
        }
        self.entries.enter(&name)
    }

    /// The names of entries in a shard, in no order.
    pub(crate) fn names(&self, shard: u8) -> io::Result<Vec<EntryName>> {
        let mut names = Vec::new();
        let dir = match self.entries.child(&shard_name(shard)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(names),
            other => other?,
        };
        dir.names(&mut |name| {
            names.extend(EntryName::parse(name).filter(|name| name.shard() == shard));
            true
        })?;
        Ok(names)
    }

    /// Calls `visit` for every file of a shard that has the name of an entry. What is not ours is
    /// passed over: other names, other types, names in the wrong shard.
    pub(crate) fn walk(
        &self,
        shard: u8,
        visit: &mut dyn FnMut(EntryName, &Stat),
    ) -> io::Result<()> {
        let Some(dir) = self.shard(shard)? else { return Ok(()) };
        for name in self.names(shard)? {
            // A file that is gone by now was removed by somebody else.
            if let Ok(stat) = dir.stat(&name.to_string())
                && stat.kind == Kind::File
            {
                visit(name, &stat);
            }
        }
        Ok(())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // If it stays, the next sweep finds that nobody holds it.
        self.locks.remove_file(&writer_name(self.writer)).ok();
    }
}

/// Makes and locks the file that tells that this writer lives.
fn announce(locks: &Dir) -> io::Result<(u64, File)> {
    loop {
        let writer = fastrand::u64(..);
        let file = locks.file(&writer_name(writer), Access::Create)?;
        match file.try_lock() {
            // A sweep that came between saw nobody hold it, and removed it.
            Ok(()) if Stat::of(&file)?.links > 0 => return Ok((writer, file)),
            Ok(()) | Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}
