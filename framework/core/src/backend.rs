//! [`Backend`], a place that keeps bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::capabilities::Capabilities;
use crate::clock::Timestamp;
use crate::entry::{Entry, EntryMeta};
use crate::error::{CacheError, ErrorKind, Result};

mod in_process;
mod loan;
mod scan;

pub use in_process::{InProcess, OnFull};
pub use loan::Loan;
pub use scan::{ScanPage, ScanRequest};

/// A place that keeps entries as bytes: a directory, a Redis server, a library loaded at run time.
///
/// Keys are UTF-8 texts that passed [`check_text`](crate::key::check_text): 1 to 1024 bytes. Any
/// character may occur in them, so a backend must not use them as path or command without
/// escaping. A backend is shared by all tasks of a cache and must do its own locking.
///
/// What it cannot do it leaves out of its [`Capabilities`]; the default bodies then answer with
/// [`ErrorKind::Unsupported`] or do the work one key at a time.
///
/// # Behaviour
///
/// Every method says what must hold; the conformance kit proves it. For all of them:
///
/// * Entries that cannot be read (torn, foreign, corrupt, of an unknown format) are a miss and are
///   removed, never an error.
/// * A failed `set` leaves either the new value, or nothing. It never leaves the old value, for
///   the caller believes that it is gone.
/// * No method blocks the thread for long: file work goes to a blocking pool.
///
/// # Cancellation
///
/// Any future may be dropped at any point. The entry it worked on is then as it was, complete and
/// new, or gone; never torn.
#[async_trait]
pub trait Backend: Send + Sync + fmt::Debug + 'static {
    /// What this backend can do. Must not change while it lives.
    fn capabilities(&self) -> Capabilities;

    /// How to hold values of the application as they are, instead of as bytes. Needs
    /// [`Capabilities::TYPED`]. As the first tier such a backend is replaced by a typed store with
    /// these settings; as a lower tier it is used through the other methods.
    fn in_process(&self) -> Option<InProcess> {
        None
    }

    /// Begins background work, such as garbage collection. Called once, after every plugin of
    /// every cache was built.
    ///
    /// # Errors
    ///
    /// Any kind; the manager then closes all that was built and reports the error.
    async fn start(&self) -> Result<()> {
        Ok(())
    }

    /// Reads an entry.
    ///
    /// # Behaviour
    ///
    /// * Returns the last entry that a completed `set` stored, with equal value and meta.
    /// * An entry past its hard deadline is `None`; one past its soft deadline is returned.
    /// * Tombstones are returned as entries.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`], [`ErrorKind::Timeout`] or [`ErrorKind::Plugin`] when the backend
    /// could not be asked; never because of what was found.
    async fn get(&self, key: &str) -> Result<Option<Entry>>;

    /// Reads an entry at once, if that takes nothing but memory: no file, no network, no other
    /// task. `None` means that [`get`](Self::get) has to be asked, and is the default.
    ///
    /// A cache asks this first, and spares a hit the future and the timer of a call that may have
    /// to wait, and the memory of a value that is decoded and forgotten.
    ///
    /// # Behaviour
    ///
    /// * An answer is the one that `get` would give, errors included.
    /// * It returns as soon as a look into a table does: nobody limits its time.
    fn get_now(&self, key: &str) -> Option<Result<Option<Loan>>> {
        let _ = key;
        None
    }

    /// Stores an entry in place of any other of the same key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Capacity`] when it does not fit; the kinds of [`get`](Self::get) otherwise.
    async fn set(&self, key: &str, entry: Entry) -> Result<()>;

    /// Removes an entry; whether there was one. Deleting what is not there succeeds.
    ///
    /// # Errors
    ///
    /// The kinds of [`get`](Self::get).
    async fn delete(&self, key: &str) -> Result<bool>;

    /// Whether `get` would return an entry.
    ///
    /// # Errors
    ///
    /// The kinds of [`get`](Self::get).
    async fn exists(&self, key: &str) -> Result<bool> {
        Ok(self.get(key).await?.is_some())
    }

    /// Removes every entry of this cache, and nothing of anybody else.
    ///
    /// # Behaviour
    ///
    /// After it returned no entry stored before is ever returned, by this process or another one.
    ///
    /// # Errors
    ///
    /// The kinds of [`get`](Self::get).
    async fn clear(&self) -> Result<()>;

    /// Reads many entries; answers in the order of the keys.
    ///
    /// # Errors
    ///
    /// The kinds of [`get`](Self::get), for the first key that failed.
    async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Entry>>> {
        let mut entries = Vec::with_capacity(keys.len());
        for key in keys {
            entries.push(self.get(key).await?);
        }
        Ok(entries)
    }

    /// Reads many entries, each of which may fail by itself; answers in the order of the keys. A
    /// cache reads with this, so a part of the backend that is away, such as a node of a cluster,
    /// costs no more than its own keys. Default: what [`get_many`](Self::get_many) says of all.
    ///
    /// # Behaviour
    ///
    /// There are as many answers as keys. Those that are there are the ones of `get_many`.
    async fn get_each(&self, keys: &[&str]) -> Vec<Result<Option<Entry>>> {
        match self.get_many(keys).await {
            Ok(entries) => entries.into_iter().map(Ok).collect(),
            Err(error) => keys.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    /// Stores many entries. When it fails, some of them may be stored.
    ///
    /// # Errors
    ///
    /// The kinds of [`set`](Self::set), for the first key that failed.
    async fn set_many(&self, entries: Vec<(String, Entry)>) -> Result<()> {
        for (key, entry) in entries {
            self.set(&key, entry).await?;
        }
        Ok(())
    }

    /// Removes many entries; how many there were.
    ///
    /// # Errors
    ///
    /// The kinds of [`get`](Self::get), for the first key that failed.
    async fn delete_many(&self, keys: &[&str]) -> Result<u64> {
        let mut deleted = 0;
        for key in keys {
            deleted += u64::from(self.delete(key).await?);
        }
        Ok(deleted)
    }

    /// Changes the deadlines of an entry and nothing else; whether there was one.
    /// Needs [`Capabilities::TOUCH`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] without the capability; else the kinds of [`get`](Self::get).
    async fn touch(&self, key: &str, deadlines: Deadlines) -> Result<bool> {
        let _ = (key, deadlines);
        Err(unsupported("touch"))
    }

    /// Lists keys, a page at a time. Needs [`Capabilities::SCAN`].
    ///
    /// # Behaviour
    ///
    /// * A key that is there from the first page to the last is returned at least once.
    /// * A key that was never there is never returned.
    /// * With [`leased`](ScanRequest::leased) both hold for keys that somebody has the lease of,
    ///   which needs [`Capabilities::LEASE_SCAN`] as well. A deletion by pattern deletes them to
    ///   end what is being loaded.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] without the capability; else the kinds of [`get`](Self::get).
    async fn scan(&self, request: ScanRequest) -> Result<ScanPage> {
        let _ = request;
        Err(unsupported("scan"))
    }

    /// Stores an entry unless one with a greater or equal [`Stamp`](crate::Stamp) is there;
    /// whether it was stored. Needs [`Capabilities::PUT_IF_NEWER`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] without the capability; else the kinds of [`set`](Self::set).
    async fn put_if_newer(&self, key: &str, entry: Entry) -> Result<bool> {
        let _ = (key, entry);
        Err(unsupported("put_if_newer"))
    }

    /// Asks for the right to load a key. Needs [`Capabilities::LEASE`].
    ///
    /// # Behaviour
    ///
    /// At most one lease per key is granted at a time. It ends when it is
    /// [released](Self::release) or [filled](Self::fill), when its time is over, when the key is
    /// written or deleted, or when everything is cleared.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] without the capability; else the kinds of [`get`](Self::get).
    async fn lease(&self, key: &str, duration: Duration) -> Result<Lease> {
        let _ = (key, duration);
        Err(unsupported("lease"))
    }

    /// Stores what was loaded under a lease, and ends the lease; whether the lease still held.
    /// Needs [`Capabilities::LEASE`].
    ///
    /// # Behaviour
    ///
    /// * The lease is checked and the entry stored in one step: a holder that was paused past the
    ///   end of its lease stores nothing, and neither does one whose key was written, deleted or
    ///   cleared.
    /// * When it is `false` nothing has changed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] without the capability; else the kinds of [`set`](Self::set).
    async fn fill(&self, key: &str, entry: Entry, token: u64) -> Result<bool> {
        let _ = (key, entry, token);
        Err(unsupported("fill"))
    }

    /// Gives a lease back, so that another may load at once; whether it still held. Needs
    /// [`Capabilities::LEASE`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] without the capability; else the kinds of [`get`](Self::get).
    async fn release(&self, key: &str, token: u64) -> Result<bool> {
        let _ = (key, token);
        Err(unsupported("release"))
    }

    /// Reads all of an entry but its value. Needs [`Capabilities::HEADER_READ`] to be cheaper than
    /// [`get`](Self::get).
    ///
    /// # Errors
    ///
    /// The kinds of [`get`](Self::get).
    async fn meta(&self, key: &str) -> Result<Option<EntryMeta>> {
        Ok(self.get(key).await?.map(|entry| entry.meta))
    }

    /// How often the backend has come back since it was built: its server can be reached again, or
    /// answers again. A backend that finds this out by itself counts it here.
    ///
    /// A cache leaves a tier that fails alone for longer and longer, and looks here whenever it
    /// would call it otherwise. When this number has grown, the next call is made at once, as the
    /// trial that decides whether the tier is used again.
    ///
    /// # Behaviour
    ///
    /// * It grows when a call may succeed that failed before, and not earlier. It never gets
    ///   smaller.
    /// * It returns as soon as a look at a counter does: nobody limits its time.
    fn comebacks(&self) -> u64 {
        0
    }

    /// What the backend knows about itself. Cheap enough to be called every few seconds.
    ///
    /// # Errors
    ///
    /// Why it cannot be used now.
    async fn health(&self) -> Result<Health> {
        Ok(Health::default())
    }

    /// Writes out what is buffered, if anything is.
    ///
    /// # Errors
    ///
    /// The kinds of [`set`](Self::set).
    async fn flush(&self) -> Result<()> {
        Ok(())
    }

    /// Stops background work and flushes. Called once, last. Calls that come later answer with
    /// [`ErrorKind::Closed`] or work as before.
    ///
    /// # Errors
    ///
    /// The kinds of [`set`](Self::set).
    async fn close(&self) -> Result<()> {
        self.flush().await
    }
}

fn unsupported(operation: &'static str) -> CacheError {
    CacheError::new(ErrorKind::Unsupported, "the backend cannot do this").during(operation)
}

/// New deadlines of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the two deadlines of an entry are all there are")]
pub struct Deadlines {
    /// End of the logical life; `None` is never.
    pub soft: Option<Timestamp>,
    /// End of the physical life; `None` is never.
    pub hard: Option<Timestamp>,
}

/// The answer to a request for a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lease {
    /// Load the key and [`fill`](Backend::fill) it with this token.
    Granted {
        /// Proves at the backend that the lease still holds.
        token: u64,
    },
    /// Somebody else loads it.
    Held {
        /// How long their lease lasts at most, if known.
        remaining: Option<Duration>,
    },
}

/// What a backend knows about itself.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Health {
    /// How many entries it holds, if that is known without counting.
    pub entries: Option<u64>,
    /// How many bytes they take, if that is known without counting.
    pub bytes: Option<u64>,
    /// Entries that could not be read since the start.
    pub corrupt: u64,
    /// Why it works worse than it should, if it does.
    pub degraded: Option<String>,
    /// What it counts besides, by name, since the start: `reconnects`, `retries`, `batches`.
    pub counts: BTreeMap<&'static str, u64>,
}
