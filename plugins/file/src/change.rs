//! Removing entries, prolonging them, and emptying the cache.

use std::fs::FileTimes;

use larder_core::Result;
use larder_core::backend::Deadlines;
use larder_core::envelope::deadline_bytes;

use crate::directory::{Cancelled, Directory, Found, Opened, is_cancelled, is_missing};
use crate::entry_file;
use crate::error::failed;
use crate::meta::{self, Meta};
use crate::platform::{self, Access};

impl Directory {
    /// Removes an entry; whether there was one.
    pub(crate) fn delete(&self, key: &str, cancelled: &Cancelled) -> Result<bool> {
        let home = self.home()?;
        let name = self.name(&home, key);
        let guard = home.lock_shard(name.shard());
        if is_cancelled(cancelled) {
            return Ok(false);
        }
        self.leases.end(&home, name);
        let opened = self.open_entry(&home, name, Access::Read, "delete")?;
        let Some(Opened { dir, file, stat }) = opened else { return Ok(false) };
        let found = match entry_file::read_header(&file, stat.length) {
            Ok((header, meta)) => self.judge(&header, &meta, &home, key, self.now()),
            Err(_) => Found::Gone,
        };
        if found == Found::Other {
            return Ok(false);
        }
        match dir.remove_file(&name.to_string()) {
            Ok(()) => Self::went(&home, name, &stat, &guard),
            Err(error) if is_missing(&error) => return Ok(false),
            Err(error) => return Err(failed("delete", &Self::path(&home, name), error)),
        }
        let was_there = found == Found::Live && !self.poisoned.contains(name);
        self.poisoned.remove(name);
        Ok(was_there)
    }

    /// Changes the deadlines of an entry in place; whether there was one.
    pub(crate) fn touch(
        &self,
        key: &str,
        deadlines: Deadlines,
        cancelled: &Cancelled,
    ) -> Result<bool> {
        let home = self.home()?;
        let name = self.name(&home, key);
        let _guard = home.lock_shard(name.shard());
        if is_cancelled(cancelled) || self.poisoned.contains(name) {
            return Ok(false);
        }
        let opened = self.open_entry(&home, name, Access::Patch, "touch")?;
        let Some(Opened { file, stat, .. }) = opened else { return Ok(false) };
        let Ok((header, meta)) = entry_file::read_header(&file, stat.length) else {
            // The next `get` finds out why, and removes it.
            return Ok(false);
        };
        if self.judge(&header, &meta, &home, key, self.now()) != Found::Live {
            return Ok(false);
        }
        let patched = (|| {
            platform::write_at(&file, &deadline_bytes(deadlines), header.deadlines_at)?;
            let modified = entry_file::modified(deadlines.hard);
            file.set_times(FileTimes::new().set_modified(modified))?;
            self.sync(&file)
        })();
        patched.map(|()| true).map_err(|error| failed("touch", &Self::path(&home, name), error))
    }

    /// Makes every entry a miss, for all processes. Cost: the same for any number of entries; the
    /// files are removed by [`sweep_epochs`](Self::sweep_epochs).
    pub(crate) fn clear(&self) -> Result<()> {
        let home = self.home()?;
        let at = |error| failed("clear", home.version.path(), error);
        let lock = meta::lock(&home.locks).map_err(at)?;
        // Read under the lock: another process may have cleared a moment ago.
        let mut next = match meta::read(&home.version) {
            Ok((meta, _)) => meta,
            Err(_) => Meta::new(&self.cache),
        };
        next.epoch = next.epoch.wrapping_add(1);
        // Power that is lost must not bring back what was cleared.
        meta::write(&home.version, &next, true).map_err(at)?;
        drop(lock);
        self.reopen()?;
        Ok(())
    }
}
