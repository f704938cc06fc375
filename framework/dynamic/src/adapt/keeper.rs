//! [`Keeper`], an instance that is called, given up when it panics, and made again.
//!
//! A call is made on this thread, or on one that may block if the component says that it does.
//! It is answered at once, without an allocation, or waited for until its time is over. An
//! instance that panicked is not called again: callers get an error at once, and after a pause,
//! which doubles every time, one of them begins to make another in the background.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use larder_abi::table::{CancelFn, PlainFn, cap};
use larder_abi::{NEVER, Status, call};
use larder_core::{Clock, Moment, Result, Timestamp};
use tokio::sync::{Semaphore, oneshot};

use super::args::{Args, More, deadline_us};
use super::aside::aside;
use super::failure::{self, Failure};
use super::instance::{Instance, Kept, Recipe};
use super::output::{Answer, Lent, Output};
use crate::host::instances::Identity;
use crate::host::log;
use crate::host::ops::{CallSlot, Pending};
use crate::host::sinks::lent;

mod at;
mod mark;
mod now;
mod place;
mod recovery;
mod threads;
pub(super) mod timer;

use place::Place;
use recovery::Recovery;
pub(crate) use threads::{before, on_a_blocking_thread};

/// How many calls of one instance may take threads that may block, or wait for one.
const MOST_THREADS: usize = 64;

/// Calls a function of a table, and says how it ended.
pub(crate) type Run<V, O> = fn(
    &V,
    *mut c_void,
    *const call::Call,
    &Args<'_>,
    *mut <O as Output>::Raw,
    *mut call::Error,
) -> Status;

/// How calls are made.
#[derive(Debug)]
pub(crate) struct Manner {
    /// The capabilities of the header.
    pub(crate) caps: u64,
    pub(crate) start: Option<PlainFn>,
    pub(crate) cancel: Option<CancelFn>,
    /// How long a call may take.
    pub(crate) timeout: Duration,
    pub(crate) clock: Arc<dyn Clock>,
}

/// An instance, and what it takes to make another.
#[derive(Debug)]
pub(crate) struct Keeper<V: 'static> {
    table: &'static V,
    recipe: Recipe,
    manner: Manner,
    /// Who is called: the same for all instances.
    of: Arc<Identity>,
    /// None while another is made after a panic. Every call looks here.
    instance: Place<Instance>,
    /// How long a call may take, in microseconds.
    timeout_us: i64,
    threads: Arc<Semaphore>,
    /// Whether background work was begun, and has to be begun again in another instance.
    is_started: AtomicBool,
    recovery: Mutex<Recovery>,
}

/// When a call was made, and when its time is over: in the queue, in the call and in the wait for
/// its answer.
#[derive(Clone, Copy, Debug)]
struct Due {
    asked: Timestamp,
    limit: Duration,
    at: Moment,
}

/// What a call came to on its thread.
enum Outcome<O> {
    Now(Answer<O>),
    Later(Waiting<O>),
}

/// An answer that is waited for. When nobody does any more, the library is told.
struct Waiting<O> {
    pending: Pending<O>,
    instance: Arc<Instance>,
    token: u64,
    cancel: Option<CancelFn>,
    kept: Kept,
}

impl<O> Drop for Waiting<O> {
    fn drop(&mut self) {
        let is_given_up = self.pending.give_up();
        if let (true, Some(cancel)) = (is_given_up, self.cancel)
            && !self.instance.identity().is_poisoned()
        {
            self.instance.cancel(cancel, self.token, self.kept.take());
        }
    }
}

impl<V: Send + Sync> Keeper<V> {
    /// Makes the first instance. That may block, so a thread for it does it.
    pub(crate) async fn make(
        table: &'static V,
        recipe: Recipe,
        manner: Manner,
    ) -> Result<Arc<Self>, Failure> {
        let made = made(&recipe, manner.timeout).await?;
        let of = Arc::clone(made.identity());
        let instance = Place::new(made);
        let timeout_us = i64::try_from(manner.timeout.as_micros()).unwrap_or(NEVER);
        let threads = Arc::new(Semaphore::new(MOST_THREADS));
        let recovery = Mutex::new(Recovery::new(manner.clock.now()));
        let is_started = AtomicBool::new(false);
        Ok(Arc::new(Self {
            table,
            recipe,
            manner,
            of,
            instance,
            timeout_us,
            threads,
            is_started,
            recovery,
        }))
    }

    fn recovery(&self) -> MutexGuard<'_, Recovery> {
        self.recovery.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The instance, unless it is given up.
    fn instance(&self) -> Option<Arc<Instance>> {
        self.instance.get().filter(|instance| !instance.identity().is_poisoned())
    }

