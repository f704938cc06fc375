//! [`Life`], how long an entry may live: up to a deadline, or up to so long without a hit.

#![expect(unsafe_code, reason = "a column of lives begins as zeros")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder_core::clock::Moment;

use crate::chunks::Zeroed;

/// The end of time.
pub(crate) const NEVER: u64 = u64::MAX;

/// The last hit is kept this much later than it was, so that one before the clock began, in an
/// earlier process, is a number as well: 73 years.
const EARLIEST: u64 = 1 << 61;

/// A life that is about to begin.
#[derive(Clone, Copy)]
pub(crate) struct NewLife {
    deadline: u64,
    idle: u64,
    seen: u64,
}

impl NewLife {
    /// A life; `None` when it never ends. `now` is asked only if hits matter.
    #[inline]
    pub(crate) fn new(
        deadline: Option<Moment>,
        idle: Option<Duration>,
        now: impl FnOnce() -> Moment,
    ) -> Option<Self> {
        if deadline.is_none() && idle.is_none() {
            return None;
        }
        let life = Self {
            deadline: deadline.map_or(NEVER, Moment::as_nanos),
            idle: idle.map_or(NEVER, |idle| Moment::default().after(idle).as_nanos()),
            seen: idle.map_or(0, |_| now().as_nanos().saturating_add(EARLIEST)),
        };
        (life.deadline != NEVER || life.idle != NEVER).then_some(life)
    }

    /// When it ends, if there is no hit.
    pub(crate) fn end(&self) -> u64 {
        let idle_end = self.seen.saturating_add(self.idle).saturating_sub(EARLIEST);
        self.deadline.min(idle_end)
    }

    /// The same life, had the last hit been so long ago.
    pub(crate) fn unused_for(self, unused: Duration, now: Moment) -> Self {
        let unused = Moment::default().after(unused).as_nanos();
        let seen = now.as_nanos().saturating_add(EARLIEST).saturating_sub(unused);
        Self { seen, ..self }
    }

    /// For how long it may go without a hit, and for how long it has, if that matters.
    pub(crate) fn idleness(&self, now: Moment) -> Option<(Duration, Duration)> {
        let unused = now.as_nanos().saturating_add(EARLIEST).saturating_sub(self.seen);
        let idle = (self.idle != NEVER).then_some(self.idle)?;
        Some((Duration::from_nanos(idle), Duration::from_nanos(unused)))
    }

    /// The same idle life with another deadline; `None` when it never ends.
    pub(crate) fn until(self, deadline: Option<Moment>) -> Option<Self> {
        let life = Self { deadline: deadline.map_or(NEVER, Moment::as_nanos), ..self };
        (life.deadline != NEVER || life.idle != NEVER).then_some(life)
    }

    /// A life without an end, to give one to.
    pub(crate) const fn endless() -> Self {
        Self { deadline: NEVER, idle: NEVER, seen: 0 }
    }
}

/// The life of an entry that has one. Only the holder of the lock changes it, but for the last
/// hit.
pub(crate) struct Life {
    /// In nanoseconds of the clock; [`NEVER`] for none.
    deadline: AtomicU64,
    /// In nanoseconds; [`NEVER`] for none.
    idle: AtomicU64,
    /// The last hit, or one shortly before it, and [`EARLIEST`].
    seen: AtomicU64,
}

// SAFETY: zero is a value of an atomic integer, which needs no drop.
unsafe impl Zeroed for Life {}

impl Life {
    pub(crate) fn set(&self, life: NewLife) {
        self.deadline.store(life.deadline, Ordering::Relaxed);
        self.idle.store(life.idle, Ordering::Relaxed);
        self.seen.store(life.seen, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> NewLife {
        NewLife {
            deadline: self.deadline.load(Ordering::Relaxed),
            idle: self.idle.load(Ordering::Relaxed),
            seen: self.seen.load(Ordering::Relaxed),
        }
    }

    /// Whether it is over at `now`.
    pub(crate) fn is_over(&self, now: Moment) -> bool {
        self.get().end() <= now.as_nanos()
    }

    /// Notes a hit. Nothing is written while the last note is not a sixteenth of the idle life
    /// old, so that hits of many threads do not fight for the line; the entry then goes by that
    /// much too early, never too late.
    pub(crate) fn hit(&self, now: Moment) {
        let idle = self.idle.load(Ordering::Relaxed);
        if idle == NEVER {
            return;
        }
        let seen = self.seen.load(Ordering::Relaxed);
        let now = now.as_nanos().saturating_add(EARLIEST);
        if now.saturating_sub(seen) > idle / 16 {
            self.seen.store(now, Ordering::Relaxed);
        }
    }

    pub(crate) fn deadline(&self) -> Option<Moment> {
        let deadline = self.deadline.load(Ordering::Relaxed);
        (deadline != NEVER).then(|| Moment::from_nanos(deadline))
    }
}
