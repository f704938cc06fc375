//! Answers that come later: a function of a library asks for an operation (`op_defer`), and
//! answers it from any thread (`op_complete`).
//!
//! An operation is a number that is never used again, in a table. Whoever takes it out of the
//! table decides what becomes of it: the library by its answer, or the waiting future when it is
//! dropped or its time is over. The other one comes too late, and then the table says so: an
//! answer that is refused still belongs to the library. Nothing is left behind either way.

use std::collections::HashMap;
use std::ffi::c_void;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use larder_abi::{Status, call};

use super::or_broken;
use crate::adapt::output::{Answer, Lent, Output};
use crate::guard::guard;

/// Few enough to be small, many enough that threads seldom meet.
const SHARDS: usize = 16;

/// An operation as the table has it: any type of output.
trait Settle: Send + Sync {
    /// Takes the answer.
    ///
    /// # Safety
    ///
    /// `out` and `error` are what the library gave to `op_complete`, as the header says.
    unsafe fn settle(&self, status: Status, out: *mut c_void, error: *const call::Error);
}

type Shard = Mutex<HashMap<u64, Arc<dyn Settle>>>;

fn shard(number: u64) -> MutexGuard<'static, HashMap<u64, Arc<dyn Settle>>> {
    static TABLE: LazyLock<[Shard; SHARDS]> = LazyLock::new(Default::default);
    let index = usize::try_from(number).unwrap_or_default() % SHARDS;
    TABLE[index].lock().unwrap_or_else(PoisonError::into_inner)
}

enum State<O> {
    Waiting(Option<Waker>),
    Answered(Answer<O>),
    Taken,
}

/// An operation of one type of output.
struct Op<O> {
    state: Mutex<State<O>>,
    lent: Lent,
}

impl<O> Op<O> {
    fn state(&self) -> MutexGuard<'_, State<O>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<O: Output> Settle for Op<O> {
    unsafe fn settle(&self, status: Status, out: *mut c_void, error: *const call::Error) {
        // SAFETY: the caller says so.
        let answer =
            guard(|| unsafe { Answer::taken(status, out.cast::<O::Raw>(), error, &self.lent) });
        let answer = answer.unwrap_or_else(Answer::broken);
        let before = std::mem::replace(&mut *self.state(), State::Answered(answer));
        if let State::Waiting(Some(waker)) = before {
            waker.wake();
        }
    }
}

/// Begins what `larder_call.slot` points to: what to do is known by its type alone.
#[repr(C)]
struct Head {
    defer: unsafe fn(*const c_void, u64) -> u64,
}

/// Where a call keeps its operation, if it asks for one.
#[repr(C)]
pub(crate) struct CallSlot<O> {
    head: Head,
    lent: Lent,
    op: OnceLock<Deferred<O>>,
}

/// What a call asked for.
struct Deferred<O> {
    number: u64,
    op: Arc<Op<O>>,
    token: u64,
}

impl<O: Output> CallSlot<O> {
    /// For a call that lends this.
    pub(crate) fn new(lent: Lent) -> Self {
        Self { head: Head { defer: defer::<O> }, lent: lent.later(), op: OnceLock::new() }
    }

    /// For `larder_call.slot`; to be used while this lives.
    pub(crate) fn as_ptr(&self) -> *mut c_void {
        (&raw const *self).cast_mut().cast()
    }

    /// The operation that the call asked for, and the token that the library knows it by.
    pub(crate) fn into_pending(self) -> Option<(Pending<O>, u64)> {
        let Deferred { number, op, token } = self.op.into_inner()?;
        Some((Pending { number, op }, token))
    }
}

/// Makes an operation, once for each call.
///
/// # Safety
///
/// `slot` must point to a [`CallSlot`] of this type.
unsafe fn defer<O: Output>(slot: *const c_void, token: u64) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // SAFETY: the caller says so.
    let slot = unsafe { &*slot.cast::<CallSlot<O>>() };
    let mut given = 0;
    slot.op.get_or_init(|| {
        given = NEXT.fetch_add(1, Ordering::Relaxed);
        let op = Arc::new(Op { state: Mutex::new(State::Waiting(None)), lent: slot.lent });
        shard(given).insert(given, Arc::clone(&op) as Arc<dyn Settle>);
        Deferred { number: given, op, token }
    });
    given
}

/// Waits for an answer. Dropping it means that nobody waits any more.
pub(crate) struct Pending<O> {
    number: u64,
    op: Arc<Op<O>>,
}

impl<O> Pending<O> {
    /// Whether the answer, or that nobody waits for it, is settled.
    fn is_settled(&self) -> bool {
        !shard(self.number).contains_key(&self.number)
    }

    /// Whether an answer would be refused from now on, which nobody gave before.
    pub(crate) fn give_up(&self) -> bool {
        shard(self.number).remove(&self.number).is_some()
    }
}

impl<O> Future for Pending<O> {
    type Output = Answer<O>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.op.state();
        match std::mem::replace(&mut *state, State::Taken) {
            State::Answered(answer) => Poll::Ready(answer),
            State::Waiting(_) => {
                *state = State::Waiting(Some(context.waker().clone()));
                Poll::Pending
            }
            State::Taken => Poll::Ready(Answer::broken("the answer was taken before")),
        }
    }
}

impl<O> Drop for Pending<O> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl<O> std::fmt::Debug for Pending<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let settled = self.is_settled();
        f.debug_struct("Pending").field("number", &self.number).field("settled", &settled).finish()
    }
}

pub(super) unsafe extern "C" fn op_defer(call: *const call::Call, token: u64) -> u64 {
    let begun = guard(|| {
        // SAFETY: by the header the call is null or the one that is running.
        let slot = unsafe { call.as_ref() }.map_or(std::ptr::null_mut(), |call| call.slot);
        if slot.is_null() {
            return 0;
        }
        // SAFETY: the slot of a running call is a `CallSlot`, which begins with its head.
        let head = unsafe { &*slot.cast::<Head>() };
        // SAFETY: the head was made for the type of the slot.
        unsafe { (head.defer)(slot, token) }
    });
    begun.unwrap_or(0)
}

pub(super) unsafe extern "C" fn op_is_cancelled(op: u64) -> i32 {
    guard(|| i32::from(!shard(op).contains_key(&op))).unwrap_or(1)
}

pub(super) unsafe extern "C" fn op_complete(
    op: u64,
    status: Status,
    out: *mut c_void,
    error: *const call::Error,
) -> Status {
    or_broken(|| {
        let Some(found) = shard(op).remove(&op) else { return Status::CLOSED };
        // The answer is ours from here on, so the library must not hear anything else, even if
        // who is woken up panics.
        let _settled = guard(move || {
            // SAFETY: by the header `out` is what this operation puts out, and `error` null or
            // valid.
            unsafe { found.settle(status, out, error) };
        });
        Status::OK
    })
}
