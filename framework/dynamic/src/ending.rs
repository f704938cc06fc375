//! The end of the process: libraries are told, so that they can stop their threads in order.
//!
//! A library serves the whole process and is never unloaded, so no manager knows when it is needed
//! no more; the end of the process is the only moment. Each library is told from a handler of its
//! own, registered after its constructors ran: handlers are called in reverse, so it is told before
//! its own handlers and destructors run.

use std::process;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use larder_abi::Status;

use crate::guard::guard;
use crate::library::Library;

/// How long the process waits for one library.
const PATIENCE: Duration = Duration::from_secs(2);

type Shutdown = unsafe extern "C" fn(i64) -> Status;

/// A library that wants to be told.
struct Waiting {
    shutdown: Shutdown,
    /// The process that loaded it: its threads are in no other one that is forked from it.
    process: u32,
}

/// In the order in which they were loaded.
static WAITING: Mutex<Vec<Waiting>> = Mutex::new(Vec::new());

fn waiting() -> MutexGuard<'static, Vec<Waiting>> {
    // Nothing is left half done when a thread panics with the lock.
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has a library told when the process ends by itself.
pub(crate) fn register(library: &Library) {
    let Some(shutdown) = library.shutdown else { return };
    let mut waiting = waiting();
    // SAFETY: the handler stays, and does not unwind.
    if unsafe { libc::atexit(tell_last) } == 0 {
        waiting.push(Waiting { shutdown, process: process::id() });
    }
}

/// Tells the library that was loaded last of those that were not told.
extern "C" fn tell_last() {
    // The process ends, and nobody can be told of a panic.
    let _told = guard(|| {
        let last = waiting().pop();
        if let Some(Waiting { shutdown, process }) = last
            && process == process::id()
        {
            tell(shutdown);
        }
    });
}

/// Calls it on a thread that may be left behind, for the end must not depend on a library. The
/// locals of this thread are gone by now, so only what needs none is used here.
fn tell(shutdown: Shutdown) {
    let done = Arc::new((Mutex::new(false), Condvar::new()));
    let theirs = Arc::clone(&done);
    let thread = std::thread::Builder::new().name("larder-plugin-end".to_owned());
    let started = thread.spawn(move || {
        // SAFETY: the function of a library, which stays, called as the header says.
        let _status = unsafe { shutdown(deadline()) };
        *theirs.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        theirs.1.notify_one();
    });
    if started.is_ok() {
        let is_done = done.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(done.1.wait_timeout_while(is_done, PATIENCE, |is_done| !*is_done));
    }
}

/// In the time of the header.
fn deadline() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from((now + PATIENCE).as_micros()).unwrap_or(i64::MAX)
}
