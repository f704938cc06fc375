//! [`Pause`], how long to wait before something that failed is tried again.

use std::time::Duration;

use larder_core::Moment;

/// The first pause is at most so long, and every further one may be twice that.
const FIRST: Duration = Duration::from_millis(250);

/// No pause is longer.
const LONGEST: Duration = Duration::from_secs(60);

/// What works for so long is sound: the next pause is a first one again.
const SOUND_AFTER: Duration = Duration::from_secs(300);

/// How often something failed in a row, and when it may be tried again.
#[derive(Debug)]
pub(super) struct Pause {
    in_a_row: u32,
    /// When it last began to work.
    since: Moment,
    retry_at: Option<Moment>,
    random: fastrand::Rng,
}

impl Pause {
    pub(super) fn new(random: fastrand::Rng) -> Self {
        Self { in_a_row: 0, since: Moment::default(), retry_at: None, random }
    }

    /// It works from now on.
    pub(super) fn works(&mut self, now: Moment) {
        (self.since, self.retry_at) = (now, None);
    }

    /// It failed now. Returns the pause: any time up to the longest for this failure, so that the
    /// processes of many machines do not come back at once.
    pub(super) fn failed(&mut self, now: Moment) -> Duration {
        let worked = self.retry_at.is_none();
        if worked && now.since(self.since) > SOUND_AFTER {
            self.in_a_row = 0;
        }
        let most = FIRST.saturating_mul(1 << self.in_a_row.min(16)).min(LONGEST);
        self.in_a_row = self.in_a_row.saturating_add(1);
        let pause = most.mul_f64(self.random.f64());
        self.retry_at = Some(now.after(pause));
        pause
    }

    /// Whether it may be tried.
    pub(super) fn is_over(&self, now: Moment) -> bool {
        self.retry_at.is_none_or(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit_and_are_short_again_after_a_long_life() {
        let seed = fastrand::u64(..);
        let mut pause = Pause::new(fastrand::Rng::with_seed(seed));
        let mut now = Moment::default();
        pause.works(now);
        let mut most = FIRST;
        for failure in 0..40 {
            let found = pause.failed(now);
            assert!(found <= most, "seed {seed}, failure {failure}: {found:?}");
            assert!(pause.is_over(now.after(found)), "seed {seed}");
            now = now.after(found);
            pause.works(now);
            most = (most * 2).min(LONGEST);
        }
        assert!((0..100).any(|_| pause.failed(now) > LONGEST / 2), "seed {seed}");
        pause.works(now);
        let later = now.after(SOUND_AFTER * 2);
        assert!(pause.failed(later) <= FIRST, "seed {seed}");
    }
}
