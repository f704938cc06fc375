//! What a tier and its breaker say to each other: who is let through, and how it went.

use larder_core::{Moment, telemetry};

use super::{ByteTier, count};
use crate::breaker::{Breaker, Change, End, Pass, Phase, Situation};

/// A call that was let through; tells the breaker how it ended, even if nobody waited for that.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    tier: &'a ByteTier,
    pub(crate) pass: Pass,
    pub(crate) end: End,
}

impl<'a> Watch<'a> {
    /// Of a call that was made as any other, and has ended.
    pub(super) const fn free(tier: &'a ByteTier, end: End) -> Self {
        Self { tier, pass: Pass::Free, end }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let Some(breaker) = &self.tier.breaker else { return };
        match (self.pass, self.end) {
            (Pass::Free, End::Unknown) => {}
            (Pass::Free, End::Answered) => breaker.answered(self.tier.clock.now_coarse()),
            (pass, end) => {
                let at = self.tier.situation();
                self.tier.tell(breaker.end(pass, end, at, fastrand::f64()));
            }
        }
    }
}

impl ByteTier {
    /// Lets a call through, unless the breaker says no.
    pub(crate) fn admit(&self, may_probe: bool) -> Option<Watch<'_>> {
        let pass = match &self.breaker {
            None => Pass::Free,
            Some(breaker) if breaker.is_closed() => Pass::Free,
            Some(breaker) => {
                let (pass, change) = breaker.pass(self.situation(), may_probe);
                self.tell(change);
                pass
            }
        };
        (pass != Pass::Refused).then_some(Watch { tier: self, pass, end: End::Unknown })
    }

    fn tell(&self, change: Option<Change>) {
        match change {
            None => {}
            Some(Change::Closed) => tracing::info!(
                target: telemetry::TARGET,
                cache = %self.cache, tier = %self.tier, "{}", telemetry::BREAKER_CLOSED
            ),
            Some(Change::HalfOpen) => tracing::info!(
                target: telemetry::TARGET,
                cache = %self.cache, tier = %self.tier, "{}", telemetry::BREAKER_HALF_OPEN
            ),
            Some(Change::Opened(pause)) => {
                count(&self.counters.opened);
                tracing::warn!(
                    target: telemetry::TARGET,
                    cache = %self.cache, tier = %self.tier, open_for = ?pause,
                    "{}", telemetry::BREAKER_OPEN
                );
            }
        }
    }

    /// What the breaker does; `None` without one.
    pub(crate) fn phase(&self) -> Option<Phase> {
        self.breaker.as_ref().map(Breaker::phase)
    }

    /// What the breaker has to know. Not asked for while all is well.
    fn situation(&self) -> Situation {
        Situation { now: self.clock.now(), comebacks: self.backend.comebacks() }
    }

    /// Whether the backend has come back, and nobody has tried yet whether it answers.
    pub(crate) fn is_back(&self) -> bool {
        self.breaker.as_ref().is_some_and(|breaker| breaker.is_outdated(self.situation()))
    }

    /// When the pause of the breaker is over; `None` when it is not open.
    pub(crate) fn open_until(&self) -> Option<Moment> {
        match self.phase() {
            Some(Phase::Open { until }) => Some(until),
            _ => None,
        }
    }
}
