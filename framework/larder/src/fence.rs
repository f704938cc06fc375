//! The fence: a value that was loaded before an invalidation is never stored after it.
//!
//! Every write, delete and clear goes through the fence. Whoever wants to fill the store with
//! something read or loaded earlier takes a [`Ticket`] first, and fills only if nothing concerned
//! its key since. The tickets that are out stand in a stripe, which a change of one of their keys
//! marks; so a write of another key costs a slow load nothing. While no ticket of its stripe is
//! out, a change is one step on one counter.
//!
//! A ticket can carry something, so that others find out who loads their key already.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::deferred::deferred;

mod ticket;

pub(crate) use ticket::Ticket;

/// The most stripes. More would make a change of everything slow.
const MAX_STRIPES: usize = 256;

/// Stripes for each processor: enough that two threads rarely meet.
const STRIPES_PER_CORE: usize = 16;

/// The changes of one cache. `P` is what a ticket carries.
#[derive(Debug)]
pub(crate) struct Fence<P = ()> {
    stripes: Box<[Stripe<P>]>,
    /// Whether a ticket that is taken during a change must wait for its end.
    is_strict: bool,
}

/// Alone on its cache line, so that two of them can be used at the same time.
#[repr(align(64))]
#[derive(Debug)]
struct Stripe<P> {
    /// [`IS_OUT`], and above it how often keys were set, in units of [`SET`].
    state: AtomicU64,
    keys: Mutex<Keys<P>>,
}

/// A ticket may be out. Changed only under the lock; it stays after the last ticket came back,
/// until a change finds that out.
const IS_OUT: u64 = 1;
/// One more set.
const SET: u64 = 2;

/// What is going on with the keys of a stripe.
#[derive(Debug)]
struct Keys<P> {
    out: Vec<Out<P>>,
    /// The number of the next ticket.
    next: u64,
    loads: u64,
}

/// A ticket that is out.
#[derive(Debug)]
struct Out<P> {
    number: u64,
    hash: u64,
    /// Whether something concerned the key since.
    is_stale: bool,
    load: P,
}

/// What is counted here, as every load and every set passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) loads: u64,
    pub(crate) sets: u64,
}

impl<P> Fence<P> {
    /// A fence at which a ticket may be taken in the middle of a change. That is right where a
    /// change is one step, as whoever takes the ticket then reads what is at least as new.
    pub(crate) fn new() -> Arc<Self> {
        Self::with_strictness(false)
    }

    /// A fence at which a ticket is taken before a change or after it.
    pub(crate) fn strict() -> Arc<Self> {
        Self::with_strictness(true)
    }

    fn with_strictness(is_strict: bool) -> Arc<Self> {
        let stripes = (0..stripe_count()).map(|_| Stripe::new()).collect();
        Arc::new(Self { stripes, is_strict })
    }

    /// Notes that a key changes and runs `change` before anybody can fill who looked before.
    pub(crate) fn change<R>(&self, hash: u64, change: impl FnOnce() -> R) -> R {
        self.note(hash, 0, change)
    }

    /// A [`change`](Self::change) that is counted as a set.
    #[inline]
    pub(crate) fn set<R>(&self, hash: u64, change: impl FnOnce() -> R) -> R {
        self.note(hash, SET, change)
    }

    #[inline]
    fn note<R>(&self, hash: u64, count: u64, change: impl FnOnce() -> R) -> R {
        let stripe = self.stripe(hash);
        // This step, a lock for all that read the same word, has put us before any ticket that is
        // taken from here on, and so before the read that it is taken for.
        let state = stripe.state.fetch_add(count, Ordering::AcqRel);
        if state & IS_OUT == 0 && !self.is_strict {
            return change();
        }
        self.change_with_tickets(stripe, hash, change)
    }

    #[cold]
    fn change_with_tickets<R>(
        &self,
        stripe: &Stripe<P>,
        hash: u64,
        change: impl FnOnce() -> R,
    ) -> R {
        let keys = stripe.lock();
        if keys.out.is_empty() && !self.is_strict {
            stripe.state.fetch_and(!IS_OUT, Ordering::AcqRel);
            drop(keys);
            return change();
        }
        deferred(|| {
            // Moved in, to be let go before listeners are told.
            let mut keys = keys;
            for out in keys.out.iter_mut().filter(|out| out.hash == hash) {
                out.is_stale = true;
            }
            change()
        })
    }

    /// Notes that all keys change and runs `change` after the last fill of before.
    pub(crate) fn change_all<R>(&self, change: impl FnOnce() -> R) -> R {
        for stripe in &self.stripes {
            stripe.lock().out.iter_mut().for_each(|out| out.is_stale = true);
        }
        change()
    }

    /// Takes a ticket that carries what `load` makes, unless `follow` finds an answer in what
    /// another ticket of the same hash carries that still holds.
    pub(crate) fn join<F, R>(
        fence: F,
        hash: u64,
        follow: impl FnMut(&mut P) -> Option<R>,
        load: impl FnOnce() -> P,
    ) -> Result<Ticket<P, F>, R>
    where
        F: Deref<Target = Self>,
    {
        let stripe = fence.stripe(hash);
        let mut keys = stripe.lock();
        let same = keys.out.iter_mut().filter(|out| out.hash == hash && !out.is_stale);
        if let Some(answer) = same.map(|out| &mut out.load).find_map(follow) {
            return Err(answer);
        }
        keys.loads += 1;
        let number = stripe.enter(&mut keys, hash, load());
        drop(keys);
        Ok(Ticket { fence, hash, number })
    }

    /// What was counted since the last reset.
    pub(crate) fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        for stripe in &self.stripes {
            sum.loads += stripe.lock().loads;
            sum.sets += stripe.state.load(Ordering::Relaxed) / SET;
        }
        sum
    }

    pub(crate) fn reset_tally(&self) {
        for stripe in &self.stripes {
            stripe.lock().loads = 0;
            stripe.state.fetch_and(IS_OUT, Ordering::Relaxed);
        }
    }

    #[inline]
    fn stripe(&self, hash: u64) -> &Stripe<P> {
        &self.stripes[hash as usize & (self.stripes.len() - 1)]
    }

    fn keys(&self, hash: u64) -> MutexGuard<'_, Keys<P>> {
        self.stripe(hash).lock()
    }
}

impl<P> Stripe<P> {
    const fn new() -> Self {
        let keys = Keys { out: Vec::new(), next: 0, loads: 0 };
        Self { state: AtomicU64::new(0), keys: Mutex::new(keys) }
    }

    fn lock(&self) -> MutexGuard<'_, Keys<P>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a ticket out. What it is taken for is read after this, so changes that did not see the
    /// mark of it are over or come first.
    fn enter(&self, keys: &mut Keys<P>, hash: u64, load: P) -> u64 {
        if self.state.load(Ordering::Relaxed) & IS_OUT == 0 {
            self.state.fetch_or(IS_OUT, Ordering::AcqRel);
        }
        let number = keys.next;
        keys.next += 1;
        keys.out.push(Out { number, hash, is_stale: false, load });
        number
    }
}

impl<P> Keys<P> {
    fn leave(&mut self, number: u64) -> Option<Out<P>> {
        let at = self.out.iter().position(|out| out.number == number)?;
        Some(self.out.swap_remove(at))
    }
}

fn stripe_count() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        (cores * STRIPES_PER_CORE).next_power_of_two().min(MAX_STRIPES)
    })
}

#[cfg(test)]
mod tests;
