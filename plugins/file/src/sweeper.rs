//! [`Sweeper`], which removes garbage in the background, a little at a time.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::backend::off_thread;
use crate::directory::Directory;

/// How many files go at a time. Between two turns the task can be stopped.
const TURN: usize = 1000;

/// The task that sweeps. It ends when nothing is left, when the backend is closed or dropped, and
/// with the runtime.
#[derive(Debug, Default)]
pub(crate) struct Sweeper {
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Sweeper {
    /// Begins to remove garbage; without a runtime does it at once.
    pub(crate) fn sweep(&self, directory: &Arc<Directory>) {
        let Ok(runtime) = Handle::try_current() else {
            // What cannot be removed now is tried again the next time.
            while directory.sweep(TURN).unwrap_or(false) {}
            return;
        };
        let directory = Arc::clone(directory);
        let task = runtime.spawn(async move {
            loop {
                let directory = Arc::clone(&directory);
                let is_more = off_thread(move || directory.sweep(TURN)).await;
                if !is_more.unwrap_or(false) {
                    break;
                }
            }
        });
        if let Some(before) = self.take(Some(task)) {
            // It would only do the same work.
            before.abort();
        }
    }

    /// Ends the task, and waits for its last turn.
    pub(crate) async fn stop(&self) {
        if let Some(task) = self.take(None) {
            task.abort();
            // Being aborted is what it should be.
            task.await.ok();
        }
    }

    fn take(&self, next: Option<JoinHandle<()>>) -> Option<JoinHandle<()>> {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        mem::replace(&mut task, next)
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        if let Some(task) = self.take(None) {
            task.abort();
        }
    }
}
