//! What the tables hold, and what a transaction does with them.
//!
//! | table | key | value |
//! |---|---|---|
//! | `entries` | key | record |
//! | `written` | the how-manieth write | key |
//! | `deadlines` | hard deadline, the how-manieth write | key |
//! | `counts` | name | number |

use larder_core::backend::{Deadlines, ScanPage, ScanRequest};
use larder_core::{EntryMeta, Timestamp, envelope};
use redb::{
    Error, ReadTransaction, ReadableTable, ReadableTableMetadata, Table, TableDefinition,
    WriteTransaction,
};

use crate::record;

const ENTRIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("entries");
const WRITTEN: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("written");
const DEADLINES: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("deadlines");
const COUNTS: TableDefinition<'_, &str, u64> = TableDefinition::new("counts");

/// Bytes of all keys and records.
const BYTES: &str = "bytes";
/// The number of the next write.
const NEXT: &str = "next";
/// There while a process has the database open that forces nothing to the disk.
const UNSAFE: &str = "open without durability";
/// Changes with every flush, for a transaction that changes nothing forces nothing to the disk.
const FLUSHES: &str = "flushes";

/// How many entries that are over a write removes besides.
const COLLECTED_PER_WRITE: usize = 4;

/// How many keys a page has when the caller does not say.
const PAGE: usize = 1000;

/// A page ends after so many rows for each key that was asked for.
const ROWS_PER_KEY: usize = 10;

/// How much there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
}

/// What a row turned out to be.
#[derive(Debug)]
pub(crate) enum Found {
    Entry(larder_core::Entry),
    Nothing,
    /// It cannot be read, for this reason.
    Unreadable(String),
}

/// All tables, open for writing.
pub(crate) struct Tables<'t> {
    entries: Table<'t, &'static [u8], &'static [u8]>,
    written: Table<'t, u64, &'static [u8]>,
    deadlines: Table<'t, (u64, u64), &'static [u8]>,
    counts: Table<'t, &'static str, u64>,
}

impl<'t> Tables<'t> {
    pub(crate) fn open(transaction: &'t WriteTransaction) -> Result<Self, Error> {
        Ok(Self {
            entries: transaction.open_table(ENTRIES)?,
            written: transaction.open_table(WRITTEN)?,
            deadlines: transaction.open_table(DEADLINES)?,
            counts: transaction.open_table(COUNTS)?,
        })
    }

    /// Stores an envelope in place of what is there.
    pub(crate) fn put(&mut self, key: &str, bytes: &[u8], hard: u64) -> Result<(), Error> {
        self.remove(key.as_bytes())?;
        let number = self.count(NEXT)?;
        self.set_count(NEXT, number + 1)?;
        let row = record::encode(key, number, bytes);
        self.entries.insert(key.as_bytes(), &*row)?;
        self.written.insert(number, key.as_bytes())?;
        if hard != 0 {
            self.deadlines.insert((hard, number), key.as_bytes())?;
        }
        let all = self.count(BYTES)?;
        self.set_count(BYTES, all.saturating_add(size(key.as_bytes(), &row)))
    }

    /// Removes a row and all that refers to it; whether there was one that is alive.
    pub(crate) fn delete(&mut self, key: &str, now: Timestamp) -> Result<bool, Error> {
        let meta = self.meta(key)?;
        self.remove(key.as_bytes())?;
        Ok(meta.is_some_and(|meta| !meta.is_dead(now)))
    }

    /// The meta of a row, if it can be read.
    pub(crate) fn meta(&self, key: &str) -> Result<Option<EntryMeta>, Error> {
        let row = self.entries.get(key.as_bytes())?;
        Ok(row.and_then(|row| record::decode(key.as_bytes(), row.value())?.meta().ok()))
    }

    /// Changes the deadlines of an entry that is alive; whether there was one.
    pub(crate) fn touch(
        &mut self,
        key: &str,
        deadlines: Deadlines,
        now: Timestamp,
    ) -> Result<bool, Error> {
        if self.meta(key)?.is_none_or(|meta| meta.is_dead(now)) {
            return Ok(false);
        }
        let row = self.entries.get(key.as_bytes())?.map(|row| row.value().to_vec());
        let Some(record) = row.as_deref().and_then(|row| record::decode(key.as_bytes(), row))
        else {
            return Ok(false);
        };
        let mut bytes = record.envelope.to_vec();
        if envelope::patch_deadlines(&mut bytes, deadlines).is_err() {
            return Ok(false);
        }
        let hard = envelope::decode_header(&bytes).map_or(0, |meta| hard_deadline(&meta));
        self.put(key, &bytes, hard)?;
        Ok(true)
    }

    /// Removes some of what is over, and what is too much.
    pub(crate) fn make_room(&mut self, limits: Limits, now: Timestamp) -> Result<(), Error> {
        for _ in 0..COLLECTED_PER_WRITE {
            if !self.remove_dead(now)? {
                break;
            }
        }
        while self.entries.len()? > limits.entries || self.count(BYTES)? > limits.bytes {
            if !self.remove_dead(now)? && !self.remove_oldest()? {
                break;
            }
        }
        Ok(())
    }

