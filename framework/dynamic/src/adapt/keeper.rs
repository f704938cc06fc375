//! [`Keeper`], an instance that is called, given up when it panics, and made again.
//!
//! A call is made on this thread, or on one that may block if the component says that it does.
//! It is answered at once, without an allocation, or waited for until its time is over. An
//! instance that panicked is not called again: callers get an error at once, and after a pause,
//! which doubles every time, one of them begins to make another in the background.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::{Either, select};
use larder_abi::table::{CancelFn, PlainFn, cap};
use larder_abi::{Status, call};
use larder_core::{Clock, Result};

use super::args::{Args, deadline_us};
use super::failure::{self, Failure};
use super::instance::{Instance, Recipe};
use super::output::{Answer, Lent, Output};
use crate::host::instances::Identity;
use crate::host::log;
use crate::host::ops::{CallSlot, Pending};

mod recovery;

use recovery::Recovery;

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
    /// Replaced after a panic, when no call on this thread uses it.
    instance: RwLock<Arc<Instance>>,
    /// Whether background work was begun, and has to be begun again in another instance.
    is_started: AtomicBool,
    recovery: Mutex<Recovery>,
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
}

impl<O> Drop for Waiting<O> {
    fn drop(&mut self) {
        let is_given_up = self.pending.give_up();
        if let (true, Some(cancel)) = (is_given_up, self.cancel)
            && !self.instance.identity().is_poisoned()
        {
            // SAFETY: the instance lives as long as this, and the function may be called from any
            // thread.
            unsafe { cancel(self.instance.this(), self.token) };
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
        let making = on_a_blocking_thread(move || {
            let made = recipe.make();
            (recipe, made)
        });
        let (recipe, made) = making.await?;
        let instance = RwLock::new(Arc::new(made?));
        let recovery = Mutex::new(Recovery::new(manner.clock.now()));
        let is_started = AtomicBool::new(false);
        Ok(Arc::new(Self { table, recipe, manner, instance, is_started, recovery }))
    }

    fn recovery(&self) -> MutexGuard<'_, Recovery> {
        self.recovery.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn instance(&self) -> Arc<Instance> {
        Arc::clone(&self.instance.read().unwrap_or_else(PoisonError::into_inner))
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
        Arc::clone(self.instance().identity())
    }

    /// Begins background work, in this instance and in all that take its place.
    pub(crate) async fn start(self: &Arc<Self>) -> Answer<()> {
        self.is_started.store(true, Ordering::Release);
        let instance = self.instance();
        self.start_one(&instance).await
    }

    async fn start_one(&self, instance: &Arc<Instance>) -> Answer<()> {
        let Some(start) = self.manner.start else { return Answer::Done(()) };
        let outcome = self.call::<()>(instance, |this, call, _, error| {
            // SAFETY: the table was checked when it was loaded; the call and the error are live.
            unsafe { start(this, call, error) }
        });
        self.finish(outcome).await
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
        let outcome = if self.manner.caps & cap::BLOCKING == 0 {
            self.call_here(&args, run)
        } else {
            self.call_there(args.into_owned(), run).await
        };
        self.finish(outcome).await
    }

    async fn finish<O>(&self, outcome: Outcome<O>) -> Answer<O> {
        match outcome {
            Outcome::Now(answer) => answer,
            Outcome::Later(mut waiting) => {
                let answered = self.within(&mut waiting.pending).await;
                let answer = answered.unwrap_or_else(|| self.overdue());
                note_panic(&answer, &waiting.instance);
                answer
            }
        }
    }

    fn overdue<O>(&self) -> Answer<O> {
        let limit = self.manner.timeout;
        let message = format!("the plugin did not answer within `{limit:?}`");
        Answer::Failed(Failure::ours(Status::TIMEOUT, message))
    }

    /// What a future comes to, if that is in time.
    async fn within<T>(&self, future: impl Future<Output = T> + Unpin) -> Option<T> {
        match select(future, self.manner.clock.sleep(self.manner.timeout)).await {
            Either::Left((done, _)) => Some(done),
            Either::Right(_) => None,
        }
    }

    /// Makes a call on a thread that may block.
    async fn call_there<O: Output>(
        self: &Arc<Self>,
        args: Args<'static>,
        run: Run<V, O>,
    ) -> Outcome<O> {
        let (keeper, instance) = (Arc::clone(self), self.instance());
        if instance.identity().is_poisoned() {
            return Outcome::Now(self.refuse());
        }
        let called = on_a_blocking_thread(move || keeper.call_with(&instance, &args, run));
        match self.within(Box::pin(called)).await {
            Some(Ok(outcome)) => outcome,
            Some(Err(failure)) => Outcome::Now(Answer::Failed(failure)),
            None => Outcome::Now(self.overdue()),
        }
    }

    /// Makes a call on this thread, without an allocation if it is answered at once.
    fn call_here<O: Output>(self: &Arc<Self>, args: &Args<'_>, run: Run<V, O>) -> Outcome<O> {
        let instance = self.instance.read().unwrap_or_else(PoisonError::into_inner);
        if instance.identity().is_poisoned() {
            drop(instance);
            return Outcome::Now(self.refuse());
        }
        self.call_with(&instance, args, run)
    }

    fn call_with<O: Output>(
        &self,
        instance: &Arc<Instance>,
        args: &Args<'_>,
        run: Run<V, O>,
    ) -> Outcome<O> {
        let mut room = O::Room::default();
        let mut blank = O::blank(&mut room, args);
        let (lent, out) = (O::lent(&blank), &raw mut blank);
        self.call_into(instance, (out, lent), |this, call, error| {
            run(self.table, this, call, args, out, error)
        })
    }

    fn call<O: Output>(
        &self,
        instance: &Arc<Instance>,
        run: impl FnOnce(*mut c_void, *const call::Call, *mut O::Raw, *mut call::Error) -> Status,
    ) -> Outcome<O> {
        let mut room = O::Room::default();
        let mut blank = O::blank(&mut room, &Args::default());
        let (lent, out) = (O::lent(&blank), &raw mut blank);
        self.call_into(instance, (out, lent), |this, call, error| run(this, call, out, error))
    }

    /// Makes a call whose output goes to `out`, which must be live.
    fn call_into<O: Output>(
        &self,
        instance: &Arc<Instance>,
        (out, lent): (*mut O::Raw, Lent),
        run: impl FnOnce(*mut c_void, *const call::Call, *mut call::Error) -> Status,
    ) -> Outcome<O> {
        log::refresh();
        let slot = CallSlot::<O>::new(lent);
        let may_wait = self.manner.caps & cap::SYNC == 0;
        let now = self.manner.clock.wall();
        let call = call::Call {
            struct_size: size_of::<call::Call>() as u32,
            flags: 0,
            now_us: deadline_us(Some(now)),
            deadline_us: deadline_us(Some(now.after(self.manner.timeout))),
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
            return Outcome::Later(Waiting { pending, instance, token, cancel });
        }
        // SAFETY: both are ours, filled in by the call, and read for the first time.
        let answer = unsafe { Answer::taken(status, out, &raw const error, &lent) };
        note_panic(&answer, instance);
        Outcome::Now(answer)
    }
}

/// An instance that panicked is given up.
fn note_panic<O>(answer: &Answer<O>, instance: &Instance) {
    if matches!(answer, Answer::Failed(failure) if failure.status == Status::PANICKED) {
        instance.identity().poison();
    }
}

/// What a function comes to that may block; on this thread where there is no runtime.
async fn on_a_blocking_thread<T: Send + 'static>(
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    match tokio::runtime::Handle::try_current() {
        Err(_) => Ok(run()),
        Ok(runtime) => runtime
            .spawn_blocking(run)
            .await
            .map_err(|error| Failure::ours(Status::CLOSED, error.to_string())),
    }
}
