//! Calls that nobody waits for, or not for long: that an instance ends, and that nobody waits for
//! one of its answers any more.
//!
//! They are made on threads of their own. A library that does not return from such a call keeps
//! one of these threads, and the instance with it, for ever; who dropped the instance goes on, and
//! an [`Alarm`] names it. The threads of a runtime would not do, for a runtime waits for them when
//! it ends.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use larder_core::telemetry::{PLUGIN_STUCK, TARGET};
use tracing::Dispatch;
use tracing::dispatcher::{get_default, with_default};

use super::keeper::timer::Timer;
use crate::guard::guard;
use crate::host::instances::Identity;

/// How long a thread that has nothing to do stays.
const IDLE: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

struct Pool {
    jobs: VecDeque<Job>,
    /// How many threads wait for one.
    idle: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { jobs: VecDeque::new(), idle: 0 });

/// There is a job.
static OFFERED: Condvar = Condvar::new();

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has another thread run a function, at once.
///
/// # Errors
///
/// When there is no thread for it: then it is dropped.
pub(super) fn aside(job: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let mut pool = pool();
    pool.jobs.push_back(Box::new(job));
    if pool.idle >= pool.jobs.len() {
        OFFERED.notify_one();
        return Ok(());
    }
    let thread = std::thread::Builder::new().name("larder-aside".to_owned());
    if let Err(error) = thread.spawn(work) {
        let job = pool.jobs.pop_back();
        // What the job owns may come back here when it is dropped.
        drop(pool);
        drop(job);
        return Err(error);
    }
    Ok(())
}

fn work() {
    let mut pool = pool();
    loop {
        if let Some(job) = pool.jobs.pop_front() {
            drop(pool);
            // Nobody is left to hear of a panic: the hook of the program was told.
            let _done = guard(job);
            pool = self::pool();
            continue;
        }
        pool.idle += 1;
        let waited = OFFERED.wait_timeout(pool, IDLE).unwrap_or_else(PoisonError::into_inner);
        pool = waited.0;
        pool.idle -= 1;
        if waited.1.timed_out() && pool.jobs.is_empty() {
            return;
        }
    }
}

/// Names an instance whose library does not return from a call, unless it is dropped before.
pub(crate) struct Alarm(Timer);

impl Alarm {
    pub(super) fn new(
        instance: (&Arc<Identity>, u64),
        operation: &'static str,
        patience: Duration,
    ) -> Self {
        let stuck = Waker::from(Arc::new(Stuck::new(instance, operation, patience)));
        let mut timer = Timer::new(patience);
        // Nobody asks the timer again: what it wakes up is what says it.
        let _unneeded = Pin::new(&mut timer).poll(&mut Context::from_waker(&stuck));
        Self(timer)
    }
}

impl std::fmt::Debug for Alarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Alarm").field(&self.0).finish()
    }
}

/// An instance whose library does not return.
struct Stuck {
    identity: Arc<Identity>,
    number: u64,
    operation: &'static str,
    patience: Duration,
    /// Who listened where the call was asked for.
    listener: Dispatch,
}

impl Stuck {
    fn new(
        (identity, number): (&Arc<Identity>, u64),
        operation: &'static str,
        patience: Duration,
    ) -> Self {
        let listener = get_default(Dispatch::clone);
        Self { identity: Arc::clone(identity), number, operation, patience, listener }
    }

    fn say(&self) {
        let Identity { plugin, component, cache, .. } = &*self.identity;
        let Self { number, operation, patience, .. } = self;
        with_default(&self.listener, || {
            tracing::warn!(
                target: TARGET, plugin, component, %cache, instance = number, operation, ?patience,
                hint = "it is left behind with a thread; tell the author of the plugin",
                "{PLUGIN_STUCK}"
            );
        });
    }
}

impl Wake for Stuck {
    fn wake(self: Arc<Self>) {
        self.say();
    }
}

/// Names an instance that could not even be ended, for want of a thread.
pub(super) fn say_stuck(instance: (&Arc<Identity>, u64), operation: &'static str) {
    Stuck::new(instance, operation, Duration::ZERO).say();
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::aside;

    /// Long enough for any machine.
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_job_that_hangs_or_panics_does_not_hold_up_others() {
        let (release, hanging) = mpsc::channel::<()>();
        let (done, results) = mpsc::channel();
        aside(move || hanging.recv().unwrap_or_default()).unwrap();
        aside(|| panic!("a job may")).unwrap();
        for number in 0..20 {
            let done = done.clone();
            aside(move || done.send(number).unwrap()).unwrap();
        }
        let mut found: Vec<i32> =
            (0..20).map(|_| results.recv_timeout(MINUTE).expect("it is run")).collect();
        found.sort_unstable();
        assert_eq!(found, Vec::from_iter(0..20));
        drop(release);
    }
}