    /// Makes sure that the transaction changes something.
    pub(crate) fn note_flush(&mut self) -> Result<(), Error> {
        let flushes = self.count(FLUSHES)?;
        self.set_count(FLUSHES, flushes.wrapping_add(1))
    }

    fn remove_dead(&mut self, now: Timestamp) -> Result<bool, Error> {
        let first = self.deadlines.first()?;
        let first = first.map(|(deadline, key)| (deadline.value(), key.value().to_vec()));
        match first {
            Some((at, key)) if at.0 <= now.as_micros() => {
                self.deadlines.remove(at)?;
                self.remove(&key)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn remove_oldest(&mut self) -> Result<bool, Error> {
        let first = self.written.pop_first()?.map(|(_, key)| key.value().to_vec());
        match first {
            Some(key) => self.remove(&key).map(|()| true),
            None => Ok(false),
        }
    }

    fn remove(&mut self, key: &[u8]) -> Result<(), Error> {
        let removed = self.entries.remove(key)?.map(|row| row.value().to_vec());
        let Some(row) = removed else {
            return Ok(());
        };
        if let Some(record) = record::decode(key, &row) {
            self.written.remove(record.written)?;
            let hard = record.meta().map_or(0, |meta| hard_deadline(&meta));
            self.deadlines.remove((hard, record.written))?;
        }
        let bytes = self.count(BYTES)?;
        self.set_count(BYTES, bytes.saturating_sub(size(key, &row)))
    }

    fn count(&self, name: &str) -> Result<u64, Error> {
        Ok(self.counts.get(name)?.map_or(0, |count| count.value()))
    }

    fn set_count(&mut self, name: &str, count: u64) -> Result<(), Error> {
        self.counts.insert(name, count)?;
        Ok(())
    }
}

/// Removes everything but the number of the next write.
pub(crate) fn clear(transaction: &WriteTransaction) -> Result<(), Error> {
    transaction.delete_table(ENTRIES)?;
    transaction.delete_table(WRITTEN)?;
    transaction.delete_table(DEADLINES)?;
    Tables::open(transaction)?.set_count(BYTES, 0)
}

/// Notes whether a crash from here on leaves a state that must not be read; whether one has.
pub(crate) fn mark_unsafe(transaction: &WriteTransaction, is_unsafe: bool) -> Result<bool, Error> {
    let mut tables = Tables::open(transaction)?;
    let was_unsafe = tables.count(UNSAFE)? != 0;
    tables.set_count(UNSAFE, u64::from(is_unsafe))?;
    Ok(was_unsafe)
}

/// Reads an entry that is alive.
pub(crate) fn get(
    transaction: &ReadTransaction,
    key: &str,
    now: Timestamp,
) -> Result<Found, Error> {
    let entries = transaction.open_table(ENTRIES)?;
    let Some(row) = entries.get(key.as_bytes())? else {
        return Ok(Found::Nothing);
    };
    let Some(record) = record::decode(key.as_bytes(), row.value()) else {
        return Ok(Found::Unreadable("the row does not belong to its key".to_owned()));
    };
    Ok(match record.entry() {
        Ok(entry) if entry.meta.is_dead(now) => Found::Nothing,
        Ok(entry) => Found::Entry(entry),
        Err(reason) => Found::Unreadable(reason.to_string()),
    })
}

/// Lists the keys of a page, in order. The cursor is the last key that was looked at.
pub(crate) fn scan(
    transaction: &ReadTransaction,
    request: &ScanRequest,
    now: Timestamp,
) -> Result<ScanPage, Error> {
    let entries = transaction.open_table(ENTRIES)?;
    let limit = if request.limit == 0 { PAGE } else { request.limit };
    let after = request.cursor.as_deref().unwrap_or_default().as_bytes();
    let prefix = request.prefix.as_bytes();
    let mut page = ScanPage::default();
    let mut rows = 0;
    for row in entries.range::<&[u8]>(after.max(prefix)..)? {
        let (key, row) = row?;
        let (key, row) = (key.value(), row.value());
        if key == after {
            continue;
        }
        if !key.starts_with(prefix) {
            return Ok(page);
        }
        rows += 1;
        let Ok(text) = std::str::from_utf8(key) else {
            continue;
        };
        let meta = record::decode(key, row).and_then(|record| record.meta().ok());
        if meta.is_some_and(|meta| !meta.is_dead(now)) {
            page.keys.push(text.to_owned());
        }
        if page.keys.len() >= limit || rows >= limit.saturating_mul(ROWS_PER_KEY) {
            page.next = Some(text.to_owned());
            return Ok(page);
        }
    }
    Ok(page)
}

/// How many entries there are, and how many bytes they have.
pub(crate) fn usage(transaction: &ReadTransaction) -> Result<(u64, u64), Error> {
    let entries = transaction.open_table(ENTRIES)?.len()?;
    let bytes = transaction.open_table(COUNTS)?.get(BYTES)?.map_or(0, |count| count.value());
    Ok((entries, bytes))
}

/// The hard deadline as the tables have it; 0 is never.
pub(crate) fn hard_deadline(meta: &EntryMeta) -> u64 {
    meta.hard_deadline.map_or(0, |deadline| deadline.as_micros().max(1))
}

/// What a row counts for the limit.
fn size(key: &[u8], row: &[u8]) -> u64 {
    key.len() as u64 + row.len() as u64
}
