//! [`Leases`], who loads a key.
//!
//! A lease is a file named like the entry, locked by the process that has it and removed when the
//! key is written or deleted. The kernel unlocks it when that process ends, so nobody waits for the
//! dead. It holds the token, the end of the lease and the epoch of the cache, big endian, and the
//! key: whoever clears the cache ends all leases by the epoch.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use larder_core::backend::Lease;
use larder_core::key::{self, MAX_KEY_BYTES};
use larder_core::{Result, Timestamp};

use crate::directory::Directory;
use crate::error::failed;
use crate::home::Home;
use crate::layout::EntryName;
use crate::platform::{self, Access};

/// The leases that this process has.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<HashMap<EntryName, Held>>);

/// A lease: it holds as long as the file is open.
#[derive(Debug)]
struct Held {
    _file: File,
    until: Timestamp,
}

/// How long the text of a lease is, without the key behind it.
const LENGTH: usize = 20;

/// What stands in the file of a lease.
#[derive(Clone, Copy, Debug)]
struct Text {
    token: u64,
    until: Timestamp,
    epoch: u32,
}

impl Text {
    fn to_bytes(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..8].copy_from_slice(&self.token.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.until.as_micros().to_be_bytes());
        bytes[16..].copy_from_slice(&self.epoch.to_be_bytes());
        bytes
    }

    /// What cannot be read is not yet written: a lease that is over at once.
    fn read(file: &File) -> Self {
        let mut bytes = [0; LENGTH];
        platform::read_at(file, &mut bytes, 0).ok();
        let number = |at: usize| bytes[at..at + 8].iter().fold(0, |n, b| n << 8 | u64::from(*b));
        let epoch = bytes[16..].iter().fold(0, |n, b| n << 8 | u32::from(*b));
        Self { token: number(0), until: Timestamp::from_micros(number(8)), epoch }
    }

    /// How long it lasts yet.
    fn remaining(self, home: &Home, now: Timestamp) -> Option<Duration> {
        let remaining = self.until.since(now);
        (self.epoch == home.meta.epoch && !remaining.is_zero()).then_some(remaining)
    }
}

impl Leases {
    /// The key was written or deleted. The caller holds the lock of its shard.
    pub(crate) fn end(&self, home: &Home, name: EntryName) {
        // A key without a lease is the usual case, and then there is no such file.
        home.leases.remove_file(&name.to_string()).ok();
        self.held().remove(&name);
    }

    fn held(&self) -> MutexGuard<'_, HashMap<EntryName, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, name: EntryName, held: Held, now: Timestamp) {
        let mut all = self.held();
        all.retain(|_, held| held.until > now);
        all.insert(name, held);
    }

    /// Closes what is over.
    fn forget_overdue(&self, now: Timestamp) {
        self.held().retain(|_, held| held.until > now);
    }
}

impl Directory {
    /// Asks for the right to load a key.
    pub(crate) fn lease(&self, key: &str, duration: Duration) -> Result<Lease> {
        key::check_text(key)?;
        let home = self.home()?;
        let name = self.name(&home, key);
        let _guard = home.lock_shard(name.shard());
        let at = |error| failed("lease", home.leases.path(), error);
        self.leases.forget_overdue(self.now());
        if let Some(remaining) = self.held_by_another(&home, name).map_err(at)? {
            return Ok(Lease::Held { remaining: Some(remaining) });
        }
        // Whoever had it may still hold the file open, but not this one.
        home.leases.remove_file(&name.to_string()).ok();
        self.grant(&home, (name, key), duration).map_err(at)
    }

    /// Gives a lease back; whether it still held.
    pub(crate) fn release(&self, key: &str, token: u64) -> Result<bool> {
        key::check_text(key)?;
        let home = self.home()?;
        let name = self.name(&home, key);
        let _guard = home.lock_shard(name.shard());
        let still_held = self.is_leased(&home, name, token);
        if still_held {
            self.leases.end(&home, name);
        }
        Ok(still_held)
    }

    /// The keys under a lease that begin with a prefix. Leases of processes that are gone are left
    /// to the sweep, and listed until then.
    pub(crate) fn leased_keys(&self, prefix: &str) -> Result<Vec<String>> {
        let home = self.home()?;
        let mut names = Vec::new();
        let listed = home.leases.names(&mut |name| {
            names.extend(EntryName::parse(name));
            true
        });
        listed.map_err(|error| failed("scan", home.leases.path(), error))?;
        let key_of = |name: EntryName| {
            let file = home.leases.file(&name.to_string(), Access::Read).ok()?;
            Text::read(&file).remaining(&home, self.now())?;
            // A directory may be that of several caches.
            key_in(&file).filter(|key| self.name(&home, key) == name && key.starts_with(prefix))
        };
        Ok(names.into_iter().filter_map(key_of).collect())
    }

    /// Whether the lease of this token holds. Who acts on it has the lock of the shard.
    pub(crate) fn is_leased(&self, home: &Home, name: EntryName, token: u64) -> bool {
        let file = home.leases.file(&name.to_string(), Access::Read);
        file.is_ok_and(|file| {
            let text = Text::read(&file);
            text.token == token && text.remaining(home, self.now()).is_some()
        })
    }

    fn held_by_another(&self, home: &Home, name: EntryName) -> io::Result<Option<Duration>> {
        let file = match home.leases.file(&name.to_string(), Access::Patch) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            // What is there instead of a lease is removed.
            Err(error) if platform::is_foreign(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            // Nobody has it: the process that had it is gone.
            Ok(()) => return Ok(None),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(Text::read(&file).remaining(home, self.now()))
    }

    fn grant(
        &self,
        home: &Home,
        (name, key): (EntryName, &str),
        duration: Duration,
    ) -> io::Result<Lease> {
        let file = home.leases.file(&name.to_string(), Access::Create)?;
        file.try_lock().map_err(io::Error::from)?;
        let (token, until) = (fastrand::u64(..), self.now().after(duration));
        let text = Text { token, until, epoch: home.meta.epoch };
        let text = [&text.to_bytes()[..], key.as_bytes()].concat();
        platform::write_at(&file, &text, 0)?;
        self.leases.keep(name, Held { _file: file, until }, self.now());
        Ok(Lease::Granted { token })
    }
}

/// The key whose lease this is; `None` when it is not there, as in leases of earlier versions.
fn key_in(file: &File) -> Option<String> {
    let length = usize::try_from(file.metadata().ok()?.len()).ok()?.checked_sub(LENGTH)?;
    let mut key = vec![0; Some(length).filter(|length| (1..=MAX_KEY_BYTES).contains(length))?];
    platform::read_at(file, &mut key, LENGTH as u64).ok()?;
    String::from_utf8(key).ok()
}
