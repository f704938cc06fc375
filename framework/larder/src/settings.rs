//! What a cache was told by its config, and the lives of entries that follow from it.

use std::time::Duration;

use larder_config::model::CacheSpec;
use larder_core::{Clock, Life, Moment, Share, Tier, Timestamp};

use crate::engine::TierSet;

/// Options of one `set`. What is left out is taken from the config of the cache.
///
/// ```
/// use std::time::Duration;
/// use larder::SetOptions;
///
/// let options = SetOptions::new().ttl(Duration::from_secs(60)).tag("org:7").weight(3);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "hand it to `set_with`"]
pub struct SetOptions {
    pub(crate) ttl: Option<Life>,
    pub(crate) idle_ttl: Option<Life>,
    pub(crate) tags: Vec<String>,
    pub(crate) weight: Option<u32>,
    pub(crate) skip: TierSet,
}

impl SetOptions {
    /// Everything as the config says.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long the entry lives: a `Duration`, or [`Life::Never`]. A life of zero stores nothing
    /// and removes what was there.
    pub fn ttl(mut self, ttl: impl Into<Life>) -> Self {
        self.ttl = Some(ttl.into());
        self
    }

    /// How long the entry lives when nobody reads it.
    pub fn idle_ttl(mut self, ttl: impl Into<Life>) -> Self {
        self.idle_ttl = Some(ttl.into());
        self
    }

    /// Adds a tag; see [`Cache::invalidate_tag`](crate::Cache::invalidate_tag). At most 32.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Adds tags.
    pub fn tags<I, S>(mut self, tags: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.tags.extend(tags.into_iter().map(Into::into));
        self
    }

    /// Whether nothing is said about the entry.
    pub(crate) const fn are_plain(&self) -> bool {
        let is_mortal = self.ttl.is_some() || self.idle_ttl.is_some();
        !is_mortal && self.tags.is_empty() && self.weight.is_none() && self.skip.is_empty()
    }

    /// Leaves a tier out: the entry is not written to it, and what it has of the key stays. Only a
    /// memory tier in front is emptied of the key then, as it would answer first. Reads are not
    /// concerned; see [`ReadOptions::skip`](crate::ReadOptions::skip).
    pub const fn skip(mut self, tier: Tier) -> Self {
        self.skip = self.skip.with(tier);
        self
    }

    /// What the entry weighs against `max_bytes`. Default: its size in serialized form.
    pub const fn weight(mut self, weight: u32) -> Self {
        self.weight = Some(weight);
        self
    }
}

/// The part of the config that is asked while the cache works.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) ttl: Life,
    pub(crate) idle_ttl: Life,
    pub(crate) jitter: Share,
    pub(crate) negative_ttl: Option<Duration>,
    pub(crate) max_value_bytes: Option<u64>,
    pub(crate) single_flight: bool,
    pub(crate) load_limit: Option<Duration>,
    /// Whether anything keeps the end of an entry by the wall clock: tiers that keep bytes do.
    pub(crate) is_wall_kept: bool,
}

impl Settings {
    pub(crate) fn new(spec: &CacheSpec) -> Self {
        Self {
            ttl: spec.ttl,
            idle_ttl: spec.idle_ttl,
            jitter: spec.ttl_jitter,
            negative_ttl: spec.negative_ttl,
            max_value_bytes: spec.max_value_bytes,
            single_flight: spec.resilience.single_flight,
            load_limit: spec.resilience.hard_timeout,
            is_wall_kept: true,
        }
    }

    /// Whether every entry is taken, and lives for ever, of which nobody says otherwise.
    pub(crate) fn are_plain(&self) -> bool {
        let lives = [self.ttl, self.idle_ttl];
        lives.iter().all(|life| life.duration().is_none()) && self.max_value_bytes.is_none()
    }

