//! The fence: a value that was loaded before an invalidation is never stored after it.
//!
//! Every write, delete and clear moves a version. Whoever wants to fill the store with something
//! read or loaded earlier captures the versions first and fills only if they have not moved.
//! Versions are striped by key hash: two keys that share a stripe only cost a fill, never
//! correctness.

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use crate::deferred::deferred;

const STRIPES: usize = 1024;

/// The versions of one cache.
#[derive(Debug)]
pub(crate) struct Fence {
    /// Moved by whatever concerns many keys at once.
    all: RwLock<u64>,
    stripes: Box<[Mutex<u64>]>,
}

/// The versions at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    all: u64,
    stripe: u64,
    index: usize,
}

impl Fence {
    pub(crate) fn new() -> Self {
        Self { all: RwLock::default(), stripes: (0..STRIPES).map(|_| Mutex::default()).collect() }
    }

    /// Captures the versions of a key, before it is read or loaded.
    pub(crate) fn ticket(&self, hash: u64) -> Ticket {
        let all = *self.all.read().unwrap_or_else(PoisonError::into_inner);
        let index = hash as usize % STRIPES;
        Ticket { all, stripe: *self.stripe(index), index }
    }

    /// Runs `fill` if nothing has moved since the ticket; nothing moves while it runs.
    pub(crate) fn fill<R>(&self, ticket: Ticket, fill: impl FnOnce() -> R) -> Option<R> {
        deferred(|| {
            let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
            let stripe = self.stripe(ticket.index);
            (*all == ticket.all && *stripe == ticket.stripe).then(fill)
        })
    }

    /// Whether nothing has moved since the ticket.
    pub(crate) fn holds(&self, ticket: Ticket) -> bool {
        self.fill(ticket, || ()).is_some()
    }

    /// Moves the version of a key and runs `change` before anybody can fill.
    pub(crate) fn change<R>(&self, hash: u64, change: impl FnOnce() -> R) -> R {
        deferred(|| {
            // The read lock keeps `change_all` from running in between.
            let _all = self.all.read().unwrap_or_else(PoisonError::into_inner);
            let mut stripe = self.stripe(hash as usize % STRIPES);
            *stripe = stripe.wrapping_add(1);
            change()
        })
    }

    /// Moves the versions of all keys and runs `change` before anybody can fill.
    pub(crate) fn change_all<R>(&self, change: impl FnOnce() -> R) -> R {
        deferred(|| {
            let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
            *all = all.wrapping_add(1);
            change()
        })
    }

    fn stripe(&self, index: usize) -> MutexGuard<'_, u64> {
        self.stripes[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fill_is_refused_after_its_key_or_everything_changed() {
        let fence = Fence::new();
        let ticket = fence.ticket(5);
        assert_eq!(fence.fill(ticket, || 1), Some(1));
        fence.change(6, || ());
        assert_eq!(fence.fill(ticket, || 1), Some(1), "another key");
        fence.change(5, || ());
        assert_eq!(fence.fill(ticket, || 1), None);
        let ticket = fence.ticket(5);
        fence.change_all(|| ());
        assert!(!fence.holds(ticket));
        assert!(fence.holds(fence.ticket(5)));
    }
}
