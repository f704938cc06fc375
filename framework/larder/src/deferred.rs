//! Work that waits until this thread holds no lock of ours.
//!
//! The store tells its listener of a removal as soon as it holds no lock itself, but a change of
//! a key runs under the fence. The listener belongs to the application and may use the cache
//! again, so what it has to hear is put off until the fence is open.

use std::cell::{Cell, RefCell};

type Work = Box<dyn FnOnce()>;

thread_local! {
    /// How many [`deferred`] calls this thread is in.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static WAITING: RefCell<Vec<Work>> = const { RefCell::new(Vec::new()) };
}

/// Counts down also when the work panics.
struct Depth;

impl Drop for Depth {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Runs `work`, and after it, when the outermost call ends, what was put off meanwhile.
pub(crate) fn deferred<R>(work: impl FnOnce() -> R) -> R {
    DEPTH.set(DEPTH.get() + 1);
    let depth = Depth;
    let result = work();
    drop(depth);
    if DEPTH.get() == 0 {
        // What runs now may put off more, which is then run by its own outermost call.
        for waiting in WAITING.take() {
            waiting();
        }
    }
    result
}

/// Runs `work` now, or when the outermost [`deferred`] call of this thread ends.
pub(crate) fn when_free(work: impl FnOnce() + 'static) {
    if DEPTH.get() == 0 {
        work();
    } else {
        WAITING.with_borrow_mut(|waiting| waiting.push(Box::new(work)));
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn work_is_put_off_until_the_outermost_call_ends() {
        let log = Rc::new(RefCell::new(Vec::new()));
        let note = |text: &'static str| {
            let log = Rc::clone(&log);
            move || log.borrow_mut().push(text)
        };
        deferred(|| {
            deferred(|| when_free(note("put off")));
            note("inside")();
        });
        note("after")();
        when_free(note("at once"));
        assert_eq!(*log.borrow(), ["inside", "put off", "after", "at once"]);
    }
}
