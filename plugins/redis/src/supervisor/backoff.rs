//! How long to wait before the next attempt to connect.

use std::time::Duration;

/// The first waits are at most this long.
const FIRST: Duration = Duration::from_millis(50);

/// No wait is longer than this.
const LONGEST: Duration = Duration::from_secs(5);

/// None is shorter than this, so that a server that is back is not stormed.
const SHORTEST: Duration = Duration::from_millis(10);

/// Waits that grow, each by chance between nothing and its bound ("full jitter"), so that many
/// programs that lost the same server do not come back at the same moment.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait before the next attempt.
    pub(super) fn next(&mut self) -> Duration {
        let bound = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        bound.mul_f64(fastrand::f64()).max(SHORTEST)
    }

    /// Begins again with short waits.
    pub(super) const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_five_seconds_and_differ() {
        let mut longest = Duration::ZERO;
        for _ in 0..200 {
            let mut backoff = Backoff::default();
            for failures in 0..40 {
                let wait = backoff.next();
                let bound = FIRST * (1 << failures.min(16));
                assert!(wait >= SHORTEST && wait <= bound.min(LONGEST), "{failures}: {wait:?}");
                longest = longest.max(wait);
            }
        }
        assert!(longest > LONGEST / 2, "{longest:?}");
        let mut one = Backoff { failures: 9 };
        let waits: std::collections::BTreeSet<_> = (0..10).map(|_| one.next()).collect();
        assert!(waits.len() > 1);
        one.reset();
        assert!(one.next() <= FIRST);
    }
}
