//! [`Place`], where the instance stands that is called, and [`Visit`], which keeps it alive for the
//! time of a call.
//!
//! Every call comes here, and an instance is exchanged only after a panic. So callers write nothing
//! that they share: each thread [marks](Mark) what it uses, and looks once more whether that still
//! stands here. Whoever takes an instance away waits until no mark says that it is used. Where a
//! thread has no mark left the instance is counted, under a lock.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::mark::{self, Mark};
use crate::adapt::aside::aside;

/// How often the end of a call is looked for that nobody waits for.
const PAUSE: Duration = Duration::from_millis(50);

/// Where something stands that is shared, or nothing.
#[derive(Debug)]
pub(super) struct Place<T> {
    /// What `Arc::into_raw` put out, or null. Written under the lock.
    current: AtomicPtr<T>,
    exchange: Mutex<()>,
    owned: PhantomData<Arc<T>>,
}

impl<T> Place<T> {
    pub(super) fn new(thing: T) -> Self {
        let current = AtomicPtr::new(Arc::into_raw(Arc::new(thing)).cast_mut());
        Self { current, exchange: Mutex::default(), owned: PhantomData }
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What stands here, for the time of a call.
    #[inline]
    pub(super) fn visit(&self) -> Option<Visit<'_, T>> {
        let Some(mark) = Mark::of_thread() else { return self.count_one().map(Visit::Counted) };
        let seen = self.current.load(Ordering::Relaxed);
        mark.begin(seen.cast());
        // It may have been taken away before the mark was seen.
        if !ptr::eq(self.current.load(Ordering::Acquire), seen) {
            mark.end();
            return self.count_one().map(Visit::Counted);
        }
        let thing = NonNull::new(seen)?;
        Some(Visit::Marked(Marked { thing, mark, place: PhantomData }))
    }

    /// What stands here, to be kept.
    pub(super) fn get(&self) -> Option<Arc<T>> {
        Some(match self.visit()? {
            // SAFETY: it came from `Arc::into_raw`, and the visit keeps it alive.
            Visit::Marked(marked) => unsafe { counted(marked.thing) },
            Visit::Counted(counted) => counted,
        })
    }

    #[cold]
    fn count_one(&self) -> Option<Arc<T>> {
        let _unchanged = self.lock();
        let thing = NonNull::new(self.current.load(Ordering::Acquire))?;
        // SAFETY: it came from `Arc::into_raw`, and the place has it while the lock is held.
        Some(unsafe { counted(thing) })
    }
}

impl<T: Send + Sync + 'static> Place<T> {
    /// Puts something here, and takes away what stood here.
    pub(super) fn exchange(&self, next: Option<Arc<T>>) -> Option<Taken<T>> {
        let next = next.map_or(ptr::null_mut(), |next| Arc::into_raw(next).cast_mut());
        let unchanged = self.lock();
        let before = self.current.swap(next, Ordering::AcqRel);
        drop(unchanged);
        let before = NonNull::new(before)?;
        // SAFETY: it came from `Arc::into_raw`, and the place had this count of it.
        Some(Taken(ManuallyDrop::new(unsafe { Arc::from_raw(before.as_ptr()) })))
    }
}

/// One owner more.
///
/// # Safety
///
/// It must come from `Arc::into_raw`, and somebody must own it meanwhile.
unsafe fn counted<T>(thing: NonNull<T>) -> Arc<T> {
    // SAFETY: the caller says so.
    unsafe { Arc::increment_strong_count(thing.as_ptr()) };
    // SAFETY: the caller says so, and this is the count that was added.
    unsafe { Arc::from_raw(thing.as_ptr()) }
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        if let Some(thing) = NonNull::new(*self.current.get_mut()) {
            // SAFETY: it came from `Arc::into_raw`, and visits borrow the place, so there is none.
            drop(unsafe { Arc::from_raw(thing.as_ptr()) });
        }
    }
}

/// Something that stays alive as long as this does, wherever it stands by then.
pub(super) enum Visit<'a, T> {
    Counted(Arc<T>),
    Marked(Marked<'a, T>),
}

/// Something that the mark of this thread says is used.
pub(super) struct Marked<'a, T> {
    thing: NonNull<T>,
    mark: &'static Mark,
    place: PhantomData<&'a Place<T>>,
}

impl<T> Deref for Visit<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match self {
            Self::Counted(counted) => counted,
            // SAFETY: it stood in the place after it was marked, so whoever took it away since
            // sees the mark and does not free it.
            Self::Marked(marked) => unsafe { marked.thing.as_ref() },
        }
    }
}

impl<T> Drop for Marked<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.mark.end();
    }
}

/// What was taken out of its place, and may still be visited. It is dropped when it is not any
/// more: at once, or by a thread that waits for that.
#[derive(Debug)]
pub(super) struct Taken<T: Send + Sync + 'static>(ManuallyDrop<Arc<T>>);

impl<T: Send + Sync + 'static> Taken<T> {
    /// The thing itself, once nobody else has it.
    pub(super) fn try_into_inner(self) -> Result<T, Self> {
        if is_visited(&self.0) {
            return Err(self);
        }
        let mut taken = ManuallyDrop::new(self);
        // SAFETY: `taken` is not dropped, so this is the only time that it is taken out.
        let thing = unsafe { ManuallyDrop::take(&mut taken.0) };
        Arc::try_unwrap(thing).map_err(|shared| Self(ManuallyDrop::new(shared)))
    }
}

fn is_visited<T>(thing: &Arc<T>) -> bool {
    mark::is_used(Arc::as_ptr(thing).cast())
}

impl<T: Send + Sync + 'static> Drop for Taken<T> {
    fn drop(&mut self) {
        // SAFETY: nobody uses `self` after this.
        let thing = unsafe { ManuallyDrop::take(&mut self.0) };
        if !is_visited(&thing) {
            return;
        }
        // Without a thread it stays for ever: nobody would know when it may go.
        let thing = ManuallyDrop::new(thing);
        let waits = move || {
            while is_visited(&thing) {
                std::thread::sleep(PAUSE);
            }
            drop(ManuallyDrop::into_inner(thing));
        };
        aside(waits).ok();
    }
}

#[cfg(test)]
mod tests;
