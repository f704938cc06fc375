//! Reading entries.

use std::io::ErrorKind as Io;
use std::sync::atomic::Ordering;

use larder_core::{Bytes, Entry, EntryMeta, Result};

use crate::directory::{Directory, Found, Opened};
use crate::entry_file;
use crate::home::Home;
use crate::layout::{EntryName, shard_name};
use crate::platform::Access;

/// A longer file is read where it may take its time.
const LONGEST_QUICK: u64 = 64 * 1024;

impl Directory {
    /// What [`get`](Self::get) would answer, if that is known without waiting for the disk and
    /// without changing anything; `None` otherwise.
    pub(crate) fn quick_get(&self, key: &str) -> Option<Option<Entry>> {
        if !self.is_quick.load(Ordering::Relaxed) {
            return None;
        }
        // This asks for the state of one file by its path, which every operation does, so it is
        // always in memory.
        let home = self.unchanged_home()?;
        let name = self.name(&home, key);
        if self.poisoned.contains(name) {
            return None;
        }
        let path = format!("{}/{name}", shard_name(name.shard()));
        let read = match home.entries.quick_read(&path, LONGEST_QUICK) {
            Ok(read) => read?,
            Err(error) => {
                if error.kind() == Io::Unsupported {
                    self.is_quick.store(false, Ordering::Relaxed);
                }
                return (error.kind() == Io::NotFound).then_some(None);
            }
        };
        let now = self.now();
        let (header, entry) = entry_file::decode(&Bytes::from(read.bytes)).ok()?;
        let is_live = self.judge(&header, &entry.meta, &home, key, now) == Found::Live;
        (is_live && !self.is_use_due(&read.stat, now)).then_some(Some(entry))
    }

    pub(crate) fn get(&self, key: &str) -> Result<Option<Entry>> {
        let home = self.home()?;
        let name = self.name(&home, key);
        let Some(opened) = self.open_for_reading(&home, name, "get")? else { return Ok(None) };
        let Opened { file, stat, .. } = opened;
        let now = self.now();
        match entry_file::read(&file, stat.length) {
            Err(reason) => self.discard(&home, name, stat.identity, &reason),
            Ok((header, entry)) => match self.judge(&header, &entry.meta, &home, key, now) {
                Found::Live => {
                    self.note_use(&file, &stat, now);
                    return Ok(Some(entry));
                }
                Found::Gone => {
                    self.remove_if(&home, name, stat.identity);
                }
                Found::Other => {}
            },
        }
        Ok(None)
    }

    /// All of an entry but its value, which is neither read nor verified.
    pub(crate) fn meta(&self, key: &str) -> Result<Option<EntryMeta>> {
        let home = self.home()?;
        let name = self.name(&home, key);
        let Some(opened) = self.open_for_reading(&home, name, "meta")? else { return Ok(None) };
        let found = entry_file::read_header(&opened.file, opened.stat.length);
        let now = self.now();
        let live = found
            .ok()
            .filter(|(header, meta)| self.judge(header, meta, &home, key, now) == Found::Live);
        Ok(live.map(|(_, meta)| meta))
    }

    /// The key of an entry, if it belongs to this cache and is alive.
    pub(crate) fn live_key(&self, home: &Home, name: EntryName) -> Result<Option<String>> {
        let Some(opened) = self.open_for_reading(home, name, "scan")? else { return Ok(None) };
        let found = entry_file::read_header(&opened.file, opened.stat.length);
        let now = self.now();
        let live = found.ok().filter(|(header, meta)| {
            let is_its_own = self.name(home, &header.key) == name;
            is_its_own && self.judge(header, meta, home, &header.key, now) == Found::Live
        });
        Ok(live.map(|(header, _)| header.key))
    }

    fn open_for_reading(
        &self,
        home: &Home,
        name: EntryName,
        operation: &'static str,
    ) -> Result<Option<Opened>> {
        if self.poisoned.contains(name) {
            // Perhaps it can be removed by now.
            self.remove(home, name);
            return Ok(None);
        }
        self.open_entry(home, name, Access::Read, operation)
    }
}

/// Reads the file of an entry as a whole; nothing of it is trusted.
///
/// For fuzzing: whatever the bytes are, this must neither panic nor take more memory than they do.
#[doc(hidden)]
#[must_use]
pub fn decode_entry_file(bytes: &[u8]) -> Option<Entry> {
    let decoded = entry_file::decode(&Bytes::copy_from_slice(bytes));
    decoded.ok().map(|(_, entry)| entry)
}
