//! [`answer`], a future of a trait as an answer now or later.

use std::ffi::c_void;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use larder_abi::call::{Call, Error};
use larder_abi::{Status, read_extensible};
use larder_core::Result;

use super::instance::{Guest, Here, guest, or_say};
use super::reply::{self, Reply};
use super::runtime::{host, runtime};
use crate::adapt::failure;
use crate::guard::guard;

/// A future that works for an instance whenever it is polled, and when it is dropped.
struct At<F> {
    number: u64,
    /// There until it is dropped.
    future: Option<F>,
}

impl<F: Future + Unpin> Future for At<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _here = Here::new(self.number);
        match &mut self.future {
            Some(future) => Pin::new(future).poll(context),
            None => Poll::Pending,
        }
    }
}

/// Whoever drops it, a runtime or the host, knows nothing of its panics.
impl<F> Drop for At<F> {
    fn drop(&mut self) {
        let _here = Here::new(self.number);
        let future = self.future.take();
        or_say(self.number, guard(|| drop(future)));
    }
}

/// Begins a future, and answers with what it comes to: at once if it is ready when it is polled
/// for the first time, else from a task on the runtime of the library.
///
/// # Safety
///
/// The pointers must be those of a call of the header to an instance of this type.
pub(crate) unsafe fn answer<T, R, B>(
    (this, call, out, error): (*mut c_void, *const Call, *mut R::Raw, *mut Error),
    begin: B,
) -> Status
where
    T: ?Sized + Send + Sync + 'static,
    R: Reply,
    B: FnOnce(Arc<T>) -> Result<BoxFuture<'static, Result<R>>>,
{
    let answered = guard(|| {
        // SAFETY: the caller says so.
        let guest = unsafe { guest::<T>(this) };
        // SAFETY: the caller says so.
        let Ok(known) = (unsafe { read_extensible(call) }) else { return Status::BROKEN };
        guest.clock.set(known.now_us);
        let begun = begin(Arc::clone(&guest.plugin));
        let future = match begun {
            Ok(future) => future,
            // SAFETY: the caller says so.
            Err(failed) => return unsafe { reply::refuse(error, &failed) },
        };
        let mut future = At { number: guest.number, future: Some(future) };
        let _runtime = runtime().enter();
        match Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop())) {
            // SAFETY: the caller says so.
            Poll::Ready(result) => unsafe { reply::write(result, out, error) },
            // SAFETY: the caller says so.
            Poll::Pending => unsafe { defer(guest, call, future) },
        }
    });
    match answered {
        Ok(status) => status,
        // SAFETY: the caller says so.
        Err(panic) => unsafe { reply::panicked(error, panic) },
    }
}

/// Answers with what a plugin has at hand, which takes no future; `None` if it has to be asked for
/// one, and then nothing was put out.
///
/// # Safety
///
/// As of [`answer`].
pub(crate) unsafe fn answer_now<T, R>(
    (this, call, out, error): (*mut c_void, *const Call, *mut R::Raw, *mut Error),
    ask: impl FnOnce(&T) -> Option<Result<R>>,
) -> Option<Status>
where
    T: ?Sized,
    R: Reply,
{
    let answered = guard(|| {
        // SAFETY: the caller says so.
        let guest = unsafe { guest::<T>(this) };
        // SAFETY: the caller says so.
        let Ok(known) = (unsafe { read_extensible(call) }) else { return Some(Status::BROKEN) };
        guest.clock.set(known.now_us);
        let _here = Here::new(guest.number);
        let result = ask(&guest.plugin)?;
        // SAFETY: the caller says so.
        Some(unsafe { reply::write(result, out, error) })
    });
    match answered {
        Ok(status) => status,
        // SAFETY: the caller says so.
        Err(panic) => Some(unsafe { reply::panicked(error, panic) }),
    }
}

/// Goes on in a task, which polls again at once, so no waking up is lost.
///
/// # Safety
///
/// `call` must be the call that is running.
unsafe fn defer<T, R>(
    guest: &Arc<Guest<T>>,
    call: *const Call,
    future: At<BoxFuture<'static, Result<R>>>,
) -> Status
where
    T: ?Sized + Send + Sync + 'static,
    R: Reply,
{
    let Some(op_defer) = host().and_then(|host| host.op_defer) else { return Status::BUSY };
    let token = guest.token();
    // SAFETY: the caller says so.
    let op = unsafe { op_defer(call, token) };
    if op == 0 {
        return Status::BUSY;
    }
    let debt = Debt(op);
    let working = Arc::clone(guest);
    // The task looks for itself in the list only after it was written there.
    let mut tasks = guest.tasks();
    let task = runtime().spawn(async move {
        let debt = debt;
        let result = AssertUnwindSafe(future).catch_unwind().await;
        working.tasks().remove(&token);
        match result {
            Ok(result) => debt.pay(result),
            Err(payload) => {
                let message = guard(|| std::panic::resume_unwind(payload));
                debt.panicked(message.err().unwrap_or_default());
            }
        }
    });
    tasks.insert(token, task.abort_handle());
    Status::PENDING
}

/// An answer that the host waits for. A task that is stopped answers that it was.
struct Debt(u64);

impl Debt {
    fn pay<R: Reply>(self, result: Result<R>) {
        let (mut out, mut error) = (R::blank(), failure::blank());
        // SAFETY: both are ours and live.
        let status = unsafe { reply::write(result, &raw mut out, &raw mut error) };
        if !self.complete(status, (&raw mut out).cast(), &error) {
            R::take_back(&out);
        }
        R::free(&out);
    }

    fn panicked(self, message: String) {
        let mut error = failure::blank();
        // SAFETY: it is ours and live.
        let status = unsafe { reply::panicked(&raw mut error, message) };
        self.complete(status, std::ptr::null_mut(), &error);
    }

    /// Whether the host took it over; else the error is released, and the output is ours.
    fn complete(self, status: Status, out: *mut c_void, error: &Error) -> bool {
        let op = self.0;
        std::mem::forget(self);
        let complete = host().and_then(|host| host.op_complete);
        let said = complete.map_or(Status::CLOSED, |complete| {
            // SAFETY: the output is the one of this operation, and both live during the call.
            unsafe { complete(op, status, out, &raw const *error) }
        });
        if said != Status::OK {
            reply::take_back_error(error);
        }
        said == Status::OK
    }
}

impl Drop for Debt {
    fn drop(&mut self) {
        let error = failure::blank();
        Self(self.0).complete(Status::CANCELLED, std::ptr::null_mut(), &error);
    }
}

/// The host waits no more for the task of this token.
///
/// # Safety
///
/// `this` must be an instance of this type.
pub(crate) unsafe extern "C" fn cancel<T: ?Sized>(this: *mut c_void, token: u64) {
    // SAFETY: the caller says so.
    let guest = unsafe { guest::<T>(this) };
    let stopped = guard(|| {
        let task = guest.tasks().remove(&token);
        task.iter().for_each(tokio::task::AbortHandle::abort);
    });
    or_say(guest.number, stopped);
}
