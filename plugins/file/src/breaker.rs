//! [`Breaker`], which keeps writes away from a disk that is full.
//!
//! Making room costs a walk over the whole directory. On a disk that somebody else fills it helps
//! nothing, so after it failed all writes fail at once for a while: one second first, and twice as
//! long each time, up to a minute.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use larder_core::Moment;

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Whether writes are tried at all.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// So that a write on a healthy disk takes no lock.
    is_tripped: AtomicBool,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    until: Moment,
    pause: Duration,
}

impl Breaker {
    /// Whether writes fail at once.
    pub(crate) fn is_open(&self, now: Moment) -> bool {
        self.is_tripped.load(Ordering::Relaxed) && now < self.state().until
    }

    /// The disk is full, and nothing could be done about it.
    pub(crate) fn trip(&self, now: Moment) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Writes that were on their way together trip it once.
        if now >= state.until {
            state.pause = (state.pause * 2).clamp(SHORTEST, LONGEST);
            state.until = now.after(state.pause);
        }
        self.is_tripped.store(true, Ordering::Relaxed);
    }

    /// A write succeeded.
    pub(crate) fn reset(&self) {
        if self.is_tripped.swap(false, Ordering::Relaxed) {
            *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
        }
    }

    fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_end_with_a_success() {
        let breaker = Breaker::default();
        let mut now = Moment::default();
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(!breaker.is_open(now));
            breaker.trip(now);
            breaker.trip(now);
            let last = now.after(Duration::from_secs(seconds) - Duration::from_nanos(1));
            assert!(breaker.is_open(last), "{seconds}");
            now = now.after(Duration::from_secs(seconds));
        }
        assert!(!breaker.is_open(now));
        breaker.trip(now);
        breaker.reset();
        assert!(!breaker.is_open(now));
        breaker.trip(now);
        assert!(!breaker.is_open(now.after(SHORTEST)), "it begins with a second again");
    }
}
