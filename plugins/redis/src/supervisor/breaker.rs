//! [`Breaker`]: stops asking a server that leaves callers waiting, until it answers again.
//!
//! A server that is away is the business of the [supervisor](super). This is about the one that
//! takes commands and does not answer them in time: after a few failures callers are turned away
//! at once. When the server has answered a question of the supervisor, one caller may try.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// So many failures in a row open the breaker.
const IN_A_ROW: u32 = 5;

/// Within this time, half of at least [`ENOUGH`] calls open it as well.
const WINDOW: Duration = Duration::from_secs(10);

/// See [`WINDOW`].
const ENOUGH: u32 = 20;

const CLOSED: u8 = 0;
const OPEN: u8 = 1;
const HALF_OPEN: u8 = 2;
const TRIAL: u8 = 3;

/// Counts failures, and turns callers away when there are too many.
#[derive(Debug)]
pub(super) struct Breaker {
    state: AtomicU8,
    in_a_row: AtomicU32,
    calls: AtomicU32,
    failures: AtomicU32,
    window_began: AtomicU64,
    origin: Instant,
}

/// The right to make one call. Dropped without a verdict, it says nothing.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    breaker: &'a Breaker,
    is_trial: bool,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self {
            state: AtomicU8::new(CLOSED),
            in_a_row: AtomicU32::new(0),
            calls: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            window_began: AtomicU64::new(0),
            origin: Instant::now(),
        }
    }

    /// Asks for the right to make a call.
    pub(super) fn admit(&self) -> Option<Permit<'_>> {
        match self.state.load(Ordering::Acquire) {
            CLOSED => Some(Permit { breaker: self, is_trial: false }),
            HALF_OPEN => {
                let taken = self.state.compare_exchange(
                    HALF_OPEN,
                    TRIAL,
                    Ordering::AcqRel,
                    Ordering::Acquire,
                );
                taken.is_ok().then_some(Permit { breaker: self, is_trial: true })
            }
            _ => None,
        }
    }

    /// The server has answered: one caller may try. Whether it was open.
    pub(super) fn half_open(&self) -> bool {
        self.state.compare_exchange(OPEN, HALF_OPEN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(super) fn is_open(&self) -> bool {
        self.state.load(Ordering::Acquire) == OPEN
    }

    /// Whether it waits for a caller who tries.
    pub(super) fn is_half_open(&self) -> bool {
        self.state.load(Ordering::Acquire) == HALF_OPEN
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.load(Ordering::Acquire) == CLOSED
    }

    /// Forgets everything: the server answers again.
    fn reset(&self) {
        self.in_a_row.store(0, Ordering::Relaxed);
        self.calls.store(0, Ordering::Relaxed);
        self.failures.store(0, Ordering::Relaxed);
        self.state.store(CLOSED, Ordering::Release);
    }

    fn count_failure(&self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.origin).as_millis();
        let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
        let began = self.window_began.load(Ordering::Relaxed);
        if Duration::from_millis(elapsed.saturating_sub(began)) > WINDOW {
            self.window_began.store(elapsed, Ordering::Relaxed);
            self.calls.store(0, Ordering::Relaxed);
            self.failures.store(0, Ordering::Relaxed);
        }
        let calls = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        let in_a_row = self.in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
        in_a_row >= IN_A_ROW || (calls >= ENOUGH && failures * 2 >= calls)
    }
}

impl Permit<'_> {
    /// Whether the breaker waits for what becomes of this call.
    pub(super) const fn is_trial(&self) -> bool {
        self.is_trial
    }

    /// The call was answered; whether that closed the breaker.
    pub(super) fn succeeded(mut self) -> bool {
        if self.breaker.in_a_row.load(Ordering::Relaxed) != 0 {
            self.breaker.in_a_row.store(0, Ordering::Relaxed);
        }
        self.breaker.calls.fetch_add(1, Ordering::Relaxed);
        if std::mem::take(&mut self.is_trial) {
            self.breaker.reset();
            return true;
        }
        false
    }

    /// The call was not answered; whether that opened the breaker.
    pub(super) fn failed(mut self) -> bool {
        let is_too_much = self.breaker.count_failure(Instant::now());
        if std::mem::take(&mut self.is_trial) {
            self.breaker.state.store(OPEN, Ordering::Release);
            return true;
        }
        is_too_much && self.breaker.state.swap(OPEN, Ordering::AcqRel) == CLOSED
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.is_trial {
            // Its caller went away, so another one may try.
            self.breaker.state.store(HALF_OPEN, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(breaker: &Breaker, is_good: bool) -> bool {
        match breaker.admit() {
            Some(permit) if is_good => permit.succeeded(),
            Some(permit) => permit.failed(),
            None => panic!("the breaker is open"),
        }
    }

    #[test]
    fn five_failures_in_a_row_turn_callers_away_until_one_call_succeeds() {
        let breaker = Breaker::new();
        for _ in 0..20 {
            assert!((0..4).all(|_| !call(&breaker, false)));
            // One that succeeds begins the row anew, and keeps the share below one half.
            assert!((0..12).all(|_| !call(&breaker, true)));
        }
        assert!((0..4).all(|_| !call(&breaker, false)));
        assert!(call(&breaker, false), "the fifth opens it");
        assert!(breaker.is_open() && breaker.admit().is_none());

        breaker.half_open();
        let trial = breaker.admit().unwrap();
        assert!(breaker.admit().is_none(), "one caller tries, not two");
        drop(trial);
        assert!(call(&breaker, false), "and fails");
        assert!(breaker.admit().is_none());

        breaker.half_open();
        assert!(call(&breaker, true));
        assert!(breaker.is_closed());
    }

    #[test]
    fn half_of_many_calls_failing_is_too_much() {
        let breaker = Breaker::new();
        let opened = (0..40).position(|index| call(&breaker, index % 2 == 0));
        assert_eq!(opened, Some(19), "with the twentieth call");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_of_long_ago_do_not_count() {
        let breaker = Breaker::new();
        for index in 0..19 {
            assert!(!call(&breaker, index % 2 == 0));
        }
        tokio::time::advance(WINDOW + Duration::from_secs(1)).await;
        assert!(!call(&breaker, false));
        assert!(!call(&breaker, true));
        assert!(breaker.is_closed());
    }
}
