//! [`Timer`], a wait for callers that have no runtime with a timer: one thread wakes them all.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::guard::guard;

/// A moment, and a number that tells equal ones apart.
type Key = (Instant, u64);

#[derive(Default)]
struct Waiters {
    wakers: BTreeMap<Key, Waker>,
    next: u64,
    has_thread: bool,
}

static WAITERS: LazyLock<Mutex<Waiters>> = LazyLock::new(Mutex::default);

/// Somebody waits who did not before.
static CHANGED: Condvar = Condvar::new();

fn waiters() -> MutexGuard<'static, Waiters> {
    WAITERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Over after a time.
#[derive(Debug)]
pub(crate) struct Timer(Key);

impl Timer {
    pub(in crate::adapt) fn new(duration: Duration) -> Self {
        let now = Instant::now();
        let mut waiters = waiters();
        waiters.next += 1;
        // A time that the system cannot count is as good as over.
        Self((now.checked_add(duration).unwrap_or(now), waiters.next))
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.0.0 {
            return Poll::Ready(());
        }
        let mut waiters = waiters();
        if !waiters.has_thread {
            let thread = std::thread::Builder::new().name("larder-timer".to_owned());
            if thread.spawn(wake_all).is_err() {
                // Nobody would ever wake the caller.
                return Poll::Ready(());
            }
            waiters.has_thread = true;
        }
        waiters.wakers.insert(self.0, context.waker().clone());
        CHANGED.notify_one();
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        waiters().wakers.remove(&self.0);
    }
}

/// Wakes everybody whose time is over, for ever.
fn wake_all() {
    loop {
        let mut waiters = waiters();
        let now = Instant::now();
        let first = waiters.wakers.first_key_value().map(|((at, _), _)| *at);
        match first {
            None => drop(CHANGED.wait(waiters)),
            Some(at) if at > now => drop(CHANGED.wait_timeout(waiters, at - now)),
            Some(_) => {
                let due = waiters.wakers.pop_first();
                drop(waiters);
                // Whoever is woken may panic, which is nothing to the others.
                let _woken = due.map(|(_, waker)| guard(|| waker.wake()));
            }
        }
    }
}
