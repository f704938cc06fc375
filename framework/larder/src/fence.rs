//! The fence: a value that was loaded before an invalidation is never stored after it.
//!
//! Every write, delete and clear goes through the fence. Whoever wants to fill the store with
//! something read or loaded earlier takes a [`Ticket`] first, and fills only if nothing concerned
//! its key since. While there are tickets a stripe remembers which keys changed, so that writes
//! of other keys do not cost a slow load its place; beyond [`REMEMBERED`] changes it gives up and
//! refuses, which costs a fill, never correctness.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::deferred::deferred;

const STRIPES: usize = 256;

/// How many changed keys a stripe remembers for the tickets that are out.
const REMEMBERED: usize = 256;

/// The changes of one cache.
#[derive(Debug)]
pub(crate) struct Fence {
    /// Moved by whatever concerns many keys at once.
    all: RwLock<u64>,
    stripes: Box<[Mutex<Stripe>]>,
}

#[derive(Debug, Default)]
struct Stripe {
    /// Counts the changes.
    version: u64,
    /// How many tickets are out.
    tickets: usize,
    /// Tickets of before this version are refused.
    floor: u64,
    /// The keys that changed while tickets were out, with the version of their last change.
    changed: Vec<(u64, u64)>,
}

/// A point in time for one key. Keep it only as long as it may be used.
#[derive(Debug)]
pub(crate) struct Ticket {
    fence: Arc<Fence>,
    hash: u64,
    all: u64,
    version: u64,
}

impl Fence {
    pub(crate) fn new() -> Arc<Self> {
        let stripes = (0..STRIPES).map(|_| Mutex::default()).collect();
        Arc::new(Self { all: RwLock::default(), stripes })
    }

    /// Begins to watch a key, before it is read or loaded.
    pub(crate) fn ticket(self: &Arc<Self>, hash: u64) -> Ticket {
        let all = *self.all.read().unwrap_or_else(PoisonError::into_inner);
        let mut stripe = self.stripe(hash);
        stripe.tickets += 1;
        Ticket { fence: Arc::clone(self), hash, all, version: stripe.version }
    }

    /// Notes that a key changes and runs `change` before anybody can fill.
    pub(crate) fn change<R>(&self, hash: u64, change: impl FnOnce() -> R) -> R {
        deferred(|| {
            // The read lock keeps `change_all` from running in between.
            let _all = self.all.read().unwrap_or_else(PoisonError::into_inner);
            let mut stripe = self.stripe(hash);
            stripe.note(hash);
            change()
        })
    }

    /// Notes that all keys change and runs `change` before anybody can fill.
    pub(crate) fn change_all<R>(&self, change: impl FnOnce() -> R) -> R {
        deferred(|| {
            let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
            *all = all.wrapping_add(1);
            change()
        })
    }

    fn stripe(&self, hash: u64) -> MutexGuard<'_, Stripe> {
        self.stripes[hash as usize % STRIPES].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stripe {
    fn note(&mut self, hash: u64) {
        self.version += 1;
        if self.tickets == 0 {
            return;
        }
        if let Some((_, version)) = self.changed.iter_mut().find(|(changed, _)| *changed == hash) {
            *version = self.version;
        } else if self.changed.len() < REMEMBERED {
            self.changed.push((hash, self.version));
        } else {
            self.floor = self.version;
            self.changed.clear();
        }
    }

    fn moved(&self, ticket: &Ticket) -> bool {
        let concerns =
            |&(hash, version): &(u64, u64)| hash == ticket.hash && version > ticket.version;
        self.floor > ticket.version || self.changed.iter().any(concerns)
    }
}

impl Ticket {
    /// The hash of the key.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// Runs `fill` if nothing has concerned the key since; nothing does while it runs.
    pub(crate) fn fill<R>(&self, fill: impl FnOnce() -> R) -> Option<R> {
        deferred(|| {
            let all = self.fence.all.read().unwrap_or_else(PoisonError::into_inner);
            let stripe = self.fence.stripe(self.hash);
            (*all == self.all && !stripe.moved(self)).then(fill)
        })
    }

    /// Whether nothing has concerned the key since.
    pub(crate) fn holds(&self) -> bool {
        self.fill(|| ()).is_some()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut stripe = self.fence.stripe(self.hash);
        stripe.tickets -= 1;
        if stripe.tickets == 0 {
            stripe.changed.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fill_is_refused_after_its_key_or_everything_changed() {
        let fence = Fence::new();
        let ticket = fence.ticket(5);
        assert_eq!(ticket.fill(|| 1), Some(1));
        fence.change(5 + STRIPES as u64, || ());
        assert_eq!(ticket.fill(|| 1), Some(1), "another key of the same stripe");
        fence.change(5, || ());
        assert_eq!(ticket.fill(|| 1), None);
        let ticket = fence.ticket(5);
        assert!(ticket.holds());
        fence.change_all(|| ());
        assert!(!ticket.holds());
        assert!(fence.ticket(5).holds());
    }

    #[test]
    fn a_stripe_remembers_no_more_than_it_may_and_then_refuses() {
        let fence = Fence::new();
        let ticket = fence.ticket(0);
        for key in 1..=REMEMBERED as u64 {
            fence.change(key * STRIPES as u64, || ());
        }
        assert!(ticket.holds());
        fence.change(STRIPES as u64 * 1000, || ());
        assert!(!ticket.holds());
        assert!(fence.stripe(0).changed.is_empty());
        drop(ticket);
        fence.change(STRIPES as u64, || ());
        assert!(fence.stripe(0).changed.is_empty(), "nobody watches");
    }
}
