//! Writing entries: aside first, then renamed into place.

use std::fs;
use std::io::{self, ErrorKind as Io, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use larder_core::{CacheError, Entry, ErrorKind, Result};

use crate::collect::Goal;
use crate::config::Fsync;
use crate::directory::{Cancelled, Directory, is_cancelled};
use crate::entry_file;
use crate::error::failed;
use crate::layout::{EntryName, temporary_name};
use crate::meta::Meta;
use crate::platform;

impl Directory {
    /// Stores an entry. When it fails there is no entry of this key afterwards.
    pub(crate) fn set(&self, key: &str, entry: &Entry, cancelled: &Cancelled) -> Result<()> {
        let meta = self.meta()?;
        let name = EntryName::new(&meta.salt, &self.cache, key);
        let mut stored = self.store(&meta, name, key, entry, cancelled);
        if let Err(error) = &stored
            && error.kind() == ErrorKind::Capacity
            && self.collector.fits(entry.value.len())
        {
            // The disk is full: others have to go, whatever our own limits are.
            self.collect(Goal::Share);
            stored = self.store(&meta, name, key, entry, cancelled);
        }
        if let Err(error) = stored {
            // The caller believes that the old value is gone.
            self.remove(name, cancelled);
            return Err(error);
        }
        if self.collector.is_due() {
            self.collect(Goal::Limits);
        }
        Ok(())
    }

    /// Writes an entry aside, then puts it in the place of whatever is there.
    fn store(
        &self,
        meta: &Meta,
        name: EntryName,
        key: &str,
        entry: &Entry,
        cancelled: &Cancelled,
    ) -> Result<()> {
        let bytes = entry_file::encode(meta.epoch, &self.cache, key, entry).map_err(|error| {
            let message = "the entry cannot be stored";
            CacheError::new(ErrorKind::Capacity, message).during("set").caused_by(error)
        })?;
        self.collector.admit(bytes.len())?;
        let mut aside = Aside::new(self.temporary());
        let written = (|| {
            let mut file = platform::creating().open(&aside.path)?;
            file.write_all(&bytes)?;
            file.set_times(entry_file::times(self.now(), entry.meta.hard_deadline))?;
            self.sync(&file)
        })();
        written.map_err(|error| failed("set", &aside.path, error))?;
        let path = self.layout.entry(name);
        let _lock = self.lock(name);
        if is_cancelled(cancelled) {
            return Ok(());
        }
        let replaced = fs::symlink_metadata(&path).ok().map(|metadata| metadata.len());
        let shard = self.layout.shard(name.shard());
        self.rename(&aside.path, &path, &shard).map_err(|error| failed("set", &path, error))?;
        aside.is_renamed = true;
        self.collector.replaced(replaced, bytes.len() as u64);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path, shard: &Path) -> io::Result<()> {
        match fs::rename(from, to) {
            Err(error) if error.kind() == Io::NotFound => {
                platform::create_directory(shard)?;
                if self.fsync == Fsync::Full {
                    platform::sync_directory(&self.layout.entries())?;
                }
                fs::rename(from, to)?;
            }
            other => other?,
        }
        if self.fsync == Fsync::Full {
            platform::sync_directory(shard)?;
        }
        Ok(())
    }

    fn temporary(&self) -> PathBuf {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let name = temporary_name(self.now().as_micros(), self.writer, number);
        self.layout.temporary().join(name)
    }
}

/// A file that is being written; removed unless it was renamed.
struct Aside {
    path: PathBuf,
    is_renamed: bool,
}

impl Aside {
    const fn new(path: PathBuf) -> Self {
        Self { path, is_renamed: false }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.is_renamed {
            // If it was not made there is nothing to remove.
            fs::remove_file(&self.path).ok();
        }
    }
}
