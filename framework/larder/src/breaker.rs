//! The breaker of a tier: a tier that fails is left alone, so that nobody waits for it.
//!
//! It opens when calls fail in a row, or when half of many do. While it is open no call is let
//! through. When its pause is over, or the backend says that it has come back, it is half open: one
//! call is let through, and how that ends decides whether the tier is used again or left alone for
//! twice as long. A backend that comes back and goes away again and again thereby costs one call
//! each time.
//!
//! Pure state: what it has to know comes as an argument, and what is to be said of a change is
//! returned.
//!
//! A tier that works is asked far more often than one that fails, so a call that is let through and
//! answered takes no lock: it looks at one word, and counts itself in another.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use larder_config::model::BreakerSpec;
use larder_core::Moment;

/// Over how many seconds calls are counted.
const WINDOW: usize = 10;

/// A word has the number of a second above so many bits, and in them how many calls ended in it.
const COUNT_BITS: u32 = 32;

/// So few calls say nothing about the share of those that fail.
const LEAST_CALLS: u64 = 20;

/// Whether and how a call is let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// As any other.
    Free,
    /// As the one that decides; see [`Breaker::end`].
    Probe,
    /// Not at all.
    Refused,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The tier answered.
    Answered,
    /// It failed or took too long.
    Failed,
    /// The caller went away before either.
    Unknown,
}

/// What the breaker has to know of a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    pub(crate) now: Moment,
    /// See [`Backend::comebacks`](larder_core::Backend::comebacks).
    pub(crate) comebacks: u64,
}

/// A change of the breaker, to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Closed,
    HalfOpen,
    Opened(Duration),
}

/// What a breaker does, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Closed,
    HalfOpen { is_probed: bool },
    Open { until: Moment },
}

impl Phase {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen { .. } => "half_open",
            Self::Open { .. } => "open",
        }
    }
}

/// The breaker of one tier.
#[derive(Debug)]
pub(crate) struct Breaker {
    spec: BreakerSpec,
    /// Whether the phase is [`Phase::Closed`]. Changed only under the lock.
    is_closed: AtomicBool,
    failures_in_a_row: AtomicU32,
    answered: Counts,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// How often it opened since it was closed.
    opened: u32,
    /// How often the backend had come back when it last began to fail. Once it has more often,
    /// nobody knows whether it still does.
    comebacks: u64,
    failed: Counts,
}

/// How many calls ended in each of the last seconds. Calls that end in the moment in which another
/// second begins may be missed, which is nothing among many.
#[derive(Debug, Default)]
struct Counts([AtomicU64; WINDOW]);

impl Breaker {
    pub(crate) fn new(spec: BreakerSpec) -> Self {
        let failed = Counts::default();
        let state = State { phase: Phase::Closed, opened: 0, comebacks: 0, failed };
        Self {
            spec,
            is_closed: AtomicBool::new(true),
            failures_in_a_row: AtomicU32::new(0),
            answered: Counts::default(),
            state: Mutex::new(state),
        }
    }

    /// Whether every call is let through.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Lets a call through or not. `may_probe` says whether this one may be the one that decides.
    pub(crate) fn pass(&self, at: Situation, may_probe: bool) -> (Pass, Option<Change>) {
        let mut state = self.lock();
        let was_open = match state.phase {
            Phase::Closed => return (Pass::Free, None),
            Phase::Open { until } if at.now >= until || state.has_come_back(at) => true,
            Phase::HalfOpen { is_probed: false } => false,
            Phase::Open { .. } | Phase::HalfOpen { .. } => return (Pass::Refused, None),
        };
        if !may_probe {
            return (Pass::Refused, None);
        }
        state.phase = Phase::HalfOpen { is_probed: true };
        state.comebacks = at.comebacks;
        (Pass::Probe, was_open.then_some(Change::HalfOpen))
    }

    /// A call that was let through as any other was answered, at about this time.
    pub(crate) fn answered(&self, now: Moment) {
        // One that began before the breaker opened says nothing about the tier of today.
        if self.is_closed() {
            if self.failures_in_a_row.load(Ordering::Relaxed) != 0 {
                self.failures_in_a_row.store(0, Ordering::Relaxed);
            }
            self.answered.add(now);
        }
    }

