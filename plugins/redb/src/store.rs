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

use crate::caller::Caller;
use crate::config::RedbConfig;
use crate::holder::Holder;
use crate::record::{self, envelope_of};
use crate::tables::{self, Found, Limits, Tables, hard_deadline};

/// The largest value of redb; the key counts, too, so that it is well below.
const LARGEST_ENTRY: u64 = 3 * 1024 * 1024 * 1024;

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
    pub(crate) fn set_many(&self, entries: &[(String, Entry)], caller: &Caller) -> Result<()> {
        match self.try_set_many(entries, caller) {
            Ok(Some(())) => Ok(()),
            // Nothing was done, and what is there may be newer.
            Ok(None) => Err(Caller::gone("set")),
            Err(error) => {
                self.forget(entries)?;
                Err(error)
            }
        }
    }

    fn forget(&self, entries: &[(String, Entry)]) -> Result<()> {
        let forgotten = self.write("set", |tables, now| {
            entries.iter().try_for_each(|(key, _)| tables.delete(key, now).map(drop))
        });
        if forgotten.is_err() {
            // A full disk may leave no room to remove anything but the file.
            self.holder.wipe()?;
        }
        Ok(())
    }

    fn try_set_many(&self, entries: &[(String, Entry)], caller: &Caller) -> Result<Option<()>> {
        let mut rows = Vec::with_capacity(entries.len());
        for (key, entry) in entries {
            let bytes = envelope_of(entry).map_err(|error| error.during("set"))?;
            self.check_size("set", record::size(key, &bytes))?;
            rows.push((key, bytes, hard_deadline(&entry.meta)));
        }
        self.write_for(caller, "set", |tables, now| {
            for (key, bytes, hard) in &rows {
                tables.put(key, bytes, *hard)?;
            }
            tables.make_room(self.limits, now)
        })
    }

    /// Stores an entry unless a newer one is there. When it fails, what is there stays.
    pub(crate) fn put_if_newer(&self, key: &str, entry: &Entry, caller: &Caller) -> Result<bool> {
        let bytes = envelope_of(entry).map_err(|error| error.during("put_if_newer"))?;
        self.check_size("put_if_newer", record::size(key, &bytes))?;
        let stored = self.write_for(caller, "put_if_newer", |tables, now| {
            let there = tables.meta(key)?.filter(|meta| !meta.is_dead(now));
            if there.is_some_and(|meta| meta.stamp >= entry.meta.stamp) {
                return Ok(false);
            }
            tables.put(key, &bytes, hard_deadline(&entry.meta))?;
            tables.make_room(self.limits, now)?;
            Ok(true)
        });
        stored?.ok_or_else(|| Caller::gone("put_if_newer"))
    }

    /// Removes entries; how many there were.
    pub(crate) fn delete_many(&self, keys: &[String], caller: &Caller) -> Result<u64> {
        let deleted = self.write_for(caller, "delete", |tables, now| {
            let mut deleted = 0;
            for key in keys {
                deleted += u64::from(tables.delete(key, now)?);
            }
            Ok(deleted)
        });
        deleted?.ok_or_else(|| Caller::gone("delete"))
    }

    pub(crate) fn touch(&self, key: &str, deadlines: Deadlines, caller: &Caller) -> Result<bool> {
        let touched =
            self.write_for(caller, "touch", |tables, now| tables.touch(key, deadlines, now));
        touched?.ok_or_else(|| Caller::gone("touch"))
    }

    /// Removes everything, and forces that to the disk: no crash may bring any of it back.
    pub(crate) fn clear(&self, caller: &Caller) -> Result<()> {
        let cleared = self.holder.run("clear", |database| {
            let transaction = database.begin_write()?;
            if caller.has_gone() {
                return Ok(None);
            }
            tables::clear(&transaction)?;
            transaction.commit()?;
            Ok(Some(()))
        });
        cleared?.ok_or_else(|| Caller::gone("clear"))
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

    /// Refuses an entry that does not fit, before the database has to.
    fn check_size(&self, operation: &'static str, size: u64) -> Result<()> {
        let most = self.limits.bytes.min(LARGEST_ENTRY);
        if size <= most {
            return Ok(());
        }
        let (message, hint) = if size > LARGEST_ENTRY {
            ("the entry is larger than any database takes", "keep entries below 3 GiB")
        } else {
            ("the entry is larger than the cache", "raise `max_bytes`")
        };
        Err(CacheError::new(ErrorKind::Capacity, message)
            .during(operation)
            .with("backend", "redb")
            .with("current_size", size)
            .with("max_size", most)
            .hint(hint))
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

    /// Changes the tables, whoever waits for it.
    fn write<T>(
        &self,
        operation: &'static str,
        work: impl Fn(&mut Tables<'_>, Timestamp) -> Result<T, Error>,
    ) -> Result<T> {
        let done = self.write_for(&Caller::default(), operation, work)?;
        Ok(done.expect("this caller does not go"))
    }

    /// Changes the tables in a transaction of the durability that the config wants; does nothing
    /// when the caller has gone.
    fn write_for<T>(
        &self,
        caller: &Caller,
        operation: &'static str,
        work: impl Fn(&mut Tables<'_>, Timestamp) -> Result<T, Error>,
    ) -> Result<Option<T>> {
        let now = self.now();
        self.holder.run(operation, |database| {
            let transaction = self.holder.begin_write(database)?;
            // Other writes may have come first, also those that the caller made after this one.
            if caller.has_gone() {
                return Ok(None);
            }
            let done = work(&mut Tables::open(&transaction)?, now)?;
            self.holder.commit(transaction)?;
            Ok(Some(done))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::{Mutex, mpsc};
    use std::thread;

    use larder_core::{Bytes, EntryMeta};

    use super::*;
    use crate::caller::Presence;
    use crate::config::Durability;

    fn open(dir: &std::path::Path, durability: Durability) -> Store {
        let mut config = RedbConfig::new(dir);
        config.durability = durability;
        Store::open(&config, &BuildContext::new("users")).unwrap()
    }

    fn entry(value: &[u8]) -> Entry {
        Entry { value: Bytes::copy_from_slice(value), meta: EntryMeta::default() }
    }

    fn newer(value: &[u8]) -> Entry {
        let mut newer = entry(value);
        newer.meta.stamp.time = Timestamp::from_micros(7);
        newer
    }

    #[test]
    fn a_write_that_was_given_up_while_it_waited_for_another_one_does_nothing() {
        let outer = tempfile::tempdir().unwrap();
        let store = open(&outer.path().join("cache"), Durability::Eventual);
        let here = Caller::default();
        store.set_many(&[("a".to_owned(), entry(b"there"))], &here).unwrap();
        let (store, entries) = (&store, [("a".to_owned(), entry(b"late"))]);
        let keys = ["a".to_owned()];
        let deadlines = Deadlines::default();
        let presence = Presence::default();
        let caller = &presence.caller();
        let (begun, has_begun) = mpsc::channel();
        let (end, may_end) = mpsc::channel::<()>();
        let may_end = Mutex::new(may_end);
        thread::scope(|scope| {
            let first = scope.spawn(|| {
                store.write("set", |_, _| {
                    begun.send(()).unwrap();
                    may_end.lock().unwrap().recv().unwrap();
                    Ok(())
                })
            });
            has_begun.recv().unwrap();
            let late = [
                scope.spawn(|| store.set_many(&entries, caller)),
                scope.spawn(|| store.put_if_newer("a", &newer(b"late"), caller).map(drop)),
                scope.spawn(|| store.delete_many(&keys, caller).map(drop)),
                scope.spawn(move || store.touch("a", deadlines, caller).map(drop)),
                scope.spawn(|| store.clear(caller)),
            ];
            drop(presence);
            end.send(()).unwrap();
            first.join().unwrap().unwrap();
            for late in late {
                assert_eq!(late.join().unwrap().unwrap_err().kind(), ErrorKind::Closed);
            }
        });
        assert_eq!(store.get_many(&keys).unwrap(), [Some(entry(b"there"))]);
    }

    #[test]
    fn an_entry_that_redb_would_refuse_is_refused_before() {
        let outer = tempfile::tempdir().unwrap();
        let store = open(&outer.path().join("cache"), Durability::None);
        store.check_size("set", LARGEST_ENTRY).unwrap();
        let error = store.check_size("set", LARGEST_ENTRY + 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Capacity);
        assert!(error.to_string().contains("hint: keep entries below 3 GiB"), "{error}");
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
