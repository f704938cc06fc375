//! Writing entries: aside first, then renamed into place.

use std::fs::File;
use std::io::{self, ErrorKind as Io, Write as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use larder_core::{CacheError, Entry, ErrorKind, Result, Stamp, key};

use crate::collect::{Goal, Made};
use crate::config::Durability;
use crate::directory::{Cancelled, Directory, Found, Opened, is_cancelled};
use crate::entry_file;
use crate::error::{self, failed};
use crate::home::Home;
use crate::layout::{EntryName, shard_name, temporary_name};
use crate::platform::{Access, Dir, Kind};
use crate::usage::{Amount, Change};

/// How often a write tries again when others made room, and others still took it.
const ATTEMPTS: usize = 3;

/// An entry on its way to the disk.
struct Write<'a> {
    key: &'a str,
    entry: &'a Entry,
    only: Only,
    cancelled: &'a Cancelled,
}

/// Where an entry is stored.
#[derive(Clone, Copy)]
enum Only {
    /// In place of anything.
    Always,
    /// Where the lease of this token holds.
    Leased(u64),
    /// Where nothing as new as this is.
    NewerThan(Stamp),
}

/// What became of a write.
enum Outcome {
    /// It is in place; what the cache holds, about.
    Stored(Amount),
    /// Nobody waits for it any more, or it is not to be stored here.
    Declined,
}

impl Directory {
    /// Stores an entry. When it fails there is no entry of this key afterwards.
    pub(crate) fn set(&self, key: &str, entry: &Entry, cancelled: &Cancelled) -> Result<()> {
        self.write(&Write { key, entry, only: Only::Always, cancelled }).map(|_| ())
    }

    /// Stores an entry unless one as new is there; whether it did.
    pub(crate) fn put_if_newer(
        &self,
        key: &str,
        entry: &Entry,
        cancelled: &Cancelled,
    ) -> Result<bool> {
        self.write(&Write { key, entry, only: Only::NewerThan(entry.meta.stamp), cancelled })
    }

    /// Stores an entry under a lease and ends that; whether it still held.
    pub(crate) fn fill(
        &self,
        key: &str,
        entry: &Entry,
        token: u64,
        cancelled: &Cancelled,
    ) -> Result<bool> {
        key::check_text(key)?;
        let home = self.home()?;
        // Before anything is tried that may fail: who lost the lease changes nothing.
        if !self.is_leased(&home, self.name(&home, key), token) {
            return Ok(false);
        }
        self.write(&Write { key, entry, only: Only::Leased(token), cancelled })
    }

    fn write(&self, write: &Write<'_>) -> Result<bool> {
        key::check_text(write.key)?;
        let mut home = self.home()?;
        match self.write_to(&mut home, write) {
            Ok(Outcome::Declined) => Ok(false),
            Ok(Outcome::Stored(total)) => {
                self.breaker.reset();
                self.poisoned.remove(self.name(&home, write.key));
                if let Some(goal) = self.collector.due(total) {
                    self.collect(&home, goal);
                }
                Ok(true)
            }
            Err(error) => {
                // The caller believes that the old value is gone.
                if !is_cancelled(write.cancelled) {
                    self.remove(&home, self.name(&home, write.key));
                }
                Err(error)
            }
        }
    }

    /// Stores an entry, and makes room where there is none. `home` is replaced when it turns out
    /// that another one has to be used.
    fn write_to(&self, home: &mut Arc<Home>, write: &Write<'_>) -> Result<Outcome> {
        let mut bytes = self.encode(home, write)?;
        self.admit(home, bytes.len())?;
        let mut stored = self.store(home, &bytes, write);
        if stored.as_ref().is_err_and(|error| error.kind() == Io::NotFound) {
            // Somebody cleared the cache or removed the directory since we looked.
            *home = self.reopen().map_err(|error| error.during("set"))?;
            bytes = self.encode(home, write)?;
            stored = self.store(home, &bytes, write);
        }
        for _ in 0..ATTEMPTS {
            if !stored.as_ref().is_err_and(error::is_disk_full) {
                break;
            }
            // Others have to go, whatever our own limits are.
            let made = self.collect(home, Goal::Share);
            stored = self.store(home, &bytes, write);
            if made == Made::Here {
                break;
            }
        }
        if stored.as_ref().is_err_and(error::is_disk_full) {
            self.breaker.trip(self.clock.now());
        }
        stored.map_err(|error| failed("set", home.entries.path(), error))
    }

