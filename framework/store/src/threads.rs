//! [`Guard`], a thread in a read, and the register of all threads that ever were in one.
//!
//! Every thread leases a [`Thread`] while it lives: a number, for counters of its own, and the mark
//! that tells writers since when it reads. Both lie on a line that no other thread writes.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use larder_core::barrier::Barrier;

use crate::epoch::{Epoch, Mark};

/// What a thread has to itself. Two cache lines, as processors fetch lines in pairs.
#[repr(align(128))]
struct Thread {
    number: usize,
    mark: Mark,
    barrier: Barrier,
}

#[cfg(not(loom))]
static EPOCH: Epoch = Epoch::new();
/// Loom's models have an epoch of their own; this one only has to compile.
#[cfg(loom)]
static EPOCH: std::sync::LazyLock<Epoch> = std::sync::LazyLock::new(Epoch::new);

/// All threads, and those of them that nobody leases. The lock also orders what one owner of a
/// number did before what the next one does.
static REGISTER: Mutex<Register> = Mutex::new(Register { all: Vec::new(), free: BTreeMap::new() });

struct Register {
    all: Vec<&'static Thread>,
    free: BTreeMap<usize, &'static Thread>,
}

fn register() -> std::sync::MutexGuard<'static, Register> {
    REGISTER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the lowest number that no living thread has. What it leads to is never freed, so there
/// are as many of them as there ever were threads at the same time.
fn lease() -> &'static Thread {
    let mut register = register();
    if let Some((_, thread)) = register.free.pop_first() {
        return thread;
    }
    let number = register.all.len();
    let barrier = Barrier::of_process();
    let thread: &'static Thread =
        Box::leak(Box::new(Thread { number, mark: Mark::new(), barrier }));
    register.all.push(thread);
    thread
}

fn give_back(thread: &'static Thread) {
    register().free.insert(thread.number, thread);
}

/// Gives a number back at the end of its thread.
struct Lease(&'static Thread);

impl Drop for Lease {
    fn drop(&mut self) {
        CURRENT.set(None);
        give_back(self.0);
    }
}

thread_local! {
    /// The leased thread. Apart from the lease, so that reading it needs no check.
    static CURRENT: Cell<Option<&'static Thread>> = const { Cell::new(None) };
    static LEASE: Lease = Lease(lease());
}

/// How a guard came to its thread, and so what its end means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// It is inside of another guard of the same thread, which outlives it.
    Inner,
    Outermost,
    /// The thread is ending and has given its own number back; this one is for a single read.
    Lent,
}

/// A read. What is found in a table of this crate while it lives stays where it is.
///
/// Guards of one thread nest; they cannot go to another thread.
pub(crate) struct Guard {
    thread: &'static Thread,
    part: Part,
    /// Not `Send`: the mark belongs to this thread.
    not_send: PhantomData<*const ()>,
}

impl Guard {
    #[inline(always)]
    pub(crate) fn enter() -> Self {
        let Some(thread) = CURRENT.get() else {
            return Self::enter_first();
        };
        let is_outermost = EPOCH.enter(&thread.mark, thread.barrier);
        let part = if is_outermost { Part::Outermost } else { Part::Inner };
        Self { thread, part, not_send: PhantomData }
    }

    #[cold]
    fn enter_first() -> Self {
        let (thread, part) = match LEASE.try_with(|lease| lease.0) {
            Ok(thread) => {
                CURRENT.set(Some(thread));
                (thread, Part::Outermost)
            }
            Err(_) => (lease(), Part::Lent),
        };
        EPOCH.enter(&thread.mark, thread.barrier);
        Self { thread, part, not_send: PhantomData }
    }

    /// A number that no other living thread has.
    #[inline(always)]
    pub(crate) const fn thread_number(&self) -> usize {
        self.thread.number
    }
}

impl Drop for Guard {
    #[inline(always)]
    fn drop(&mut self) {
        if self.part != Part::Inner {
            self.thread.mark.leave();
            if self.part == Part::Lent {
                give_back(self.thread);
            }
        }
    }
}

/// The stamp of what the caller took out of reach, under a lock that it still holds; `None` when
/// nothing can be said of readers, so that nothing may be reclaimed.
pub(crate) fn close_period() -> Option<u64> {
    let stamp = EPOCH.close();
    Barrier::of_process().heavy().then_some(stamp)
}

/// Whether no thread is in a read that began before the stamp.
pub(crate) fn is_over(stamp: u64) -> bool {
    register().all.iter().all(|thread| !thread.mark.is_before(stamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_holds_a_period_open_until_the_outermost_ends() {
        let outer = Guard::enter();
        let stamp = close_period().expect("there is a barrier");
        assert!(!is_over(stamp));
        drop(Guard::enter());
        assert!(!is_over(stamp), "the inner guard must not end the outer");
        drop(outer);
        let _later = Guard::enter();
        // Other tests of this process may be in reads of their own.
        while !is_over(stamp) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn threads_that_live_together_have_numbers_of_their_own() {
        let both = std::sync::Barrier::new(2);
        let number = || {
            let number = Guard::enter().thread_number();
            both.wait();
            number
        };
        std::thread::scope(|scope| {
            let other = scope.spawn(number);
            let own = number();
            assert_ne!(own, other.join().unwrap());
        });
    }

    /// Uses the cache while the locals of its thread are being destroyed.
    struct Late;

    impl Drop for Late {
        fn drop(&mut self) {
            let guard = Guard::enter();
            let stamp = close_period().expect("there is a barrier");
            assert!(!is_over(stamp));
            drop(guard);
        }
    }

    thread_local! {
        static LATE: Cell<Option<Late>> = const { Cell::new(None) };
    }

    #[test]
    fn a_thread_may_read_while_it_ends() {
        let thread = std::thread::spawn(|| {
            // Destroyed in the order of first use, so the lease goes before it or after it.
            LATE.set(Some(Late));
            drop(Guard::enter());
        });
        thread.join().expect("a late read must not panic");
    }
}
