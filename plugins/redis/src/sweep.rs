//! [`Sweeper`], which removes the entries that a clear has left behind.
//!
//! A clear changes the generation and nothing else, so the entries of before are still there,
//! unreachable. A note at the server says so, and stays until somebody has gone through all keys;
//! so a sweep that was broken off is done again, by whichever process sees the note first. A lease
//! keeps two of them from doing the same work. Errors are waited out.
//!
//! Whoever writes under a generation that turns out to be over removes that again; but one whose
//! caller has given up does not, and its command may arrive after the sweep. So each sweep leaves
//! a note of when it was, and is followed by a second one.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::select;
use larder_core::{Bytes, Result, Timestamp, telemetry};
use redis::{Cmd, Pipeline};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::answer;
use crate::backoff::Backoff;
use crate::connection::{Lane, Route};
use crate::keys::Generation;
use crate::scripts;
use crate::space::{Space, millis};

/// How many keys of a server are looked at in a row.
const PAGE: usize = 1000;

/// The rest after each page: at most about 100,000 keys a second are looked at.
const REST: Duration = Duration::from_millis(10);

/// How long after a sweep there is a second one, and how often it is looked whether it is due.
const AGAIN_AFTER: Duration = Duration::from_secs(3600);

/// The first wait after an error is at most this long.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// No wait after an error is longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long a sweeper that has gone away keeps others from going on.
const LEASE: Duration = Duration::from_secs(30);

/// The task that sweeps.
#[derive(Debug, Default)]
pub(crate) struct Sweeper {
    task: Mutex<Option<AbortHandle>>,
}

impl Sweeper {
    /// Begins to wait for garbage; without a runtime there is nobody to do so.
    pub(crate) fn start(&self, space: &Arc<Space>, holder: u64) {
        let Ok(runtime) = Handle::try_current() else { return };
        let task = runtime.spawn(live(Arc::clone(space), holder));
        let mut slot = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = slot.replace(task.abort_handle()) {
            before.abort();
        }
    }

    /// Ends the task. What it has not done is left to others.
    pub(crate) fn stop(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
        }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Sweeps whenever there is something to sweep, until it is aborted.
async fn live(space: Arc<Space>, holder: u64) {
    let mut backoff = Backoff::new(FIRST_WAIT);
    loop {
        let outcome = space.sweep(holder).await;
        if outcome.is_ok() {
            backoff.reset();
        }
        match outcome {
            Ok(Outcome::Again) => {}
            Ok(Outcome::Clean) => {
                // Whether there is garbage or the time has come makes no difference.
                let time = pin!(space.clock.sleep(AGAIN_AFTER));
                select(pin!(space.has_garbage.notified()), time).await;
            }
            Ok(Outcome::Later) => space.clock.sleep(LEASE).await,
            Err(_) => space.clock.sleep(backoff.next(LONGEST_WAIT)).await,
        }
    }
}

/// How a sweep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// A clear came in between.
    Again,
    /// Nothing is left.
    Clean,
    /// Somebody else sweeps.
    Later,
}

impl Space {
    /// Removes what is left of before a clear, if anything is and nobody else does it.
    async fn sweep(&self, holder: u64) -> Result<Outcome> {
        let note = self.get_own(&self.keys.garbage).await?;
        if note.is_none() && !self.is_second_due().await? {
            return Ok(Outcome::Clean);
        }
        if !self.take_broom(holder).await? {
            return Ok(Outcome::Later);
        }
        let swept = self.sweep_servers().await;
        if let Ok(removed) = swept {
            tracing::debug!(
                target: telemetry::TARGET,
                cache = %self.unreadable.cache(), removed, "{}", telemetry::REDIS_SWEPT
            );
            self.note_swept(note.as_deref()).await?;
        }
        self.remove_own(&self.keys.sweeper, &holder.to_be_bytes()).await?;
        swept?;
        // A clear that came in between has left another note.
        let is_clean = self.get_own(&self.keys.garbage).await?.is_none();
        Ok(if is_clean { Outcome::Clean } else { Outcome::Again })
    }

