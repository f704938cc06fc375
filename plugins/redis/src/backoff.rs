//! [`Backoff`]: how long to wait before the next attempt.

use std::time::Duration;

/// None is shorter than this, so that a server that is back is not stormed.
const SHORTEST: Duration = Duration::from_millis(10);

/// Waits that grow, each by chance between nothing and its bound ("full jitter"), so that many
/// programs that lost the same server do not come back at the same moment.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    failures: u32,
}

impl Backoff {
    /// The first wait is at most `first`, and each further one at most twice the one before.
    pub(crate) const fn new(first: Duration) -> Self {
        Self { first, failures: 0 }
    }

    /// The wait before the next attempt, which is not more than `longest`.
    pub(crate) fn next(&mut self, longest: Duration) -> Duration {
        let bound = self.first.saturating_mul(1 << self.failures.min(16)).min(longest);
        self.failures = self.failures.saturating_add(1);
        bound.mul_f64(fastrand::f64()).max(SHORTEST)
    }

    /// Begins again with short waits.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(50);

    const LONGEST: Duration = Duration::from_secs(5);

    #[test]
    fn waits_grow_to_the_longest_and_differ() {
        let mut longest = Duration::ZERO;
        for _ in 0..200 {
            let mut backoff = Backoff::new(FIRST);
            for failures in 0..40 {
                let wait = backoff.next(LONGEST);
                let bound = FIRST * (1 << failures.min(16));
                assert!(wait >= SHORTEST && wait <= bound.min(LONGEST), "{failures}: {wait:?}");
                longest = longest.max(wait);
            }
        }
        assert!(longest > LONGEST / 2, "{longest:?}");
        let mut one = Backoff { failures: 9, ..Backoff::new(FIRST) };
        let waits: std::collections::BTreeSet<_> = (0..10).map(|_| one.next(LONGEST)).collect();
        assert!(waits.len() > 1);
        one.reset();
        assert!(one.next(LONGEST) <= FIRST);
    }
}
