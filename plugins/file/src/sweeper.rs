//! [`Sweeper`], which removes garbage in the background, a little at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::backend::off_thread;
use crate::directory::Directory;

/// How many files go at a time. Between two turns the task can be stopped.
const TURN: usize = 5000;

/// The task that sweeps. It ends when nothing is left, when the backend is closed or dropped, and
/// with the runtime.
#[derive(Debug, Default)]
pub(crate) struct Sweeper {
    is_stopped: Arc<AtomicBool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Sweeper {
    /// Begins to remove garbage; without a runtime does it at once.
    pub(crate) fn sweep(&self, directory: &Arc<Directory>) {
        let Ok(runtime) = Handle::try_current() else {
            // What cannot be removed now is tried again the next time.
            directory.sweep_leftovers().ok();
            while directory.sweep_epochs(TURN).unwrap_or(false) {}
            return;
        };
        let directory = Arc::clone(directory);
        let is_stopped = Arc::clone(&self.is_stopped);
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        let before = task.take();
        *task = Some(runtime.spawn(async move {
            if let Some(before) = before {
                // Two at a time would do the same work. That it ended is all that matters.
                before.await.ok();
            }
            let first = Arc::clone(&directory);
            // What cannot be removed now is tried again the next time.
            off_thread(move || first.sweep_leftovers()).await.ok();
            let mut is_more = true;
            while is_more && !is_stopped.load(Ordering::Acquire) {
                let directory = Arc::clone(&directory);
                is_more = off_thread(move || directory.sweep_epochs(TURN)).await.unwrap_or(false);
            }
        }));
    }

    /// Ends the task, and waits for its last turn.
    pub(crate) async fn stop(&self) {
        self.is_stopped.store(true, Ordering::Release);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // That it ended is all that matters.
            task.await.ok();
        }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Release);
    }
}
