//! [`Log`], the file and the index of what stands where in it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Bound;
use std::path::{Path, PathBuf};

use larder_core::backend::{Deadlines, ScanPage, ScanRequest};
use larder_core::{Bytes, Entry, Timestamp, envelope};

use super::record::{self, Found, Place};

/// How many keys a page of a scan has when the caller does not say.
const PAGE: usize = 1000;

/// An open log. All methods block.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
    /// Held for as long as the log is open, whichever file `file` is after a compaction.
    _lock: File,
    index: BTreeMap<String, Place>,
    /// Where the next record goes.
    end: u64,
    max_bytes: u64,
    corrupt: u64,
}

impl Log {
    /// Opens the log and reads it through.
    pub(super) fn open(path: PathBuf, max_bytes: u64, now: Timestamp) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let lock = lock(&beside(&path, ".lock"))?;
        let file = options().open(&path)?;
        let index = BTreeMap::new();
        let mut log = Self { path, file, _lock: lock, index, end: 0, max_bytes, corrupt: 0 };
        log.replay()?;
        if log.end > 2 * log.live() || log.end > max_bytes {
            log.compact(max_bytes / 2, now)?;
        }
        Ok(log)
    }

    /// Builds the index. A torn record at the end is cut off. After any other damage nobody knows
    /// which keys were deleted behind it, so the whole log is: a cache may forget, not lie.
    fn replay(&mut self) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        let mut reader = BufReader::new(&self.file);
        while self.end < length {
            match record::read(&mut reader, self.end, length - self.end)? {
                Found::Record(key, place) => {
                    reader.seek_relative(i64::from(place.body_len))?;
                    self.end += place.len();
                    match place.body_len {
                        0 => self.index.remove(&key),
                        _ => self.index.insert(key, place),
                    };
                }
                Found::Torn => break,
                Found::Damaged => {
                    self.corrupt += 1;
                    self.index.clear();
                    self.end = 0;
                    break;
                }
            }
        }
        self.file.set_len(self.end)
    }

    pub(super) fn get(&mut self, key: &str, now: Timestamp) -> io::Result<Option<Entry>> {
        let Some(&place) = self.index.get(key) else {
            return Ok(None);
        };
        let entry = envelope::decode(&Bytes::from(self.read_body(place)?));
        self.corrupt += u64::from(entry.is_err());
        let alive = entry.ok().filter(|entry| !entry.meta.is_dead(now));
        if alive.is_none() {
            self.index.remove(key);
        }
        Ok(alive)
    }

    pub(super) fn set(&mut self, key: &str, entry: &Entry, now: Timestamp) -> io::Result<()> {
        let mut body = Vec::new();
        let encoded = envelope::encode(entry, &mut body);
        let stored = encoded
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
            .and_then(|()| self.append(key, &body, now));
        let place = match stored {
            Ok(place) => place,
            Err(error) => {
                // The caller believes that the old entry is gone, so it has to go.
                self.forget(key)?;
                return Err(error);
            }
        };
        self.index.insert(key.to_owned(), place);
        Ok(())
    }

    pub(super) fn delete(&mut self, key: &str, now: Timestamp) -> io::Result<bool> {
        let was_there = self.get(key, now)?.is_some();
        if was_there && self.append(key, &[], now).is_err() {
            self.forget(key)?;
        }
        self.index.remove(key);
        Ok(was_there)
    }

    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.index.clear();
        self.end = 0;
        self.file.set_len(0)
    }

    pub(super) fn touch(
        &mut self,
        key: &str,
        deadlines: Deadlines,
        now: Timestamp,
    ) -> io::Result<bool> {
        let Some(mut entry) = self.get(key, now)? else {
            return Ok(false);
        };
        entry.meta.soft_deadline = deadlines.soft;
        entry.meta.hard_deadline = deadlines.hard;
        self.set(key, &entry, now)?;
        Ok(true)
    }

    /// The cursor is the last key of the page before.
    pub(super) fn scan(&self, request: &ScanRequest) -> ScanPage {
        let limit = if request.limit == 0 { PAGE } else { request.limit };
        let after = match &request.cursor {
            Some(cursor) => Bound::Excluded(cursor.as_str()),
            None => Bound::Included(request.prefix.as_str()),
        };
        let keys = self.index.range::<str, _>((after, Bound::Unbounded)).map(|(key, _)| key);
        let keys: Vec<String> =
            keys.take_while(|key| key.starts_with(&request.prefix)).take(limit).cloned().collect();
        let next = keys.last().filter(|_| keys.len() == limit).cloned();
        ScanPage { keys, next }
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    pub(super) fn entries(&self) -> u64 {
        self.index.len() as u64
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.end
    }

    pub(super) const fn corrupt(&self) -> u64 {
        self.corrupt
    }

    fn live(&self) -> u64 {
        self.index.values().map(|place| place.len()).sum()
    }

    fn append(&mut self, key: &str, body: &[u8], now: Timestamp) -> io::Result<Place> {
        let record = record::encode(key, body)?;
        let length = record.len() as u64;
        if length > self.max_bytes / 2 {
            return Err(record::too_large());
        }
        if self.end + length > self.max_bytes {
            self.compact(self.max_bytes / 2, now)?;
        }
        let written = self.file.seek(SeekFrom::Start(self.end));
        if let Err(error) = written.and_then(|_| self.file.write_all(&record)) {
            // What was written of it must not stand before the next record.
            self.file.set_len(self.end)?;
            return Err(error);
        }
        let (key_len, body_len) = (key.len() as u32, body.len() as u32);
        let place = Place { start: self.end, key_len, body_len };
        self.end += length;
        Ok(place)
    }

    /// Removes an entry when nothing can be appended: its envelope is made unreadable in place.
    fn forget(&mut self, key: &str) -> io::Result<()> {
        let Some(place) = self.index.remove(key) else {
            return Ok(());
        };
        self.file.seek(SeekFrom::Start(place.body()))?;
        self.file.write_all(&[0, 0])
    }

    fn read_body(&mut self, place: Place) -> io::Result<Vec<u8>> {
        let mut body = vec![0; place.body_len as usize];
        self.file.seek(SeekFrom::Start(place.body()))?;
        self.file.read_exact(&mut body)?;
        Ok(body)
    }

    /// Writes the newest entries anew, as many as fit into `budget` bytes. When that fails the log
    /// is as it was.
    fn compact(&mut self, budget: u64, now: Timestamp) -> io::Result<()> {
        let fresh_path = beside(&self.path, ".new");
        let fresh = options().truncate(true).open(&fresh_path)?;
        let mut writer = BufWriter::new(fresh);
        let (mut index, mut end) = (BTreeMap::new(), 0);
        for (key, place) in self.newest(budget) {
            let body = self.read_body(place)?;
            let meta = envelope::decode_header(&body);
            if meta.is_ok_and(|meta| !meta.is_dead(now)) {
                writer.write_all(&record::encode(&key, &body)?)?;
                index.insert(key, Place { start: end, ..place });
                end += place.len();
            }
        }
        let fresh = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        fresh.sync_all()?;
        fs::rename(&fresh_path, &self.path)?;
        (self.file, self.index, self.end) = (fresh, index, end);
        Ok(())
    }

    /// The entries that were written last, oldest first, as many as fit into `budget` bytes.
    fn newest(&self, budget: u64) -> Vec<(String, Place)> {
        let mut places: Vec<_> = self.index.iter().map(|(key, at)| (key.clone(), *at)).collect();
        places.sort_unstable_by_key(|(_, place)| std::cmp::Reverse(place.start));
        let mut left = budget;
        let fits = |(_, place): &(String, Place)| {
            let rest = left.checked_sub(place.len());
            left = rest.unwrap_or(0);
            rest.is_some()
        };
        let mut kept: Vec<_> = places.into_iter().take_while(fits).collect();
        kept.reverse();
        kept
    }
}

/// How the files of a log are opened: for the user alone, as entries may be private.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Takes the lock of a log, which the system gives back when the process ends, however it ends.
fn lock(path: &Path) -> io::Result<File> {
    let file = options().open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::ResourceBusy.into()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The path of a file that belongs to the log.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
