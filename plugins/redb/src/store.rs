//! [`Store`], the work of the backend without its futures: blocking calls that any number of
//! threads may make at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use larder_core::backend::{Deadlines, Health, ScanPage, ScanRequest};
use larder_core::{
    BuildContext, CacheError, Clock, Entry, ErrorKind, Result, Timestamp, telemetry,
};
use redb::{Error, ReadableDatabase as _};
use tracing::warn;

use crate::config::RedbConfig;
use crate::holder::Holder;
use crate::record::{self, envelope_of};
use crate::tables::{self, Found, Limits, Tables, hard_deadline};

/// Entries in a database.
#[derive(Debug)]
pub(crate) struct Store {
    holder: Holder,
    cache: String,
    limits: Limits,
    clock: Arc<dyn Clock>,
    corrupt: AtomicU64,
}

impl Store {
    pub(crate) fn open(config: &RedbConfig, context: &BuildContext) -> Result<Self> {
        let no_limit = u64::MAX;
        Ok(Self {
            holder: Holder::open(config, context)?,
            cache: context.cache.clone(),
            limits: Limits {
                bytes: config.max_bytes.map_or(no_limit, |bytes| bytes.0),
                entries: config.max_entries.unwrap_or(no_limit),
            },
            clock: Arc::clone(&context.clock),
            corrupt: AtomicU64::new(0),
        })
    }

    pub(crate) fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Entry>>> {
        let now = self.now();
        let found = self.holder.run("get", |database| {
            let transaction = database.begin_read()?;
            keys.iter().map(|key| tables::get(&transaction, key, now)).collect::<Result<_, _>>()
        });
        let found: Vec<Found> = found?;
        let rows = keys.iter().zip(found);
        Ok(rows
            .map(|(key, found)| match found {
                Found::Entry(entry) => Some(entry),
                Found::Nothing => None,
                Found::Unreadable(reason) => {
                    self.discard(key, &reason);
                    None
                }
            })
            .collect())
    }

    /// Stores entries, all or none of them. When it fails, none of the old ones is left either.
    pub(crate) fn set_many(&self, entries: &[(String, Entry)]) -> Result<()> {
        let stored = self.try_set_many(entries);
        if stored.is_err() {
            let forgotten = self.write("set", |tables, _| {
                entries.iter().try_for_each(|(key, _)| tables.delete(key, self.now()).map(drop))
            });
            if forgotten.is_err() {
                // A full disk may leave no room to remove anything but the file.
                self.holder.wipe()?;
            }
        }
        stored
    }

    fn try_set_many(&self, entries: &[(String, Entry)]) -> Result<()> {
        let mut rows = Vec::with_capacity(entries.len());
        for (key, entry) in entries {
            let bytes = envelope_of(entry).map_err(|error| error.during("set"))?;
            self.check_size(key, &bytes)?;
            rows.push((key, bytes, hard_deadline(&entry.meta)));
        }
        self.write("set", |tables, now| {
            for (key, bytes, hard) in &rows {
                tables.put(key, bytes, *hard)?;
            }
            tables.make_room(self.limits, now)
        })
    }

    pub(crate) fn put_if_newer(&self, key: &str, entry: &Entry) -> Result<bool> {
        let bytes = envelope_of(entry).map_err(|error| error.during("put_if_newer"))?;
        self.check_size(key, &bytes)?;
        self.write("put_if_newer", |tables, now| {
            let there = tables.meta(key)?.filter(|meta| !meta.is_dead(now));
            if there.is_some_and(|meta| meta.stamp >= entry.meta.stamp) {
                return Ok(false);
            }
            tables.put(key, &bytes, hard_deadline(&entry.meta))?;
            tables.make_room(self.limits, now)?;
            Ok(true)
        })
    }

    /// Removes entries; how many there were.
    pub(crate) fn delete_many(&self, keys: &[String]) -> Result<u64> {
        self.write("delete", |tables, now| {
            let mut deleted = 0;
            for key in keys {
                deleted += u64::from(tables.delete(key, now)?);
            }
            Ok(deleted)
        })
    }

