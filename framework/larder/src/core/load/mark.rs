//! What a load was begun upon: when, with which tags, and whether another process is at it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use larder_core::{Clock, Moment, Stamp, Timestamp};
use tokio::sync::Notify;

use super::caller::{Caller, Runner};
use super::patience::Patience;
use crate::engine::Found;
use crate::fence::Ticket;
use crate::tags::Tags;

/// When a load began and what it depends on.
#[derive(Debug)]
pub(crate) struct Mark {
    pub(super) ticket: Ticket,
    /// Of those who wait for the load, if they have a limit.
    pub(super) patience: Option<Arc<Patience>>,
    /// Who runs the loader on its own thread.
    runner: Option<Runner>,
    /// Whether the load waits for that of another process.
    pub(super) elsewhere: Signal,
    basis: Mutex<Basis>,
}

/// What the outcome of a load depends on besides its key, once that is known.
#[derive(Debug, Default)]
pub(in crate::core) struct Basis {
    pub(in crate::core) tags: Option<Arc<Tags>>,
    pub(in crate::core) deadline: Option<Timestamp>,
    /// The version of what is loaded, from when the loader begins.
    pub(in crate::core) stamp: Option<Stamp>,
}

impl Basis {
    /// What an answer from a tier rests on.
    pub(in crate::core) fn of(found: &Found) -> Self {
        let meta = &found.entry.meta;
        let deadline = meta.soft_deadline.or(meta.hard_deadline);
        Self { tags: found.tags.clone(), deadline, stamp: None }
    }
}

impl Mark {
    pub(super) fn new(ticket: Ticket) -> Self {
        let (elsewhere, basis) = (Signal::default(), Mutex::default());
        Self { ticket, patience: None, runner: None, elsewhere, basis }
    }

    /// The mark of a load that this caller begins.
    pub(super) fn of<V>(
        ticket: Ticket,
        caller: &Caller<V>,
        patience: Option<Arc<Patience>>,
    ) -> Self {
        Self { patience, runner: caller.runner, ..Self::new(ticket) }
    }

    /// Somebody waits for the load until then, or for ever.
    pub(super) fn await_until(&self, end: Option<Moment>) {
        if let Some(patience) = &self.patience {
            patience.extend(end);
        }
    }

    /// Whether the loader called this caller, who would wait for itself.
    pub(super) fn waits_for<V>(&self, caller: &Caller<V>) -> bool {
        self.runner.is_some_and(|runner| runner.waits_for(caller.runner))
    }

    pub(in crate::core) fn rest_on(&self, basis: Basis) {
        *self.basis() = basis;
    }

    /// Whether what is loaded is still wanted.
    pub(super) fn holds(&self, clock: &dyn Clock) -> bool {
        let basis = self.basis();
        self.ticket.holds()
            && basis.tags.as_ref().is_none_or(|tags| tags.hold())
            && basis.deadline.is_none_or(|deadline| deadline > clock.wall())
    }

    /// The loader begins.
    pub(super) fn begin(&self, stamp: Stamp) {
        self.basis().stamp = Some(stamp);
    }

    /// The version of what is loaded. It is that of the begin, so that what anybody stored while
    /// the loader ran is newer; how long the value lives counts from the end.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        self.basis().stamp
    }

    fn basis(&self) -> MutexGuard<'_, Basis> {
        self.basis.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that is so or not, and for which others wait.
#[derive(Debug, Default)]
pub(super) struct Signal {
    is_on: AtomicBool,
    waiting: Notify,
}

impl Signal {
    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
    }

    pub(super) fn set(&self, is_on: bool) {
        self.is_on.store(is_on, Ordering::Release);
        if is_on {
            self.waiting.notify_waiters();
        }
    }

    /// Ends when it is so.
    pub(super) async fn wait(&self) {
        let waiting = self.waiting.notified();
        // One that comes between the look and the wait is heard as well.
        if !self.is_on() {
            waiting.await;
        }
    }
}