    fn due(&self) -> Due {
        self.due_after(self.manner.timeout)
    }

    fn due_after(&self, limit: Duration) -> Due {
        let clock = &self.manner.clock;
        Due { asked: clock.wall(), limit, at: clock.now().after(limit) }
    }

    fn may_block(&self) -> bool {
        self.manner.caps & cap::BLOCKING != 0
    }

    /// The table of the component.
    pub(crate) fn table(&self) -> &'static V {
        self.table
    }

    /// The time.
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.manner.clock
    }

    /// Who is called.
    pub(crate) fn identity(&self) -> Arc<Identity> {
        Arc::clone(&self.of)
    }

    /// Begins background work, in this instance and in all that take its place.
    pub(crate) async fn start(self: &Arc<Self>) -> Answer<()> {
        self.is_started.store(true, Ordering::Release);
        let Some(instance) = self.instance() else { return self.refuse() };
        self.start_one(&instance).await
    }

    /// Remembers that the background work has been stopped, so that no instance begins it again.
    pub(crate) fn note_stop(&self) {
        self.is_started.store(false, Ordering::Release);
    }

    async fn start_one(self: &Arc<Self>, instance: &Arc<Instance>) -> Answer<()> {
        let Some(start) = self.manner.start else { return Answer::Done(()) };
        let due = self.due();
        let (keeper, instance) = (Arc::clone(self), Arc::clone(instance));
        let run = move || {
            keeper.call::<()>(&instance, due, |this, call, _, error| {
                // SAFETY: the table was checked when it was loaded; what is passed is live.
                unsafe { start(this, call, error) }
            })
        };
        let outcome = if self.may_block() { self.there(due, run).await } else { lent(run) };
        self.finish(outcome, due).await
    }

    /// Calls a function of the table and waits for its answer.
    ///
    /// # Cancellation
    ///
    /// The library is told that nobody waits any more, and its answer is refused.
    pub(crate) async fn ask<O: Output>(
        self: &Arc<Self>,
        args: Args<'_>,
        run: Run<V, O>,
    ) -> Answer<O> {
        let due = self.due();
        let outcome = if self.may_block() {
            self.call_there(due, args.into_owned(), run).await
        } else {
            self.call_here(due, &args, run)
        };
        self.finish(outcome, due).await
    }

    async fn finish<O>(&self, outcome: Outcome<O>, due: Due) -> Answer<O> {
        match outcome {
            Outcome::Now(answer) => answer,
            Outcome::Later(mut waiting) => {
                let answered = before(&self.manner.clock, due.at, &mut waiting.pending).await;
                let answer = answered.unwrap_or_else(|| overdue(due));
                note_panic(&answer, &waiting.instance);
                answer
            }
        }
    }

    /// Makes a call on a thread that may block.
    async fn call_there<O: Output>(
        self: &Arc<Self>,
        due: Due,
        args: Args<'static>,
        run: Run<V, O>,
    ) -> Outcome<O> {
        let Some(instance) = self.instance() else { return Outcome::Now(self.refuse()) };
        let keeper = Arc::clone(self);
        self.there(due, move || keeper.call_with(&instance, due, &args, run)).await
    }

    /// Has a thread that may block make a call, unless nobody waits any more when its turn comes.
    async fn there<O: Output>(
        self: &Arc<Self>,
        due: Due,
        run: impl FnOnce() -> Outcome<O> + Send + 'static,
    ) -> Outcome<O> {
        let Ok(permit) = Arc::clone(&self.threads).try_acquire_owned() else {
            let message = format!("`{MOST_THREADS}` calls of it wait or run");
            return Outcome::Now(Answer::Failed(Failure::ours(Status::BUSY, message)));
        };
        let keeper = Arc::clone(self);
        let called = on_a_blocking_thread(move || {
            let _permit = permit;
            let is_over = keeper.manner.clock.now() >= due.at;
            if is_over { Outcome::Now(overdue(due)) } else { run() }
        });
        match before(&self.manner.clock, due.at, Box::pin(called)).await {
            Some(Ok(outcome)) => outcome,
            Some(Err(failure)) => Outcome::Now(Answer::Failed(failure)),
            None => Outcome::Now(overdue(due)),
        }
    }

    /// Makes a call on this thread, without an allocation if it is answered at once.
    fn call_here<O: Output>(
        self: &Arc<Self>,
        due: Due,
        args: &Args<'_>,
        run: Run<V, O>,
    ) -> Outcome<O> {
        let Some(instance) = self.instance() else { return Outcome::Now(self.refuse()) };
        self.call_with(&instance, due, args, run)
    }

    fn call_with<O: Output>(
        &self,
        instance: &Arc<Instance>,
        due: Due,
        args: &Args<'_>,
        run: Run<V, O>,
    ) -> Outcome<O> {
        let mut room = O::Room::default();
        let mut blank = O::blank(&mut room, args);
        let (lent, out) = (O::lent(&blank), &raw mut blank);
        let mut outcome = self.call_into(instance, due, (out, lent), |this, call, error| {
            run(self.table, this, call, args, out, error)
        });
        if let (Outcome::Later(waiting), Some(More::Run(run))) =
            (&mut outcome, args.more.as_deref())
        {
            waiting.kept = Some(Arc::clone(run));
        }
        outcome
    }

    fn call<O: Output>(
        &self,
        instance: &Arc<Instance>,
        due: Due,
        run: impl FnOnce(*mut c_void, *const call::Call, *mut O::Raw, *mut call::Error) -> Status,
    ) -> Outcome<O> {
        let mut room = O::Room::default();
        let mut blank = O::blank(&mut room, &Args::default());
        let (lent, out) = (O::lent(&blank), &raw mut blank);
        self.call_into(instance, due, (out, lent), |this, call, error| run(this, call, out, error))
    }

    /// Makes a call whose output goes to `out`, which must be live.
    fn call_into<O: Output>(
        &self,
        instance: &Arc<Instance>,
        due: Due,
        (out, lent): (*mut O::Raw, Lent),
        run: impl FnOnce(*mut c_void, *const call::Call, *mut call::Error) -> Status,
    ) -> Outcome<O> {
        log::refresh();
        let slot = CallSlot::<O>::new(lent);
        let may_wait = self.manner.caps & cap::SYNC == 0;
        // A call that may block has waited for its thread.
        let now = if self.may_block() { self.manner.clock.wall() } else { due.asked };
        let call = call::Call {
            struct_size: size_of::<call::Call>() as u32,
            flags: 0,
            now_us: deadline_us(Some(now)),
            deadline_us: deadline_us(Some(due.asked.after(due.limit))),
            traceparent: std::ptr::null(),
            slot: if may_wait { slot.as_ptr() } else { std::ptr::null_mut() },
        };
        let mut error = failure::blank();
        let status = run(instance.this(), &raw const call, &raw mut error);
        // An operation that was asked for and not used ends here.
        let deferred = slot.into_pending();
        if status == Status::PENDING {
            let Some((pending, token)) = deferred else {
                // SAFETY: as below.
                drop(unsafe { Answer::<O>::taken(status, out, &raw const error, &lent) });
                let message = "it said `pending` without `op_defer`";
                return Outcome::Now(Answer::broken(message));
            };
            let (instance, cancel) = (Arc::clone(instance), self.manner.cancel);
            return Outcome::Later(Waiting { pending, instance, token, cancel, kept: None });
        }
        // SAFETY: both are ours, filled in by the call, and read for the first time.
        let answer = unsafe { Answer::taken(status, out, &raw const error, &lent) };
        note_panic(&answer, instance);
        Outcome::Now(answer)
    }
}