    /// A call that was let through has ended. `chance`, from 0 to 1, spreads the pauses of many
    /// processes, down to half of what they may be.
    pub(crate) fn end(&self, pass: Pass, end: End, at: Situation, chance: f64) -> Option<Change> {
        if (pass, end) == (Pass::Free, End::Answered) {
            self.answered(at.now);
            return None;
        }
        let mut state = self.lock();
        match (pass, end) {
            (Pass::Refused, _) | (Pass::Free, End::Unknown | End::Answered) => None,
            (Pass::Probe, End::Unknown) => {
                state.phase = Phase::HalfOpen { is_probed: false };
                None
            }
            (Pass::Probe, End::Answered) => {
                state.phase = Phase::Closed;
                state.opened = 0;
                state.failed.reset();
                self.answered.reset();
                self.failures_in_a_row.store(0, Ordering::Relaxed);
                self.is_closed.store(true, Ordering::Release);
                Some(Change::Closed)
            }
            (Pass::Probe, End::Failed) => Some(self.open(&mut state, at.now, chance)),
            // It began before the breaker opened, and says nothing about the tier of today.
            (Pass::Free, End::Failed) if state.phase != Phase::Closed => None,
            (Pass::Free, End::Failed) => {
                let in_a_row = self.failures_in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
                if in_a_row == 1 {
                    state.comebacks = at.comebacks;
                }
                state.failed.add(at.now);
                let has_to_open =
                    in_a_row >= self.spec.failures || self.too_many_fail(&state, at.now);
                has_to_open.then(|| self.open(&mut state, at.now, chance))
            }
        }
    }

    /// Whether too large a share of the calls of the last seconds failed.
    fn too_many_fail(&self, state: &State, now: Moment) -> bool {
        let failed = state.failed.sum(now);
        let calls = failed + self.answered.sum(now);
        calls >= LEAST_CALLS && 2 * failed >= calls
    }

    pub(crate) fn phase(&self) -> Phase {
        self.lock().phase
    }

    /// Whether it is open although the backend has come back since.
    pub(crate) fn is_outdated(&self, at: Situation) -> bool {
        let state = self.lock();
        matches!(state.phase, Phase::Open { .. }) && state.has_come_back(at)
    }

    fn open(&self, state: &mut State, now: Moment, chance: f64) -> Change {
        let factor = 1_u32.checked_shl(state.opened).unwrap_or(u32::MAX);
        let longest = self.spec.open_for.saturating_mul(factor).min(self.spec.max_open_for);
        let pause = longest.mul_f64(chance.clamp(0.0, 1.0).mul_add(0.5, 0.5));
        state.opened = state.opened.saturating_add(1).min(31);
        state.phase = Phase::Open { until: now.after(pause) };
        self.is_closed.store(false, Ordering::Release);
        Change::Opened(pause)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    const fn has_come_back(&self, at: Situation) -> bool {
        at.comebacks != self.comebacks
    }
}

/// The number of a second, as far as it tells those of a lifetime apart.
const fn second_of(now: Moment) -> u64 {
    (now.as_nanos() / 1_000_000_000) & (u64::MAX >> COUNT_BITS)
}

impl Counts {
    fn add(&self, now: Moment) {
        let second = second_of(now);
        let place = &self.0[second as usize % WINDOW];
        let mut seen = place.load(Ordering::Relaxed);
        while seen >> COUNT_BITS != second {
            let first = second << COUNT_BITS | 1;
            match place.compare_exchange(seen, first, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => seen = other,
            }
        }
        place.fetch_add(1, Ordering::Relaxed);
    }

    /// How many ended in the last seconds.
    fn sum(&self, now: Moment) -> u64 {
        let second = second_of(now);
        let places = self.0.iter().map(|place| place.load(Ordering::Relaxed));
        let recent = places.filter(|place| (place >> COUNT_BITS) + WINDOW as u64 > second);
        recent.map(|place| place & ((1 << COUNT_BITS) - 1)).sum()
    }