    /// Notes that all keys were looked at: `note` is what there was to do.
    async fn note_swept(&self, note: Option<&[u8]>) -> Result<()> {
        let mut command = Cmd::new();
        match note {
            Some(_) => command.arg("SET").arg(&self.keys.swept).arg(self.now().as_micros()),
            None => command.arg("UNLINK").arg(&self.keys.swept),
        };
        let noted = self.send_one(Lane::Small, Route::Key(&self.keys.swept), command).await?;
        match note {
            // A server without room for this much is swept once and not twice.
            Some(note) => self.remove_own(&self.keys.garbage, note).await,
            None => answer::done(Some(noted)),
        }
    }

    /// Whether the last sweep was so long ago that another one finds what was written late.
    async fn is_second_due(&self) -> Result<bool> {
        let Some(swept) = self.get_own(&self.keys.swept).await? else { return Ok(false) };
        let swept = std::str::from_utf8(&swept).ok().and_then(|text| text.parse().ok());
        let swept = Timestamp::from_micros(swept.unwrap_or(0));
        // A time to come is that of a clock that was wrong.
        let (ago, ahead) = (self.now().since(swept), swept.since(self.now()));
        Ok(ago >= AGAIN_AFTER || ahead >= AGAIN_AFTER)
    }

    async fn sweep_servers(&self) -> Result<u64> {
        let (pattern, mut removed, mut place) = (self.keys.pattern_of_all(), 0, None);
        loop {
            let page = self.page(place, &pattern, PAGE).await?;
            let gone = self.unlink_outdated(page.server, &page.names).await?;
            self.swept.fetch_add(gone, Ordering::Relaxed);
            removed += gone;
            if page.next.is_none() {
                return Ok(removed);
            }
            place = page.next;
            self.keep_broom().await?;
            self.clock.sleep(REST).await;
        }
    }

    /// Removes from one server, of these names, the entries of other generations than the current
    /// one; how many there were.
    ///
    /// The generation is asked for after the names were listed. None that is over ever comes back,
    /// so an entry of another one is of no use to anybody.
    pub(crate) async fn unlink_outdated(&self, server: usize, names: &[Vec<u8>]) -> Result<u64> {
        let current: Generation = self.advance(None).await?;
        let mut pipeline = Pipeline::new();
        for name in names {
            let read = self.keys.read_entry(name);
            if read.is_some_and(|(generation, _)| generation != current) {
                pipeline.cmd("UNLINK").arg(&name[..]);
            }
        }
        if pipeline.is_empty() {
            return Ok(0);
        }
        let answers = self.connection.send(Lane::Bulk, Route::Primary(server), pipeline).await?;
        let mut removed = 0;
        for answer in answers {
            // One that has moved to another server meanwhile is found there.
            removed += answer::number(Some(answer)).map_or(0, |count| count.max(0) as u64);
        }
        Ok(removed)
    }

    async fn take_broom(&self, holder: u64) -> Result<bool> {
        let mut command = Cmd::new();
        command.arg("SET").arg(&self.keys.sweeper).arg(&holder.to_be_bytes());
        command.arg("PX").arg(millis(LEASE)).arg("NX");
        let answer = self.send_one(Lane::Small, Route::Key(&self.keys.sweeper), command).await?;
        Ok(matches!(answer::read(answer)?, answer::Answer::Okay))
    }

    async fn keep_broom(&self) -> Result<()> {
        let mut command = Cmd::new();
        command.arg("PEXPIRE").arg(&self.keys.sweeper).arg(millis(LEASE));
        let answer = self.send_one(Lane::Small, Route::Key(&self.keys.sweeper), command).await?;
        answer::done(Some(answer))
    }

    async fn get_own(&self, name: &str) -> Result<Option<Bytes>> {
        let mut command = Cmd::new();
        command.arg("GET").arg(name);
        answer::bytes(Some(self.send_one(Lane::Small, Route::Key(name), command).await?))
    }

    async fn remove_own(&self, name: &str, value: &[u8]) -> Result<()> {
        let answer =
            self.run(&scripts::REMOVE, &[name], |command| scripts::with(command, value)).await?;
        answer::done(Some(answer))
    }
}
