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
        let old = fs::symlink_metadata(&path).ok();
        let replaced = old.as_ref().map(fs::Metadata::len);
        let shard = self.layout.shard(name.shard());
        if self.fsync == Fsync::None
            && old.is_some_and(|old| old.is_file())
            && platform::exchange(&aside.path, &path).is_ok()
        {
            // What lies aside now is the entry from before, and goes with `aside`.
            self.collector.replaced(replaced, bytes.len() as u64);
            return Ok(());
        }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc;
    use std::thread;

    use larder_core::{BuildContext, Bytes, EntryMeta};

    use super::*;
    use crate::config::FileConfig;

    fn entry(value: &'static str) -> Entry {
        Entry { value: Bytes::from_static(value.as_bytes()), meta: EntryMeta::default() }
    }

    fn files_in(path: &Path) -> usize {
        fs::read_dir(path).unwrap().count()
    }

    #[test]
    fn a_write_is_put_in_place_only_by_the_holder_of_the_lock() {
        let outer = tempfile::tempdir().unwrap();
        let config = FileConfig::new(outer.path().join("cache"));
        let directory = Directory::open(&config, &BuildContext::new("users")).unwrap();
        let directory = &directory;
        directory.set("42", &entry("old"), &AtomicBool::new(false)).unwrap();
        let name = EntryName::new(&directory.meta().unwrap().salt, "users", "42");
        let cancelled = AtomicBool::new(false);
        let (sender, written) = mpsc::channel();
        thread::scope(|scope| {
            let lock = directory.lock(name);
            scope.spawn(|| {
                directory.set("42", &entry("new"), &cancelled).unwrap();
                sender.send(()).unwrap();
            });
            while files_in(&directory.layout.temporary()) == 0 && written.try_recv().is_err() {
                thread::yield_now();
            }
            // The file lies aside, or already in place if nobody minds the lock. However long the
            // writer waits, and whether it waits yet: it must see that it is too late.
            for _ in 0..10_000 {
                thread::yield_now();
            }
            assert!(written.try_recv().is_err(), "it did not wait");
            cancelled.store(true, Ordering::Release);
            drop(lock);
        });
        let found = directory.get("42").unwrap();
        assert_eq!(found, Some(entry("old")));
        assert_eq!(files_in(&directory.layout.temporary()), 0);
    }

    #[test]
    fn an_overwrite_leaves_the_new_entry_and_nothing_aside() {
        for fsync in [Fsync::None, Fsync::Data, Fsync::Full] {
            let outer = tempfile::tempdir().unwrap();
            let mut config = FileConfig::new(outer.path().join("cache"));
            config.fsync = fsync;
            config.max_entries = Some(10);
            let directory = Directory::open(&config, &BuildContext::new("users")).unwrap();
            for value in ["one", "two", "three"] {
                directory.set("42", &entry(value), &AtomicBool::new(false)).unwrap();
                assert_eq!(directory.get("42").unwrap(), Some(entry(value)));
                assert_eq!(files_in(&directory.layout.temporary()), 0);
                assert_eq!(directory.collector.usage().map(|usage| usage.0), Some(1));
            }
        }
    }
}
