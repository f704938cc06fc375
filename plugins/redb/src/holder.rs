//! [`Holder`]: the database in use, and another one in place of one that fails.
//!
//! Whatever redb reports or panics over, the next call finds a database that works, if the disk
//! lets it: an error of the disk opens it again, damage begins a new one.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use larder_core::{BuildContext, CacheError, ErrorKind, Result, telemetry};
use redb::{Builder, Database, Error, WriteTransaction};
use tracing::warn;

use crate::config::{Durability, RedbConfig};
use crate::directory::Directory;
use crate::error::{Verdict, failed, said, verdict};
use crate::tables::{self, Tables};

/// A database in a directory of its own.
#[derive(Debug)]
pub(crate) struct Holder {
    directory: Directory,
    cache: String,
    durability: Durability,
    memory: usize,
    /// Read while it is used, written to open another one.
    current: RwLock<Current>,
    /// Counts the commits that are not forced to the disk by themselves.
    unforced: AtomicU64,
    /// How many of them are forced to the disk.
    forced: AtomicU64,
}

impl Holder {
    pub(crate) fn open(config: &RedbConfig, context: &BuildContext) -> Result<Self> {
        let holder = Self {
            directory: Directory::open(&config.dir)?,
            cache: context.cache.clone(),
            durability: config.durability,
            memory: usize::try_from(config.memory_bytes.0).unwrap_or(usize::MAX),
            current: RwLock::default(),
            unforced: AtomicU64::new(0),
            forced: AtomicU64::new(0),
        };
        holder.write_current().database = Some(holder.open_database("open")?);
        Ok(holder)
    }

    /// Begins an ordinary write. There is one at a time; the next one waits here.
    pub(crate) fn begin_write(&self, database: &Database) -> Result<WriteTransaction, Error> {
        let mut transaction = database.begin_write()?;
        transaction.set_durability(match self.durability {
            Durability::Immediate => redb::Durability::Immediate,
            Durability::Eventual | Durability::None => redb::Durability::None,
        })?;
        Ok(transaction)
    }

    /// Ends an ordinary write, which may leave something for [`flush`](Self::flush).
    pub(crate) fn commit(&self, transaction: WriteTransaction) -> Result<(), Error> {
        if self.durability != Durability::Immediate {
            // While the transaction is open, so that no flush comes between.
            self.unforced.fetch_add(1, Ordering::AcqRel);
        }
        Ok(transaction.commit()?)
    }

    /// Forces to the disk what is not there yet.
    pub(crate) fn flush(&self) -> Result<()> {
        if !self.is_dirty() {
            return Ok(());
        }
        self.run("flush", |database| {
            let transaction = database.begin_write()?;
            Tables::open(&transaction)?.note_flush()?;
            // While the transaction is open, so that nobody else commits.
            let unforced = self.unforced.load(Ordering::Acquire);
            transaction.commit()?;
            self.forced.fetch_max(unforced, Ordering::AcqRel);
            Ok(())
        })
    }

    /// Whether something was written that is not forced to the disk.
    fn is_dirty(&self) -> bool {
        self.forced.load(Ordering::Acquire) != self.unforced.load(Ordering::Acquire)
    }

    /// Whether there was something to force to the disk, and forgets it. For those who hold the
    /// database for writing.
    fn forget_unforced(&self) -> bool {
        let unforced = self.unforced.load(Ordering::Acquire);
        self.forced.swap(unforced, Ordering::AcqRel) != unforced
    }

    /// Forces everything to the disk, and lets others have the file.
    pub(crate) fn close(&self) -> Result<()> {
        if self.current.read().unwrap_or_else(PoisonError::into_inner).is_closed {
            return Ok(());
        }
        let flushed = self.run("close", |database| {
            let transaction = database.begin_write()?;
            tables::mark_unsafe(&transaction, false)?;
            Tables::open(&transaction)?.note_flush()?;
            Ok(transaction.commit()?)
        });
        let mut current = self.write_current();
        current.is_closed = true;
        drop_quietly(current.database.take());
        flushed
    }

    /// Does work with the database; once more with a new one if it turns out to be damaged.
    pub(crate) fn run<T>(
        &self,
        operation: &'static str,
        work: impl Fn(&Database) -> Result<T, Error>,
    ) -> Result<T> {
        match self.attempt(operation, &work)? {
            (Ok(done), _) => return Ok(done),
            (Err(trouble), number) if trouble.is_damage() => {
                self.let_go(number);
                self.replace(number, &trouble)?;
            }
            (Err(trouble), number) => {
                self.let_go(number);
                return Err(self.error(operation, trouble));
            }
        }
        let (outcome, number) = self.attempt(operation, &work)?;
        outcome.map_err(|trouble| {
            self.let_go(number);
            self.error(operation, trouble)
        })
    }