    fn encode(&self, home: &Home, write: &Write<'_>) -> Result<Vec<u8>> {
        let encoded = entry_file::encode(home.meta.epoch, &self.cache, write.key, write.entry);
        encoded.map_err(|error| {
            let message = "the entry cannot be stored";
            CacheError::new(ErrorKind::Capacity, message).during("set").caused_by(error)
        })
    }

    /// Refuses what cannot be stored now, before anything is written.
    fn admit(&self, home: &Home, length: usize) -> Result<()> {
        self.collector.admit(length)?;
        let now = self.clock.now();
        if self.breaker.is_open(now) || !self.has_room(home, length as u64) {
            self.breaker.trip(now);
            return Err(failed("set", home.entries.path(), Io::StorageFull.into()));
        }
        Ok(())
    }

    /// Whether the reserve is left on the disk after a write, if need be after others went.
    fn has_room(&self, home: &Home, length: u64) -> bool {
        for _ in 0..ATTEMPTS {
            let Some(lack) = self.collector.lack(home, length) else { return true };
            if self.collect(home, Goal::Free(lack)) == Made::Here {
                break;
            }
        }
        self.collector.lack(home, length).is_none()
    }

    /// Writes bytes aside, then puts them in the place of whatever is there.
    fn store(&self, home: &Home, bytes: &[u8], write: &Write<'_>) -> io::Result<Outcome> {
        let name = self.name(home, write.key);
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let aside = temporary_name(self.now().as_micros(), home.writer, number);
        let mut aside = Aside { dir: &home.temporary, name: aside, is_renamed: false };
        let mut file = aside.dir.file(&aside.name, Access::Create)?;
        file.write_all(bytes)?;
        file.set_times(entry_file::times(self.now(), write.entry.meta.hard_deadline))?;
        self.sync(&file)?;
        drop(file);
        let is_durable = self.durability == Durability::Full;
        let dir = home.make_shard(name.shard(), is_durable)?;
        let guard = home.lock_shard(name.shard());
        let is_wanted = match write.only {
            Only::Always => true,
            Only::Leased(token) => self.is_leased(home, name, token),
            Only::NewerThan(stamp) => !self.is_there(home, name, write.key, stamp),
        };
        if is_cancelled(write.cancelled) || !is_wanted {
            return Ok(Outcome::Declined);
        }
        let went = self.put_in_place(&mut aside, &dir, &name.to_string())?;
        self.leases.end(home, name);
        let change = Change { came: Some(bytes.len() as u64), went };
        let total = home.usage.note(name.shard(), change);
        drop(guard);
        if is_durable {
            // Writers that come together share the commits of the file system's journal.
            home.entries.child(&shard_name(name.shard()))?.sync()?;
        }
        Ok(Outcome::Stored(total))
    }

    /// Gives what lies aside its name; how long the file was that had it.
    fn put_in_place(
        &self,
        aside: &mut Aside<'_>,
        dir: &Dir,
        name: &str,
    ) -> io::Result<Option<u64>> {
        let old = dir.stat(name).ok().filter(|old| old.kind == Kind::File);
        let is_exchanged = self.durability == Durability::None
            && old.is_some()
            && aside.dir.exchange(&aside.name, dir, name).is_ok();
        // What lies aside after an exchange is the entry from before, and goes with `aside`.
        if !is_exchanged {
            aside.dir.rename(&aside.name, dir, name)?;
            aside.is_renamed = true;
        }
        Ok(old.map(|old| old.length))
    }

    /// Whether there is an entry of the key that is as new as this.
    fn is_there(&self, home: &Home, name: EntryName, key: &str, stamp: Stamp) -> bool {
        let opened = self.open_entry(home, name, Access::Read, "put_if_newer");
        let Ok(Some(Opened { file, stat, .. })) = opened else { return false };
        // A torn entry must not keep a good one out, so all of it is verified.
        entry_file::read(&file, stat.length).is_ok_and(|(header, found)| {
            let found_it = self.judge(&header, &found.meta, home, key, self.now());
            found_it == Found::Live && found.meta.stamp >= stamp
        })
    }

    pub(crate) fn sync(&self, file: &File) -> io::Result<()> {
        match self.durability {
            Durability::None => Ok(()),
            Durability::Data | Durability::Full => file.sync_data(),
        }
    }
}

/// A file that is being written; removed unless it was renamed.
struct Aside<'a> {
    dir: &'a Dir,
    name: String,
    is_renamed: bool,
}

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        if !self.is_renamed {
            // If it was not made there is nothing to remove.
            self.dir.remove_file(&self.name).ok();
        }
    }
}

#[cfg(test)]
mod tests;
