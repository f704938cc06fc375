//! [`MemoryBackend`], entries in bytes in a store of this process.

use std::sync::{Arc, OnceLock};

use larder_core::backend::{Backend, Deadlines, Health, InProcess, Loan, ScanPage, ScanRequest};
use larder_core::clock::{Clock, Moment, Timestamp};
use larder_core::{
    CacheError, Capabilities, Entry, EntryMeta, ErrorKind, PluginConfig, Result, async_trait,
};
use larder_store::{Full, Insert, Store, StoreOptions};

use crate::config::MemoryConfig;

/// How many keys a page of a scan has if nobody says.
const PAGE: usize = 1000;

/// A backend that keeps entries in this process. The table is made when the first entry comes in,
/// so that the backend of a first tier, which never sees one, costs nothing.
///
/// Deadlines of entries are wall-clock times. They are turned into times of the monotonic clock
/// when an entry comes in, and compared with the wall clock as well when it goes out: an entry is
/// gone when either says so.
#[derive(Debug)]
pub struct MemoryBackend {
    in_process: InProcess,
    clock: Arc<dyn Clock>,
    entries: OnceLock<Store<Box<str>, Entry>>,
}

impl MemoryBackend {
    /// A backend with these settings.
    #[must_use]
    pub fn new(in_process: InProcess, clock: Arc<dyn Clock>) -> Self {
        Self { in_process, clock, entries: OnceLock::new() }
    }

    fn store(&self) -> &Store<Box<str>, Entry> {
        self.entries.get_or_init(|| {
            let options = StoreOptions::new(self.in_process.clone(), Arc::clone(&self.clock));
            Store::new(options)
        })
    }

    /// Weights count only if bytes are limited.
    fn weight(&self, key: &str, entry: &Entry) -> u32 {
        if self.in_process.capacity.weight.is_none() {
            return 1;
        }
        u32::try_from(key.len() + entry.value.len()).unwrap_or(u32::MAX)
    }

    /// A wall-clock time on the monotonic clock.
    fn moment(&self, deadline: Timestamp) -> Moment {
        self.clock.now().after(deadline.since(self.clock.wall()))
    }

    /// What `read` makes of an entry that may be served.
    fn read<R>(&self, key: &str, read: impl FnOnce(&Entry) -> R) -> Option<R> {
        let found = self.store().get_with(key, |entry| {
            let over = entry.meta.hard_deadline.is_some() && entry.meta.is_dead(self.clock.wall());
            (!over).then(|| read(entry))
        });
        found.ok().flatten()
    }

    fn insert(&self, key: &str, entry: Entry) -> Result<()> {
        if entry.meta.is_dead(self.clock.wall()) {
            self.store().remove(key);
            return Ok(());
        }
        let deadline = entry.meta.hard_deadline.map(|at| self.moment(at));
        let insert = Insert::default().deadline(deadline).weight(self.weight(key, &entry));
        let inserted = self.store().insert(Box::from(key), entry, insert);
        inserted.map(drop).map_err(|full| no_room(key, full))
    }
}

fn no_room(key: &str, full: Full) -> CacheError {
    CacheError::new(ErrorKind::Capacity, "cache is full")
        .during("set")
        .with("key", key)
        .with("max_size", full.max_size)
        .with("current_size", full.current_size)
        .hint("raise `capacity` or `max_bytes`, or set `on_full = \"evict\"`")
}

#[async_trait]
impl Backend for MemoryBackend {
    fn capabilities(&self) -> Capabilities {
        MemoryConfig::CAPABILITIES
    }

    fn in_process(&self) -> Option<InProcess> {
        Some(self.in_process.clone())
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        Ok(self.read(key, Entry::clone))
    }

    fn get_now(&self, key: &str) -> Option<Result<Option<Loan>>> {
        Some(Ok(self.read(key, |entry| entry.clone().into())))
    }

    async fn set(&self, key: &str, entry: Entry) -> Result<()> {
        self.insert(key, entry)
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        let removed = self.store().remove(key);
        Ok(removed.is_some_and(|entry| !entry.meta.is_dead(self.clock.wall())))
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        let entry = self.store().peek(key);
        Ok(entry.is_some_and(|entry| !entry.meta.is_dead(self.clock.wall())))
    }

    async fn clear(&self) -> Result<()> {
        self.store().clear();
        Ok(())
    }

    async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Entry>>> {
        let entries = keys.iter().map(|key| self.read(key, Entry::clone));
        Ok(entries.collect())
    }

    async fn set_many(&self, entries: Vec<(String, Entry)>) -> Result<()> {
        entries.into_iter().try_for_each(|(key, entry)| self.insert(&key, entry))
    }

    async fn touch(&self, key: &str, deadlines: Deadlines) -> Result<bool> {
        let wall = self.clock.wall();
        if deadlines.hard.is_some_and(|hard| hard <= wall) {
            return self.delete(key).await;
        }
        if !self.exists(key).await? {
            // Dead by the wall clock; touching it would bring it back to life.
            return Ok(false);
        }
        let deadline = deadlines.hard.map(|at| self.moment(at));
        let touched = self.store().touch_with(key, deadline, |entry| {
            entry.meta.soft_deadline = deadlines.soft;
            entry.meta.hard_deadline = deadlines.hard;
        });
        Ok(touched)
    }

    async fn scan(&self, request: ScanRequest) -> Result<ScanPage> {
        let cursor = request.cursor.as_deref().unwrap_or("0");
        let Ok(position) = cursor.parse() else {
            return Err(CacheError::new(
                ErrorKind::Plugin,
                "the cursor is not one of this backend",
            )
            .during("scan")
            .with("cursor", cursor)
            .hint("begin again without a cursor"));
        };
        let limit = match request.limit {
            0 => PAGE,
            limit => limit,
        };
        let (keys, next) = self.store().scan(position, limit);
        let keys = keys.into_iter().map(String::from);
        Ok(ScanPage {
            keys: keys.filter(|key| key.starts_with(&request.prefix)).collect(),
            next: next.map(|position| position.to_string()),
        })
    }

    async fn meta(&self, key: &str) -> Result<Option<EntryMeta>> {
        Ok(self.read(key, |entry| entry.meta.clone()))
    }

    async fn health(&self) -> Result<Health> {
        let mut health = Health::default();
        let store = self.entries.get();
        health.entries = Some(store.map_or(0, |store| store.len() as u64));
        if self.in_process.capacity.weight.is_some() {
            health.bytes = Some(store.map_or(0, Store::weight));
        }
        Ok(health)
    }
}
