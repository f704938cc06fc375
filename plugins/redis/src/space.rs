//! [`Space`]: the part of the servers that one cache has, and how commands are done in it.
//!
//! Every command is done under a generation, and in the same breath the server is asked which one
//! is current. When it turns out to be another, for somebody has cleared the cache or the server
//! has lost its memory, the command is done again under that one. So no answer is of before a clear
//! that was over when the question was asked.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use larder_core::{CacheError, Clock, ErrorKind, Result, Timestamp};
use redis::{Cmd, Pipeline, Value};
use tokio::sync::{Notify, Semaphore};

use crate::answer;
use crate::changes::Changes;
use crate::connection::{Lane, RedisConnection, Route};
use crate::keys::{Generation, Keys};
use crate::scripts::{By, ServerScript};
use crate::sizes::Sizes;
use crate::unreadable::Unreadable;

mod ask;
mod generation;
mod life;
mod recent;

pub(crate) use life::{life, millis};
use recent::{Noting, Recent};

/// How often a command is done under another generation before it is given up.
pub(crate) const ATTEMPTS: usize = 8;

/// How many large entries are read at a time.
const LARGE_READS: usize = 2;

/// What all operations of a cache share.
pub(crate) struct Space {
    pub(crate) connection: Arc<RedisConnection>,
    pub(crate) keys: Keys,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) unreadable: Unreadable,
    pub(crate) sizes: Sizes,
    pub(crate) changes: Changes,
    /// The right to read a large entry.
    pub(crate) large_reads: Semaphore,
    /// The greatest generation that was seen; 0 before the first.
    generation: AtomicU64,
    /// What was written lately, where gets go to replicas.
    pub(crate) recent: Option<Recent>,
    /// There may be entries of other generations to remove.
    pub(crate) has_garbage: Notify,
    /// How many of them were removed.
    pub(crate) swept: AtomicU64,
    /// How many commands gets were gathered in, and how many keys those had.
    pub(crate) batches: AtomicU64,
    pub(crate) batched_keys: AtomicU64,
}

/// The names of an entry and of the lease of its key.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) entry: String,
    pub(crate) lease: String,
}

impl Space {
    /// The space of a cache of this name whose keys have this prefix.
    pub(crate) fn new(
        connection: Arc<RedisConnection>,
        cache: &str,
        prefix: &str,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            connection,
            keys: Keys::new(prefix),
            clock,
            unreadable: Unreadable::new(cache),
            sizes: Sizes::default(),
            changes: Changes::default(),
            large_reads: Semaphore::new(LARGE_READS),
            generation: AtomicU64::new(0),
            recent: None,
            has_garbage: Notify::new(),
            swept: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            batched_keys: AtomicU64::new(0),
        }
    }

    /// Has gets go to replicas.
    pub(crate) fn read_from_replicas(mut self) -> Self {
        self.recent = Some(Recent::default());
        self
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.wall()
    }

    /// Runs one script on keys of one slot.
    pub(crate) async fn run(
        &self,
        script: &ServerScript,
        keys: &[&str],
        arguments: impl Fn(Cmd) -> Cmd,
    ) -> Result<Value> {
        for by in [By::Hash, By::Text] {
            let route = Route::Key(keys.first().copied().unwrap_or_default());
            let command = arguments(script.command(by, keys));
            let answer = self.send_one(Lane::Small, route, command).await?;
            if !answer::is_unknown_script(&answer) {
                return Ok(answer);
            }
        }
        Err(CacheError::new(ErrorKind::Connection, "the server does not run scripts")
            .hint("allow the user of the connection the commands `EVAL` and `EVALSHA`"))
    }

    /// Sends one command.
    pub(crate) async fn send_one(
        &self,
        lane: Lane,
        route: Route<'_>,
        command: Cmd,
    ) -> Result<Value> {
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.add_command(command);
        let mut answers = self.connection.send(lane, route, pipeline).await?;
        Ok(answers.pop().unwrap_or_default())
    }

    /// Notes until it is dropped, and then, that these keys are written: they are read from the
    /// primary for a while.
    pub(crate) fn noting<'a>(&'a self, keys: &'a [&'a str]) -> Noting<'a> {
        Noting::new(self.recent.as_ref(), keys)
    }

    pub(crate) fn names(&self, generation: Generation, key: &str) -> Names {
        Names { entry: self.keys.entry(generation, key), lease: self.keys.lease(generation, key) }
    }

    /// An error about keys of one node. It says nothing about other nodes while one of them is
    /// well; an error about the generation is one of the whole cache.
    pub(crate) fn of_a_node(&self, error: CacheError) -> CacheError {
        match self.connection.health().servers {
            (0, _) => error,
            _ => error.of_a_part(),
        }
    }
}

/// The cache is cleared faster than it can be asked.
pub(crate) fn restless() -> CacheError {
    CacheError::new(ErrorKind::Connection, "the cache is cleared all the time")
        .with("attempts", ATTEMPTS)
        .hint("find out who clears it, or writes its keys at the server")
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Space")
            .field("connection", &self.connection)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}