/// Makes an instance. That may block, so a thread for it does it. It is none of a runtime, which
/// would wait when it ends for a library that does not return.
pub(super) async fn made(recipe: &Recipe, timeout: Duration) -> Result<Instance, Failure> {
    // Nobody else waits for this thread where there is no runtime.
    let has_runtime = tokio::runtime::Handle::try_current().is_ok();
    if !has_runtime && !recipe.may_block {
        return recipe.make();
    }
    let (recipe, clock) = (recipe.clone(), Arc::clone(&recipe.clock));
    let (sender, made) = oneshot::channel();
    let making = aside(move || drop(sender.send(recipe.make())));
    making.map_err(|error| Failure::ours(Status::BUSY, error.to_string()))?;
    let due = clock.now().after(timeout);
    let Some(made) = before(&clock, due, made).await else {
        let message = format!("the plugin did not make it within `{timeout:?}`");
        return Err(Failure::ours(Status::TIMEOUT, message));
    };
    made.map_err(|_| Failure::ours(Status::CLOSED, "its thread ended before the call"))?
}

fn overdue<O>(due: Due) -> Answer<O> {
    let message = format!("the plugin did not answer within `{:?}`", due.limit);
    Answer::Failed(Failure::ours(Status::TIMEOUT, message))
}

/// An instance that panicked is given up.
fn note_panic<O>(answer: &Answer<O>, instance: &Instance) {
    if matches!(answer, Answer::Failed(failure) if failure.status == Status::PANICKED) {
        instance.identity().poison();
    }
}