    /// The lives of an entry that is stored now, for as long as it is told to live or else as the
    /// config says. Reads no clock when nothing expires.
    pub(crate) fn lives(
        &self,
        ttl: Option<Life>,
        idle_ttl: Option<Life>,
        clock: &dyn Clock,
    ) -> Lives {
        let ttl = match ttl.unwrap_or(self.ttl) {
            Life::For(ttl) => Life::For(self.jittered(ttl)),
            life => life,
        };
        let idle = idle_ttl.unwrap_or(self.idle_ttl).duration();
        self.lives_of(ttl.duration(), idle, clock)
    }

    /// The lives of a remembered "there is none"; `None` when it is not remembered.
    pub(crate) fn negative_lives(&self, clock: &dyn Clock) -> Option<Lives> {
        Some(self.lives_of(Some(self.negative_ttl?), None, clock))
    }

    fn lives_of(&self, ttl: Option<Duration>, idle: Option<Duration>, clock: &dyn Clock) -> Lives {
        Lives {
            deadline: ttl.map(|ttl| clock.now().after(ttl)),
            wall: ttl.filter(|_| self.is_wall_kept).map(|ttl| clock.wall().after(ttl)),
            idle,
            is_over: ttl.is_some_and(|ttl| ttl.is_zero()),
        }
    }

    /// Spreads expiry up and down, so that entries stored together do not expire together.
    fn jittered(&self, ttl: Duration) -> Duration {
        let share = self.jitter.get();
        if share <= 0.0 || ttl.is_zero() {
            return ttl;
        }
        let factor = share.mul_add(fastrand::f64().mul_add(2.0, -1.0), 1.0);
        ttl.mul_f64(factor.max(0.0)).max(Duration::from_nanos(1))
    }
}

/// When an entry ends, on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lives {
    pub(crate) deadline: Option<Moment>,
    pub(crate) wall: Option<Timestamp>,
    pub(crate) idle: Option<Duration>,
    /// Stored for no time at all.
    pub(crate) is_over: bool,
}

impl Lives {
    /// The lives of an entry that a tier knows to end at `wall`.
    pub(crate) fn until(
        wall: Option<Timestamp>,
        idle: Option<Duration>,
        clock: &dyn Clock,
    ) -> Self {
        let deadline = wall.map(|wall| clock.now().after(wall.since(clock.wall())));
        Self { deadline, wall, idle, is_over: false }
    }

    /// The end of the entry in this process, or that of the longest life of a tier if it is sooner.
    pub(crate) fn deadline_within(&self, tier: Option<Life>, clock: &dyn Clock) -> Option<Moment> {
        let Some(Life::For(limit)) = tier else {
            return self.deadline;
        };
        let limit = clock.now().after(limit);
        Some(self.deadline.map_or(limit, |own| own.min(limit)))
    }
}

#[cfg(test)]
mod tests {
    use larder_core::ManualClock;

    use super::*;

    fn settings(jitter: f64) -> Settings {
        Settings {
            ttl: Life::For(Duration::from_secs(100)),
            idle_ttl: Life::Never,
            jitter: Share::new(jitter).unwrap(),
            negative_ttl: None,
            max_value_bytes: None,
            single_flight: true,
            load_limit: None,
            is_wall_kept: true,
        }
    }

    #[test]
    fn jitter_spreads_the_ttl_within_its_share() {
        let clock = ManualClock::new();
        let lives: Vec<_> = (0..200)
            .map(|_| settings(0.1).lives(None, None, &clock).deadline.unwrap().since(clock.now()))
            .collect();
        let (low, high) = (Duration::from_secs(90), Duration::from_secs(110));
        assert!(lives.iter().all(|life| (low..=high).contains(life)), "{lives:?}");
        assert!(lives.iter().any(|life| *life != lives[0]), "drawn once per entry");
    }

    #[test]
    fn the_call_wins_over_the_config_and_the_tier_bounds_both() {
        let clock = ManualClock::new();
        let lives = settings(0.0).lives(Some(Life::Never), None, &clock);
        assert_eq!(lives.deadline, None);
        let limited = lives.deadline_within(Some(Life::For(Duration::from_secs(5))), &clock);
        assert_eq!(limited, Some(clock.now().after(Duration::from_secs(5))));
    }
}