    fn reset(&self) {
        self.0.iter().for_each(|place| place.store(0, Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(BreakerSpec::default())
    }

    fn at(millis: u64) -> Situation {
        Situation { now: Moment::from_nanos(millis * 1_000_000), comebacks: 0 }
    }

    fn call(breaker: &Breaker, at: Situation, end: End) -> (Pass, Option<Change>) {
        let (pass, _) = breaker.pass(at, true);
        (pass, breaker.end(pass, end, at, 1.0))
    }

    fn fail(breaker: &Breaker, times: usize) {
        for _ in 0..times {
            call(breaker, at(0), End::Failed);
        }
    }

    #[test]
    fn it_opens_when_calls_fail_in_a_row_and_not_when_one_of_them_answers() {
        let breaker = breaker();
        for end in [End::Failed, End::Failed, End::Failed, End::Failed, End::Answered] {
            assert_eq!(call(&breaker, at(0), end), (Pass::Free, None));
        }
        for _ in 0..4 {
            assert_eq!(call(&breaker, at(0), End::Failed).1, None);
        }
        let opened = Some(Change::Opened(Duration::from_secs(1)));
        assert_eq!(call(&breaker, at(0), End::Failed).1, opened);
        assert_eq!(call(&breaker, at(999), End::Answered), (Pass::Refused, None));
    }

    #[test]
    fn it_opens_when_half_of_many_calls_fail_within_ten_seconds() {
        let breaker = breaker();
        let call_at = |second: u64, end| call(&breaker, at(second * 1000), end).1;
        for _ in 0..10 {
            assert_eq!(call_at(0, End::Answered), None);
        }
        for second in 1..10 {
            assert_eq!(call_at(second, End::Answered), None);
            assert_eq!(call_at(second, End::Failed), None, "less than half in second {second}");
        }
        assert_eq!(
            call_at(10, End::Failed),
            None,
            "too few calls without those of ten seconds ago"
        );
        assert!(call_at(10, End::Failed).is_some(), "ten of twenty");
    }

    #[test]
    fn one_call_decides_whether_it_closes_or_opens_for_twice_as_long() {
        let breaker = breaker();
        fail(&breaker, 5);
        let mut now = at(0);
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            now.now = now.now.after(Duration::from_secs(seconds));
            assert_eq!(breaker.pass(now, false), (Pass::Refused, None), "not this one");
            assert_eq!(breaker.pass(now, true), (Pass::Probe, Some(Change::HalfOpen)));
            assert_eq!(breaker.pass(now, true), (Pass::Refused, None), "one at a time");
            let next = Duration::from_secs((seconds * 2).min(30));
            let change = breaker.end(Pass::Probe, End::Failed, now, 1.0);
            assert_eq!(change, Some(Change::Opened(next)));
        }
        now.now = now.now.after(Duration::from_secs(30));
        assert_eq!(breaker.pass(now, true).0, Pass::Probe);
        assert_eq!(breaker.end(Pass::Probe, End::Unknown, now, 1.0), None);
        assert_eq!(breaker.pass(now, true), (Pass::Probe, None), "the other went away");
        let closed = breaker.end(Pass::Probe, End::Answered, now, 1.0);
        assert_eq!(closed, Some(Change::Closed));
        (0..4).for_each(|_| assert_eq!(call(&breaker, now, End::Failed), (Pass::Free, None)));
        let opened = Some(Change::Opened(Duration::from_secs(1)));
        assert_eq!(call(&breaker, now, End::Failed).1, opened, "it begins with a second again");
    }

    #[test]
    fn a_backend_that_has_come_back_is_tried_once_for_each_time_that_it_has() {
        let breaker = breaker();
        let back = |comebacks| Situation { comebacks, ..at(1) };
        (0..5).for_each(|_| assert_eq!(call(&breaker, back(7), End::Failed).0, Pass::Free));
        assert_eq!(breaker.pass(back(7), true), (Pass::Refused, None), "as often as before");
        assert!(!breaker.is_outdated(back(7)) && breaker.is_outdated(back(8)));
        for comebacks in 8..20 {
            let now = back(comebacks);
            assert_eq!(breaker.pass(now, false), (Pass::Refused, None), "not this one");
            assert_eq!(breaker.pass(now, true), (Pass::Probe, Some(Change::HalfOpen)));
            assert_eq!(breaker.pass(now, true), (Pass::Refused, None), "one at a time");
            let change = breaker.end(Pass::Probe, End::Failed, now, 1.0);
            assert!(matches!(change, Some(Change::Opened(_))));
            assert_eq!(breaker.pass(now, true), (Pass::Refused, None), "it has been tried");
        }
        assert_eq!(breaker.pass(back(20), true).0, Pass::Probe);
        assert_eq!(breaker.end(Pass::Probe, End::Answered, back(21), 1.0), Some(Change::Closed));
    }

    #[test]
    fn a_backend_that_came_back_while_it_was_found_to_fail_is_tried_at_once() {
        let breaker = breaker();
        let back = Situation { comebacks: 1, ..at(0) };
        fail(&breaker, 1);
        (0..4).for_each(|_| assert_eq!(call(&breaker, back, End::Failed).0, Pass::Free));
        assert_eq!(breaker.pass(back, true).0, Pass::Probe, "who knows which of them it was");
        let failed = breaker.end(Pass::Probe, End::Failed, back, 1.0);
        assert_eq!(failed, Some(Change::Opened(Duration::from_secs(2))));
        assert_eq!(breaker.pass(back, true).0, Pass::Refused);
    }

    #[test]
    fn a_call_of_before_it_opened_changes_nothing() {
        let breaker = breaker();
        let (late, _) = breaker.pass(at(0), true);
        fail(&breaker, 5);
        assert_eq!(breaker.end(late, End::Answered, at(0), 1.0), None);
        assert_eq!(breaker.phase(), Phase::Open { until: at(1000).now });
    }

    #[test]
    fn chance_shortens_a_pause_by_no_more_than_half() {
        for (chance, millis) in [(0.0, 500), (0.5, 750), (1.0, 1000)] {
            let breaker = Breaker::new(BreakerSpec::default());
            let mut changes =
                (0..5).filter_map(|_| breaker.end(Pass::Free, End::Failed, at(0), chance));
            assert_eq!(changes.next(), Some(Change::Opened(Duration::from_millis(millis))));
        }
    }
}
