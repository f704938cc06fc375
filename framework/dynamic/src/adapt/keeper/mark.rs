//! [`Mark`], a word of each thread that says what the thread uses, so that nobody frees it.
//!
//! These are hazard pointers (Michael, "Hazard pointers: safe memory reclamation for lock-free
//! objects", 2004), one for each thread: a call within a call has none.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use larder_core::barrier::Barrier;

/// Two cache lines, as processors fetch lines in pairs.
#[repr(align(128))]
#[derive(Debug)]
pub(super) struct Mark {
    /// Null while the thread uses nothing. Only that thread writes it.
    used: AtomicPtr<()>,
    barrier: Barrier,
}

impl Mark {
    /// That of this thread, unless it is in use, or the thread is ending.
    #[inline]
    pub(super) fn of_thread() -> Option<&'static Self> {
        let mark = CURRENT.get().or_else(first)?;
        mark.used.load(Ordering::Relaxed).is_null().then_some(mark)
    }

    /// Says that this is used. It is, if it is still in reach afterwards.
    #[inline]
    pub(super) fn begin(&self, thing: *mut ()) {
        // Release: who sees this knows that what was used before is used no more.
        self.used.store(thing, Ordering::Release);
        self.barrier.light();
    }

    /// Nothing is used any more.
    #[inline]
    pub(super) fn end(&self) {
        self.used.store(ptr::null_mut(), Ordering::Release);
    }
}

/// Whether a thread may use this still, which was in reach, and is not any more.
pub(super) fn is_used(thing: *const ()) -> bool {
    let uses = |mark: &Mark| ptr::eq(mark.used.load(Ordering::Acquire), thing);
    !Barrier::of_process().heavy() || register().all.iter().copied().any(uses)
}

/// All marks, and those that no thread has.
static REGISTER: Mutex<Register> = Mutex::new(Register { all: Vec::new(), free: Vec::new() });

struct Register {
    all: Vec<&'static Mark>,
    free: Vec<&'static Mark>,
}

fn register() -> MutexGuard<'static, Register> {
    REGISTER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A mark while its thread lives. It is never freed, so there are as many as there ever were
/// threads at the same time.
struct Lease(&'static Mark);

impl Lease {
    fn new() -> Self {
        let mut register = register();
        let mark = register.free.pop().unwrap_or_else(|| {
            let (used, barrier) = (AtomicPtr::default(), Barrier::of_process());
            Box::leak(Box::new(Mark { used, barrier }))
        });
        if !register.all.iter().any(|known| ptr::eq(*known, mark)) {
            register.all.push(mark);
        }
        Self(mark)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        CURRENT.set(None);
        register().free.push(self.0);
    }
}

thread_local! {
    /// The mark of the thread. Apart from the lease, so that reading it needs no check.
    static CURRENT: Cell<Option<&'static Mark>> = const { Cell::new(None) };
    static LEASE: Lease = Lease::new();
}

#[cold]
fn first() -> Option<&'static Mark> {
    let mark = LEASE.try_with(|lease| lease.0).ok()?;
    CURRENT.set(Some(mark));
    Some(mark)
}