    pub(crate) fn touch(&self, key: &str, deadlines: Deadlines) -> Result<bool> {
        self.write("touch", |tables, now| tables.touch(key, deadlines, now))
    }

    /// Removes everything, and forces that to the disk: no crash may bring any of it back.
    pub(crate) fn clear(&self) -> Result<()> {
        self.holder.run("clear", |database| {
            let transaction = database.begin_write()?;
            tables::clear(&transaction)?;
            Ok(transaction.commit()?)
        })
    }

    pub(crate) fn scan(&self, request: &ScanRequest) -> Result<ScanPage> {
        let now = self.now();
        self.holder.run("scan", |database| tables::scan(&database.begin_read()?, request, now))
    }

    pub(crate) fn health(&self) -> Result<Health> {
        let usage = self.holder.run("health", |database| tables::usage(&database.begin_read()?))?;
        let mut health = Health::default();
        (health.entries, health.bytes) = (Some(usage.0), Some(usage.1));
        health.corrupt = self.corrupt.load(Ordering::Relaxed);
        Ok(health)
    }

    pub(crate) fn flush(&self) -> Result<()> {
        self.holder.flush()
    }

    pub(crate) fn close(&self) -> Result<()> {
        self.holder.close()
    }

    fn now(&self) -> Timestamp {
        self.clock.wall()
    }

    fn check_size(&self, key: &str, envelope: &[u8]) -> Result<()> {
        let size = record::size(key, envelope);
        if size <= self.limits.bytes {
            return Ok(());
        }
        Err(CacheError::new(ErrorKind::Capacity, "the entry is larger than the cache")
            .during("set")
            .with("backend", "redb")
            .with("current_size", size)
            .with("max_size", self.limits.bytes)
            .hint("raise `max_bytes`"))
    }

    fn discard(&self, key: &str, reason: &str) {
        self.corrupt.fetch_add(1, Ordering::Relaxed);
        warn!(
            target: telemetry::TARGET,
            cache = self.cache,
            reason,
            "{}",
            telemetry::FILE_CORRUPT
        );
        // If it cannot be removed now, the next reader tries again.
        self.write("get", |tables, now| tables.delete(key, now)).ok();
    }

    /// Changes the tables in a transaction of the durability that the config wants.
    fn write<T>(
        &self,
        operation: &'static str,
        work: impl Fn(&mut Tables<'_>, Timestamp) -> Result<T, Error>,
    ) -> Result<T> {
        let now = self.now();
        self.holder.run(operation, |database| {
            let transaction = self.holder.begin_write(database)?;
            let done = work(&mut Tables::open(&transaction)?, now)?;
            self.holder.commit(transaction)?;
            Ok(done)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use larder_core::{Bytes, EntryMeta};

    use super::*;
    use crate::config::Durability;

    fn open(dir: &std::path::Path, durability: Durability) -> Store {
        let mut config = RedbConfig::new(dir);
        config.durability = durability;
        Store::open(&config, &BuildContext::new("users")).unwrap()
    }

    fn entry(value: &[u8]) -> Entry {
        Entry { value: Bytes::copy_from_slice(value), meta: EntryMeta::default() }
    }

    #[test]
    fn what_is_written_again_after_damage_is_flushed_too() {
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("cache");
        let store = open(&dir, Durability::Eventual);
        let envelope = envelope_of(&entry(&b"kumquat ".repeat(100))).unwrap();
        let is_first = Cell::new(true);
        let written = store.write("set", |tables, _| {
            assert!(!is_first.replace(false), "what redb does over some damages");
            tables.put("a", &envelope, 0)
        });
        written.unwrap();
        store.flush().unwrap();
        let bytes = std::fs::read(dir.join("cache.redb")).unwrap();
        assert!(bytes.windows(7).any(|window| window == b"kumquat"));
    }
}
