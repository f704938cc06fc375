//! [`Sweeper`], which removes the entries that a clear has left behind.
//!
//! A clear changes the generation and nothing else, so the entries of before are still there,
//! unreachable. A note at the server says so, and stays until somebody has gone through all keys;
//! so a sweep that was broken off is done again, by whichever process sees the note first. A lease
//! keeps two of them from doing the same work.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use larder_core::{Bytes, Result, telemetry};
use redis::Cmd;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::answer;
use crate::connection::{Lane, Route};
use crate::scripts;
use crate::space::{Space, millis};

/// How many keys of a server are looked at in a row.
const PAGE: usize = 1000;

/// The rest after each page: at most about 100,000 keys a second are looked at.
const REST: Duration = Duration::from_millis(10);

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
        let space = Arc::clone(space);
        // Somebody may have left some behind.
        space.has_garbage.notify_one();
        let task = runtime.spawn(async move {
            loop {
                space.has_garbage.notified().await;
                // After an error, the next clear or the next process tries again.
                while let Ok(outcome) = space.sweep(holder).await {
                    match outcome {
                        Outcome::Again => {}
                        Outcome::Clean => break,
                        Outcome::Later => space.clock.sleep(LEASE).await,
                    }
                }
            }
        });
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
        let Some(note) = self.get_own(&self.keys.garbage).await? else {
            return Ok(Outcome::Clean);
        };
        if !self.take_broom(holder).await? {
            return Ok(Outcome::Later);
        }
        let swept = self.sweep_servers().await;
        if let Ok(removed) = swept {
            tracing::debug!(
                target: telemetry::TARGET,
                cache = %self.unreadable.cache(), removed, "{}", telemetry::REDIS_SWEPT
            );
            self.remove_own(&self.keys.garbage, &note).await?;
        }
        self.remove_own(&self.keys.sweeper, &holder.to_be_bytes()).await?;
        swept?;
        // A clear that came in between has left another note.
        let is_clean = self.get_own(&self.keys.garbage).await?.is_none();
        Ok(if is_clean { Outcome::Clean } else { Outcome::Again })
    }

    async fn sweep_servers(&self) -> Result<u64> {
        let (pattern, mut removed) = (self.keys.pattern_of_all(), 0);
        for server in 0..self.connection.primaries().await?.max(1) {
            let mut cursor = 0;
            loop {
                let (next, names) = self.scan_server(server, cursor, &pattern, PAGE).await?;
                let gone = self.unlink_outdated(server, &names).await?;
                self.swept.fetch_add(gone, Ordering::Relaxed);
                removed += gone;
                if next == 0 {
                    break;
                }
                cursor = next;
                self.keep_broom().await?;
                self.clock.sleep(REST).await;
            }
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
