//! [`Space`]: the part of the servers that one cache has, and how commands are done in it.
//!
//! Every command is done under a generation, and in the same breath the server is asked which one
//! is current. When it turns out to be another, for somebody has cleared the cache or the server
//! has lost its memory, the command is done again under that one. So no answer is of before a clear
//! that was over when the question was asked.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{join, join_all};
use larder_core::{Bytes, CacheError, Clock, ErrorKind, Result, Timestamp};
use redis::{Cmd, Pipeline, Value};
use tokio::sync::{Notify, Semaphore};

use crate::answer;
use crate::connection::{Lane, RedisConnection, Route};
use crate::keys::{Generation, Keys};
use crate::scripts::{self, By, ServerScript};
use crate::sizes::Sizes;
use crate::unreadable::Unreadable;
use crate::uploads::Uploads;

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
    pub(crate) uploads: Uploads,
    /// The right to read a large entry.
    pub(crate) large_reads: Semaphore,
    /// The greatest generation that was seen; 0 before the first.
    generation: AtomicU64,
    /// There may be entries of other generations to remove.
    pub(crate) has_garbage: Notify,
    /// How many of them were removed.
    pub(crate) swept: AtomicU64,
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
            uploads: Uploads::default(),
            large_reads: Semaphore::new(LARGE_READS),
            generation: AtomicU64::new(0),
            has_garbage: Notify::new(),
            swept: AtomicU64::new(0),
        }
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.wall()
    }

    /// The generation that was current when last asked; asks if that never was.
    pub(crate) async fn generation(&self) -> Result<Generation> {
        match self.known() {
            known if known == Generation::default() => self.advance(None).await,
            known => Ok(known),
        }
    }

    pub(crate) fn known(&self) -> Generation {
        Generation::from_number(self.generation.load(Ordering::Acquire))
    }

    fn learn(&self, generation: Generation) {
        let before = self.generation.fetch_max(generation.number(), Ordering::AcqRel);
        if before < generation.number() {
            self.has_garbage.notify_one();
        }
    }

    /// The generation of the cache at the server: none that is older than one that was seen, and
    /// not `over`, if that is given.
    pub(crate) async fn advance(&self, over: Option<Generation>) -> Result<Generation> {
        let known = self.known().to_string();
        let over = over.map(|over| over.to_string()).unwrap_or_default();
        let keys = [&*self.keys.control, &*self.keys.garbage];
        let add = |mut command: Cmd| {
            command.arg(&known).arg(&over);
            command
        };
        let answer = self.run(&scripts::ADVANCE, &keys, add).await?;
        let text = answer::bytes(Some(answer))?.unwrap_or_default();
        let generation = Generation::read(&text).ok_or_else(|| {
            CacheError::new(ErrorKind::Connection, "the generation of the cache makes no sense")
                .with("key", &self.keys.control)
                .hint("remove this key from the server; the cache is then empty")
        })?;
        self.learn(generation);
        Ok(generation)
    }

    /// Whether a generation was the current one when the answers were made that came with
    /// `control`, the text at the key of that name. If not, another one is known afterwards.
    pub(crate) async fn is_current(
        &self,
        generation: Generation,
        control: Option<Bytes>,
    ) -> Result<bool> {
        if self.is_latest(generation, control.as_deref()) {
            return Ok(true);
        }
        match control.and_then(|text| Generation::read(&text)) {
            Some(current) if current > self.known() => self.learn(current),
            // It was lost or went back, as after an eviction, a flush, or a failover to a server
            // that was behind. What is there may be of before a clear.
            _ => drop(self.advance(None).await?),
        }
        Ok(false)
    }

    /// Whether a generation was the current one, and none that is later is known.
    pub(crate) fn is_latest(&self, generation: Generation, control: Option<&[u8]>) -> bool {
        let current = control.and_then(Generation::read);
        current == Some(generation) && generation >= self.known()
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

    /// Does commands for one key under the current generation; see [`each`](Self::each).
    pub(crate) async fn only(
        &self,
        lane: Lane,
        key: &str,
        commands: impl Fn(&Names, By) -> Vec<Cmd>,
    ) -> Result<Vec<Value>> {
        let mut answers = self.each(lane, &[key], |_, names, by| commands(names, by)).await?;
        answers.pop().unwrap_or_else(|| Ok(Vec::new()))
    }

    /// Does commands for each of these keys under the current generation; answers in their order.
    /// What fails for the keys of one node of a cluster is the answer for these keys alone.
    ///
    /// `commands` is told the number of the key, the names of its entry and its lease, and how to
    /// call scripts. All it returns must have the same meaning when they are done twice.
    pub(crate) async fn each(
        &self,
        lane: Lane,
        keys: &[&str],
        commands: impl Fn(usize, &Names, By) -> Vec<Cmd>,
    ) -> Result<Vec<Result<Vec<Value>>>> {
        let mut by = By::Hash;
        let mut attempts = 0;
        let mut outdated: Vec<Names> = Vec::new();
        while attempts < ATTEMPTS {
            attempts += 1;
            let generation = self.generation().await?;
            let names: Vec<Names> = keys.iter().map(|key| self.names(generation, key)).collect();
            let wanted: Vec<Vec<Cmd>> = names
                .iter()
                .enumerate()
                .map(|(at, names)| {
                    let clean = outdated.get(at).map(unlink_both);
                    clean.into_iter().chain(commands(at, names, by)).collect()
                })
                .collect();
            let skipped = usize::from(!outdated.is_empty());
            let (mut answers, control) = self.ask(lane, &names, wanted).await?;
            if by == By::Hash && answers.iter().flatten().flatten().any(answer::is_unknown_script) {
                by = By::Text;
                continue;
            }
            if self.is_current(generation, control).await? {
                answers.iter_mut().flatten().for_each(|answers| drop(answers.drain(..skipped)));
                return Ok(answers);
            }
            // What was written under that name would stay for ever.
            outdated = names;
        }
        Err(restless())
    }

    pub(crate) fn names(&self, generation: Generation, key: &str) -> Names {
        Names { entry: self.keys.entry(generation, key), lease: self.keys.lease(generation, key) }
    }

    /// Sends the commands of some keys, and asks for the generation after them.
    async fn ask(
        &self,
        lane: Lane,
        names: &[Names],
        commands: Vec<Vec<Cmd>>,
    ) -> Result<(Vec<Result<Vec<Value>>>, Option<Bytes>)> {
        if self.connection.is_cluster() {
            return self.ask_cluster(lane, names, commands).await;
        }
        let counts: Vec<usize> = commands.iter().map(Vec::len).collect();
        let mut pipeline = Pipeline::with_capacity(counts.iter().sum::<usize>() + 1);
        for command in commands.into_iter().flatten() {
            pipeline.add_command(command);
        }
        pipeline.add_command(self.ask_control());
        let answers = self.connection.send(lane, Route::Key(&self.keys.control), pipeline).await?;
        let mut answers = answers.into_iter();
        let parts = counts.iter().map(|&count| Ok(answers.by_ref().take(count).collect()));
        Ok((parts.collect(), answer::bytes(answers.next())?))
    }

    async fn ask_cluster(
        &self,
        lane: Lane,
        names: &[Names],
        commands: Vec<Vec<Cmd>>,
    ) -> Result<(Vec<Result<Vec<Value>>>, Option<Bytes>)> {
        let per_key = names.iter().zip(commands).map(|(names, commands)| async move {
            let mut pipeline = Pipeline::with_capacity(commands.len());
            for command in commands {
                pipeline.add_command(command);
            }
            let answers = self.connection.send(lane, Route::Key(&names.entry), pipeline).await;
            answers.map_err(|error| self.of_a_node(error))
        });
        let control =
            self.send_one(Lane::Small, Route::Key(&self.keys.control), self.ask_control());
        // All are sent and waited for, also if one fails.
        let (answers, control) = join(join_all(per_key), control).await;
        Ok((answers, answer::bytes(Some(control?))?))
    }

    pub(crate) fn ask_control(&self) -> Cmd {
        let mut command = Cmd::new();
        command.arg("GET").arg(&*self.keys.control);
        command
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

fn unlink_both(names: &Names) -> Cmd {
    let mut command = Cmd::new();
    command.arg("UNLINK").arg(&names.entry).arg(&names.lease);
    command
}

/// The cache is cleared faster than it can be asked.
fn restless() -> CacheError {
    CacheError::new(ErrorKind::Connection, "the cache is cleared all the time")
        .with("attempts", ATTEMPTS)
        .hint("find out who clears it, or writes its keys at the server")
}

/// How long the server keeps an entry that ends then, in milliseconds, as the scripts want it: `""`
/// for ever, `"0"` not at all.
pub(crate) fn life(deadline: Option<Timestamp>, now: Timestamp) -> String {
    deadline.map_or_else(String::new, |deadline| {
        let left = deadline.since(now);
        // A life of less than a millisecond is one.
        left.as_micros().div_ceil(1000).to_string()
    })
}

/// A duration as `PX` wants it.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).clamp(1, 1 << 50)
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Space")
            .field("connection", &self.connection)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_ends_neither_early_nor_never() {
        let now = Timestamp::from_micros(5_000);
        let at = |micros| Some(Timestamp::from_micros(micros));
        assert_eq!(life(None, now), "");
        assert_eq!(life(at(5_000), now), "0");
        assert_eq!(life(at(1), now), "0");
        assert_eq!(life(at(5_001), now), "1");
        assert_eq!(life(at(7_000), now), "2");
        assert_eq!(life(at(u64::MAX), now), "18446744073709547");
    }
}
