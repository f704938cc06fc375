//! Tickets: what a fill of the store takes before it reads or loads, and what decides about it.

use std::ops::Deref;
use std::sync::Arc;

use super::Fence;
use crate::deferred::deferred;

/// The number of a ticket that was given back.
const RETURNED: u64 = u64::MAX;

/// A point in time for one key. Keep it only as long as it may be used.
#[derive(Debug)]
pub(crate) struct Ticket<P = (), F: Deref<Target = Fence<P>> = Arc<Fence<P>>> {
    pub(super) fence: F,
    pub(super) hash: u64,
    pub(super) number: u64,
}

impl Fence {
    /// Begins to watch a key, before it is read or loaded.
    pub(crate) fn ticket(self: &Arc<Self>, hash: u64) -> Ticket {
        let stripe = self.stripe(hash);
        let number = stripe.enter(&mut stripe.lock(), hash, ());
        Ticket { fence: Arc::clone(self), hash, number }
    }
}

impl Ticket {
    /// Another ticket for the same point in time, for a task of its own; `None` when something has
    /// concerned the key since.
    pub(crate) fn again(&self) -> Option<Self> {
        let stripe = self.fence.stripe(self.hash);
        let mut keys = stripe.lock();
        let holds = keys.out.iter().any(|out| out.number == self.number && !out.is_stale);
        let enter = || {
            let number = stripe.enter(&mut keys, self.hash, ());
            Self { fence: Arc::clone(&self.fence), hash: self.hash, number }
        };
        holds.then(enter)
    }
}

impl<P, F: Deref<Target = Fence<P>>> Ticket<P, F> {
    /// The hash of the key.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// Runs `fill` if nothing has concerned the key since; nothing does while it runs.
    pub(crate) fn fill<R>(&self, fill: impl FnOnce() -> R) -> Option<R> {
        deferred(|| {
            let keys = self.fence.keys(self.hash);
            let out = keys.out.iter().find(|out| out.number == self.number);
            out.is_some_and(|out| !out.is_stale).then(fill)
        })
    }

    /// Whether nothing has concerned the key since.
    pub(crate) fn holds(&self) -> bool {
        self.fill(|| ()).is_some()
    }

    /// Gives the ticket back. `end` gets what it carried and whether nothing has concerned the key
    /// since; nothing does while it runs.
    pub(crate) fn end<R>(mut self, end: impl FnOnce(P, bool) -> R) -> Option<R> {
        let number = std::mem::replace(&mut self.number, RETURNED);
        deferred(|| {
            let mut keys = self.fence.keys(self.hash);
            let out = keys.leave(number)?;
            Some(end(out.load, !out.is_stale))
        })
    }
}

impl<P, F: Deref<Target = Fence<P>>> Drop for Ticket<P, F> {
    fn drop(&mut self) {
        if self.number == RETURNED {
            return;
        }
        let out = self.fence.keys(self.hash).leave(self.number);
        // What it carried may run code of the application, so the lock is not held any more.
        drop(out);
    }
}
