//! [`HillClimber`], which changes a share as long as that raises the hit ratio.
//!
//! As in Einziger, Eytan, Friedman and Manes, "Adaptive software cache management" (Middleware
//! 2018): compare the hit ratio of a sample with that of the sample before, go on in the same
//! direction if it rose, turn round if it fell. Steps get smaller until the hit ratio changes a
//! lot, which is what a new workload looks like. Samples and steps are half of what the Caffeine
//! library takes: as quick, and less is lost by a step in the wrong direction.

/// Requests per entry of a sample.
const SAMPLE: usize = 5;
/// The first step, as a part of the whole.
const STEP: f64 = 0.03;
/// How much smaller each step is than the one before.
const DECAY: f64 = 0.98;
/// The change of the hit ratio that starts all over.
const RESTART: f64 = 0.05;

/// Counts hits and says what to change.
#[derive(Debug)]
pub(crate) struct HillClimber {
    hits: usize,
    requests: usize,
    last_ratio: f64,
    step: f64,
}

impl Default for HillClimber {
    fn default() -> Self {
        Self { hits: 0, requests: 0, last_ratio: 0.0, step: STEP }
    }
}

impl HillClimber {
    /// Notes a request; by how much to change the share, 0 unless a sample is complete.
    pub(crate) fn note(&mut self, was_hit: bool, entries: usize) -> f64 {
        self.requests += 1;
        self.hits += usize::from(was_hit);
        if self.requests < SAMPLE * entries.max(1) {
            return 0.0;
        }
        let ratio = self.hits as f64 / self.requests as f64;
        let gain = ratio - self.last_ratio;
        let change = if gain >= 0.0 { self.step } else { -self.step };
        let next = if gain.abs() >= RESTART { STEP.copysign(change) } else { DECAY * change };
        *self = Self { hits: 0, requests: 0, last_ratio: ratio, step: next };
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the climber ends up on a hill with its top at `top`.
    fn climb(climber: &mut HillClimber, share: &mut f64, top: f64) {
        for sample in 0..600 {
            let ratio = 0.9 - (*share - top).abs();
            for request in 0..500 {
                *share += climber.note(f64::from(request) < ratio * 500.0, 100);
            }
            assert!((-0.2..=1.2).contains(share), "{share} after {sample} samples");
        }
    }

    #[test]
    fn the_top_is_found_and_found_again_when_it_moves() {
        let (mut climber, mut share) = (HillClimber::default(), 0.01);
        climb(&mut climber, &mut share, 0.6);
        assert!((share - 0.6).abs() < 0.05, "{share}");
        climb(&mut climber, &mut share, 0.5);
        assert!((share - 0.5).abs() < 0.1, "{share}");
    }
}