    /// What came of some work, and the number of the database it was done with.
    fn attempt<T>(
        &self,
        operation: &'static str,
        work: impl Fn(&Database) -> Result<T, Error>,
    ) -> Result<(Result<T, Trouble>, u64)> {
        loop {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            if current.is_closed {
                let error = CacheError::new(ErrorKind::Closed, "the backend is closed");
                return Err(error.during(operation).with("backend", "redb"));
            }
            if let Some(database) = &current.database {
                return Ok((guarded(|| work(database)), current.number));
            }
            drop(current);
            let mut current = self.write_current();
            if current.database.is_none() && !current.is_closed {
                current.database = Some(self.open_database(operation)?);
            }
        }
    }

    /// Closes the database of this number, so that it is opened again. What was not forced to the
    /// disk is then lost, and what it replaced must not come back.
    fn let_go(&self, number: u64) {
        let mut current = self.write_current();
        if current.number == number {
            current.number += 1;
            drop_quietly(current.database.take());
            if self.forget_unforced() {
                self.warn_of_reset(&"what was written last could not be forced to the disk");
                // If it cannot be removed it cannot be opened either, most likely.
                self.directory.remove().ok();
            }
        }
    }

    /// Moves the file of a database out of the way that was let go of.
    fn replace(&self, number: u64, reason: &dyn fmt::Display) -> Result<()> {
        let current = self.write_current();
        if current.number == number + 1 && current.database.is_none() {
            self.warn_of_reset(reason);
            self.directory.move_aside()?;
        }
        Ok(())
    }

    /// Begins with an empty file, without any room on the disk.
    pub(crate) fn wipe(&self) -> Result<()> {
        let mut current = self.write_current();
        if current.is_closed {
            return Ok(());
        }
        self.warn_of_reset(&"what was overwritten could not be removed");
        current.number += 1;
        drop_quietly(current.database.take());
        self.forget_unforced();
        self.directory.remove()
    }

    /// Opens the database; a new one in place of one that is damaged.
    fn open_database(&self, operation: &'static str) -> Result<Database> {
        let opened = match guarded(|| self.try_open()) {
            Err(trouble) if trouble.is_damage() => {
                self.warn_of_reset(&trouble);
                self.directory.move_aside()?;
                guarded(|| self.try_open())
            }
            opened => opened,
        };
        opened.map_err(|trouble| self.error(operation, trouble))
    }

    fn try_open(&self) -> Result<Database, Error> {
        let path = self.directory.database();
        let database = Builder::new().set_cache_size(self.memory).create(path)?;
        let transaction = database.begin_write()?;
        let is_unsafe = self.durability == Durability::None;
        if tables::mark_unsafe(&transaction, is_unsafe)? {
            self.warn_of_reset(&"it was not closed in order, and has no durability");
            tables::clear(&transaction)?;
        }
        drop(Tables::open(&transaction)?);
        transaction.commit()?;
        Ok(database)
    }

    fn write_current(&self) -> RwLockWriteGuard<'_, Current> {
        self.current.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn warn_of_reset(&self, reason: &dyn fmt::Display) {
        warn!(
            target: telemetry::TARGET,
            cache = self.cache,
            backend = "redb",
            %reason,
            "{}",
            telemetry::DISK_RESET
        );
    }

    fn error(&self, operation: &'static str, trouble: Trouble) -> CacheError {
        match trouble {
            Trouble::Error(error) if verdict(&error) == Verdict::InUse => self.directory.in_use(),
            Trouble::Error(error) => failed(operation, self.directory.root(), error),
            Trouble::Panic(said) => {
                let error = CacheError::new(ErrorKind::Plugin, "redb panicked").during(operation);
                error.with("backend", "redb").with("said", said)
            }
        }
    }
}

/// The database in use, if there is one.
#[derive(Debug, Default)]
struct Current {
    database: Option<Database>,
    /// Counts the databases, so that nobody replaces one that another thread has replaced.
    number: u64,
    is_closed: bool,
}

/// Why a call of redb came to nothing.
#[derive(Debug)]
enum Trouble {
    Error(Error),
    Panic(String),
}

impl Trouble {
    fn is_damage(&self) -> bool {
        match self {
            Self::Error(error) => verdict(error) == Verdict::Damaged,
            Self::Panic(_) => true,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::Panic(said) => f.write_str(said),
        }
    }
}

/// Calls redb, which panics over some damages.
fn guarded<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Trouble> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(Trouble::Error),
        Err(panic) => Err(Trouble::Panic(said(&*panic))),
    }
}

/// Closes a database that may be damaged.
fn drop_quietly(database: Option<Database>) {
    // What cannot be written any more is found when the file is opened again.
    catch_unwind(AssertUnwindSafe(|| drop(database))).ok();
}
