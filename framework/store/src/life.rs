//! [`Life`], how long an entry may live: up to a deadline, or up to so long without a hit. The few
//! words more of an entry that is kept past its deadline are in [`Ageing`](crate::age::Ageing).

#![expect(unsafe_code, reason = "a column of lives begins as zeros")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder_core::clock::Moment;

use crate::age::NewAge;
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
    age: Option<NewAge>,
}

impl NewLife {
    /// A life; `None` when it never ends. `now` is asked only if hits matter. What never ends does
    /// not age.
    #[inline]
    pub(crate) fn new(
        deadline: Option<Moment>,
        idle: Option<Duration>,
        age: Option<NewAge>,
        now: impl FnOnce() -> Moment,
    ) -> Option<Self> {
        if deadline.is_none() && idle.is_none() {
            return None;
        }
        let life = Self {
            deadline: deadline.map_or(NEVER, Moment::as_nanos),
            idle: idle.map_or(NEVER, |idle| Moment::default().after(idle).as_nanos()),
            seen: idle.map_or(0, |_| now().as_nanos().saturating_add(EARLIEST)),
            age: age.filter(|_| deadline.is_some()),
        };
        (life.deadline != NEVER || life.idle != NEVER).then_some(life)
    }

    /// From when on the entry is not served, if there is no hit.
    pub(crate) fn end(&self) -> u64 {
        self.deadline.min(self.idle_end())
    }

    /// From when on the entry is of no use to anybody, if there is no hit.
    pub(crate) fn gone(&self) -> u64 {
        let gone = self.age.map_or(self.deadline, |age| age.gone.max(self.deadline));
        gone.min(self.idle_end())
    }

    const fn idle_end(&self) -> u64 {
        self.seen.saturating_add(self.idle).saturating_sub(EARLIEST)
    }

    /// What it has besides a life.
    pub(crate) const fn age(&self) -> Option<NewAge> {
        self.age
    }

    /// The same life of an entry that ages, or does not.
    pub(crate) fn with_age(self, age: Option<NewAge>) -> Self {
        Self { age, ..self }
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

    /// The same idle life with another deadline; `None` when it never ends. What ages is kept as
    /// long past the one deadline as past the other, and is young again.
    pub(crate) fn until(
        self,
        deadline: Option<Moment>,
        now: impl FnOnce() -> Moment,
    ) -> Option<Self> {
        let end = deadline.map_or(NEVER, Moment::as_nanos);
        let age = self.age.filter(|_| end != NEVER);
        let age = age.map(|age| age.moved(self.deadline, end, now()));
        let life = Self { deadline: end, age, ..self };
        (life.deadline != NEVER || life.idle != NEVER).then_some(life)
    }

    /// The same life, over at this moment.
    pub(crate) fn over_at(self, now: Moment) -> Self {
        Self { deadline: self.deadline.min(now.as_nanos()), ..self }
    }

    /// A life without an end, to give one to.
    pub(crate) const fn endless() -> Self {
        Self { deadline: NEVER, idle: NEVER, seen: 0, age: None }
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
            age: None,
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
