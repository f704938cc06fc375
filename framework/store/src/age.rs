//! [`Ageing`], what is known of an entry that is kept past its deadline, or loaded again before it.
//!
//! It lies in a column of its own, so that entries without it take no more room, and a hit does not
//! look at it unless it is asked to.

#![expect(unsafe_code, reason = "a column of ages begins as zeros")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder_core::clock::Moment;

use crate::chunks::Zeroed;
use crate::life::Life;

/// What an entry is told when it comes in, if it ages; see [`Insert::ageing`](crate::Insert).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewAge {
    pub(crate) gone: u64,
    born: u64,
    cost: u64,
}

impl NewAge {
    /// An entry that was made at `born`, is kept until `gone` although it is served only until its
    /// deadline, and cost that much to load.
    #[must_use]
    pub fn new(born: Moment, gone: Moment, cost: Duration) -> Self {
        let cost = Moment::default().after(cost).as_nanos();
        Self { gone: gone.as_nanos(), born: born.as_nanos(), cost }
    }

    /// Made now, and kept as long past the deadline `to` as it was past `from`.
    pub(crate) fn moved(self, from: u64, to: u64, now: Moment) -> Self {
        let gone = to.saturating_add(self.gone.saturating_sub(from));
        Self { gone, born: now.as_nanos(), ..self }
    }
}

/// How old an entry is that ages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Age {
    /// The moment of the look.
    pub now: Moment,
    /// When it was made.
    pub born: Moment,
    /// From when on it is not served.
    pub deadline: Moment,
    /// From when on it is gone.
    pub gone: Moment,
    /// What it cost to load; zero if nobody knows.
    pub cost: Duration,
    /// Until when nobody shall try to load it anew; the end of time while somebody tries.
    pub pause: Moment,
}

impl Age {
    /// The pause of an entry that somebody loads anew.
    pub const CLAIMED: Moment = Moment::from_nanos(u64::MAX);

    /// Whether nobody shall try to load it anew yet.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.pause > self.now
    }
}

/// The age of an entry that has one. Changed by the holder of the lock, but for the pause.
pub(crate) struct Ageing {
    gone: AtomicU64,
    born: AtomicU64,
    cost: AtomicU64,
    pause: AtomicU64,
}

// SAFETY: zero is a value of an atomic integer, which needs no drop.
unsafe impl Zeroed for Ageing {}

impl Ageing {
    pub(crate) fn set(&self, age: NewAge) {
        self.gone.store(age.gone, Ordering::Relaxed);
        self.born.store(age.born, Ordering::Relaxed);
        self.cost.store(age.cost, Ordering::Relaxed);
        self.pause.store(0, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> NewAge {
        NewAge {
            gone: self.gone.load(Ordering::Relaxed),
            born: self.born.load(Ordering::Relaxed),
            cost: self.cost.load(Ordering::Relaxed),
        }
    }

    /// How old an entry of this life is.
    pub(crate) fn age(&self, life: &Life, now: Moment) -> Age {
        let NewAge { gone, born, cost } = self.get();
        Age {
            now,
            born: Moment::from_nanos(born),
            deadline: life.deadline().unwrap_or(Moment::from_nanos(u64::MAX)),
            gone: Moment::from_nanos(gone),
            cost: Duration::from_nanos(cost),
            pause: Moment::from_nanos(self.pause.load(Ordering::Relaxed)),
        }
    }

    /// Whether an entry of this life is of no use to anybody any more.
    pub(crate) fn is_gone(&self, life: &Life, now: Moment) -> bool {
        life.get().with_age(Some(self.get())).gone() <= now.as_nanos()
    }

    pub(crate) fn pause(&self, until: Moment) {
        self.pause.store(until.as_nanos(), Ordering::Relaxed);
    }

    /// Takes a claim back, if there is one.
    pub(crate) fn release(&self) {
        let (from, to) = (Age::CLAIMED.as_nanos(), 0);
        // Whoever replaced it by a pause has the say.
        self.pause.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).ok();
    }

    /// Pauses unless somebody else did since the look; whether this was it.
    pub(crate) fn claim(&self, seen: &Age) -> bool {
        let (from, to) = (seen.pause.as_nanos(), Age::CLAIMED.as_nanos());
        self.pause.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}
