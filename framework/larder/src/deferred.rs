//! Work that waits until this thread holds no lock of ours.
//!
//! The store tells its listener of a removal as soon as it holds no lock itself, but a change of
//! a key runs under the fence. The listener belongs to the application and may use the cache
//! again, so what it has to hear is put off until the fence is open, or longer: [`Held`].

use std::cell::{Cell, RefCell};

type Work = Box<dyn FnOnce() + Send>;

thread_local! {
    /// How many [`deferred`] calls this thread is in.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// Whether there is anything in `WAITING`, which costs more to look at.
    static IS_WAITING: Cell<bool> = const { Cell::new(false) };
    static WAITING: RefCell<Vec<Work>> = const { RefCell::new(Vec::new()) };
}

/// Counts down also when the work panics.
struct Depth;

impl Drop for Depth {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

impl Depth {
    fn enter() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self
    }
}

/// Runs `work`, and after it, when the outermost call ends, what was put off meanwhile.
#[inline]
pub(crate) fn deferred<R>(work: impl FnOnce() -> R) -> R {
    let depth = Depth::enter();
    let result = work();
    drop(depth);
    if IS_WAITING.get() {
        run_waiting();
    }
    result
}

#[cold]
fn run_waiting() {
    // What runs when this is dropped may put off more, which is then run by its own outermost
    // call.
    Held::default().collect(|| ());
}

/// Work that was put off, and runs when this is dropped.
#[derive(Default)]
pub(crate) struct Held(Vec<Work>);

impl Held {
    /// Runs `work`, and keeps what is put off meanwhile.
    pub(crate) fn collect<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let depth = Depth::enter();
        let result = work();
        drop(depth);
        if DEPTH.get() == 0 && IS_WAITING.replace(false) {
            self.0.extend(WAITING.take());
        }
        result
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for work in self.0.drain(..) {
            when_free(work);
        }
    }
}

/// Runs `work` now, or when the outermost [`deferred`] call of this thread ends.
pub(crate) fn when_free(work: impl FnOnce() + Send + 'static) {
    if DEPTH.get() == 0 {
        work();
    } else {
        IS_WAITING.set(true);
        WAITING.with_borrow_mut(|waiting| waiting.push(Box::new(work)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn work_is_put_off_until_the_outermost_call_ends() {
        let log = Arc::new(Mutex::new(Vec::new()));
        let note = |text: &'static str| {
            let log = Arc::clone(&log);
            move || log.lock().unwrap().push(text)
        };
        deferred(|| {
            deferred(|| when_free(note("put off")));
            note("inside")();
        });
        note("after")();
        when_free(note("at once"));
        let mut held = Held::default();
        held.collect(|| deferred(|| when_free(note("held"))));
        note("outside")();
        drop(held);
        let expected = ["inside", "put off", "after", "at once", "outside", "held"];
        assert_eq!(*log.lock().unwrap(), expected);
    }
}
