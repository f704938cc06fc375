//! Snapshots: what a cache holds as a stream of bytes, to carry it elsewhere or over a restart.
//!
//! [`Cache::export`](crate::Cache::export) and [`Cache::import`](crate::Cache::import) work on any
//! reader and writer, [`SnapshotFile`] makes a file of one that is whole or not there, and
//! `persist` of the config does both by itself (see [`crate::persist`]). The bytes are described
//! in [`format`]: keys as text and entries in their envelopes, so serializers, tags, stamps and
//! absolute deadlines travel along.
//!
//! | module | what |
//! |---|---|
//! | `format`, `decoder` | the bytes |
//! | `file` | a file that is whole or not there |
//! | `tiers` | the byte tiers of a cache |
//!
//! The typed store is written in `core/snapshot.rs` and filled in `core/local/import.rs`.

use std::io::Write;

use larder_core::{CacheError, Entry, ErrorKind, Result, Timestamp};
use serde::Serialize;

pub(crate) mod decoder;
pub(crate) mod file;
pub(crate) mod format;
pub(crate) mod tiers;

pub use file::SnapshotFile;

use format::{Encoder, Header, Idle};

/// How many bytes are collected before they are written.
const CHUNK: usize = 256 << 10;

/// How many entries are looked at together.
pub(crate) const PAGE: usize = 32;

/// What an import does with a key that the cache has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImportMode {
    /// Keeps the entry with the greater stamp: the one that was written later. One in memory has
    /// no stamp and is kept.
    #[default]
    KeepNewer,
    /// Takes the entry of the snapshot.
    Replace,
}

/// What came of an export.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Exported {
    /// Entries in the snapshot.
    pub entries: u64,
    /// Entries that could not be written: their value could not be serialized, or is too large.
    pub skipped: u64,
}

/// What came of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Imported {
    /// The cache that the snapshot was taken of; of one that uses others as tiers the lowest.
    pub cache: String,
    /// When it was taken, in microseconds since 1970.
    pub taken_at: u64,
    /// Entries that were stored.
    pub entries: u64,
    /// Entries whose life is over.
    pub expired: u64,
    /// Entries that are not newer than those of the cache.
    pub older: u64,
    /// Entries with a tag that was invalidated after the snapshot was taken. Where `persist` reads
    /// the keys of a file again from tiers below, all that these do not have, or cannot give.
    pub invalidated: u64,
    /// Entries that the cache cannot take: too large, of another type, of a serializer that is not
    /// linked, or with a key that it cannot read; and all for which a full cache had no room.
    pub refused: u64,
}

/// What became of one entry of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Expired,
    Invalidated,
    Older,
    Refused,
    Stored,
}

impl Imported {
    pub(crate) fn of(header: &Header) -> Self {
        let taken_at = header.taken_at.as_micros();
        Self { cache: header.cache.clone(), taken_at, ..Self::default() }
    }

    pub(crate) fn count(&mut self, fate: Fate) {
        *match fate {
            Fate::Expired => &mut self.expired,
            Fate::Invalidated => &mut self.invalidated,
            Fate::Older => &mut self.older,
            Fate::Refused => &mut self.refused,
            Fate::Stored => &mut self.entries,
        } += 1;
    }

    /// What stopped the import, with what was imported before.
    pub(crate) fn stopped_by(&self, error: CacheError) -> CacheError {
        error.with("imported", self.entries)
    }
}

/// Whether an entry that was in a snapshot may still be used.
pub(crate) fn lives(entry: &Entry, now: Timestamp) -> bool {
    !(entry.meta.tombstone || entry.meta.is_dead(now) || entry.meta.is_stale(now))
}

/// A snapshot on its way into a buffer, which is written from time to time.
#[derive(Debug)]
pub(crate) struct Outgoing {
    encoder: Encoder,
    buffer: Vec<u8>,
    exported: Exported,
}

impl Outgoing {
    pub(crate) fn begin(cache: &str, taken_at: Timestamp) -> Self {
        let mut buffer = Vec::new();
        let encoder = Encoder::begin(&Header { cache: cache.to_owned(), taken_at }, &mut buffer);
        Self { encoder, buffer, exported: Exported::default() }
    }

    pub(crate) fn push(&mut self, key: &str, idle: Option<Idle>, entry: &Entry) {
        match self.encoder.record(key, idle, entry, &mut self.buffer) {
            Ok(()) => {}
            Err(_) => self.skip(),
        }
    }

    pub(crate) fn skip(&mut self) {
        self.exported.skipped += 1;
    }

    /// How many entries there are so far.
    pub(crate) const fn entries(&self) -> u64 {
        self.encoder.records()
    }

    /// What has to be written now, if it is enough.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        (self.buffer.len() >= CHUNK).then(|| std::mem::take(&mut self.buffer))
    }

    /// The last bytes, and what came of it.
    pub(crate) fn end(mut self) -> (Vec<u8>, Exported) {
        self.exported.entries = self.encoder.end(&mut self.buffer);
        (self.buffer, self.exported)
    }
}

/// Writes a part of a snapshot.
pub(crate) fn write(writer: &mut (impl Write + ?Sized), bytes: &[u8]) -> Result<()> {
    writer.write_all(bytes).map_err(|error| {
        CacheError::new(ErrorKind::Connection, "cannot write the snapshot").caused_by(error)
    })
}
