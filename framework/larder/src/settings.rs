//! What a cache was told by its config, and the lives of entries that follow from it.

use std::sync::Arc;
use std::time::Duration;

use larder_config::model::CacheSpec;
use larder_core::{Clock, EntryMeta, Life, Moment, RefreshAhead, Share, Tier, Timestamp};
use larder_store::NewAge;

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
    pub(crate) stale_for: Option<Life>,
    /// By which the source of a loaded value tells its versions apart.
    pub(crate) etag: Option<Arc<str>>,
    /// What a load cost, if somebody measured.
    pub(crate) cost: Duration,
    /// Whether it matters how old the entry is, whatever the config says.
    pub(crate) is_aging: bool,
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

    /// How long past its ttl the entry is kept, to be served when loading it anew fails;
    /// [`Life::Never`] for not at all.
    pub fn stale_for(mut self, stale_for: impl Into<Life>) -> Self {
        self.stale_for = Some(stale_for.into());
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
        let is_kept = self.stale_for.is_some() || self.is_aging || self.etag.is_some();
        let is_everywhere = self.skip.is_empty();
        !is_mortal && self.tags.is_empty() && self.weight.is_none() && !is_kept && is_everywhere
    }

    /// These options, and what they leave open as in others. The tags are those of both.
    pub(crate) fn over(self, below: Self) -> Self {
        let mut tags = below.tags;
        tags.extend(self.tags);
        Self {
            ttl: self.ttl.or(below.ttl),
            idle_ttl: self.idle_ttl.or(below.idle_ttl),
            tags,
            weight: self.weight.or(below.weight),
            stale_for: self.stale_for.or(below.stale_for),
            etag: self.etag.or(below.etag),
            cost: self.cost.max(below.cost),
            is_aging: self.is_aging || below.is_aging,
            skip: self.skip.and(below.skip),
        }
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

/// What is done about loads that are slow or fail, and before they are due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Terms {
    /// How long past its end an entry is kept.
    pub(crate) stale_for: Duration,
    /// For how long a failed load is not tried again while there is a stale entry.
    pub(crate) stale_retry: Duration,
    pub(crate) soft_timeout: Option<Duration>,
    pub(crate) hard_timeout: Option<Duration>,
    pub(crate) refresh_ahead: Option<RefreshAhead>,
    pub(crate) background: bool,
    pub(crate) lease: bool,
}

/// How much longer than its callers wait a load may go on.
const BACKGROUND_FACTOR: u32 = 10;

impl Terms {
    /// Whether entries are of use past their end.
    pub(crate) fn keep_stale(&self) -> bool {
        !self.stale_for.is_zero()
    }

    /// How long the loader itself may run. One that never ends would hold its key for ever.
    pub(crate) fn load_limit(&self) -> Option<Duration> {
        let factor = if self.background { BACKGROUND_FACTOR } else { 1 };
        self.hard_timeout.map(|limit| limit.saturating_mul(factor))
    }

    /// Whether it matters how long a load takes.
    pub(crate) const fn are_timed(&self) -> bool {
        self.soft_timeout.is_some() || self.hard_timeout.is_some() || self.refresh_ahead.is_some()
    }

    /// Whether nobody waits any more for a load that took this long.
    pub(crate) fn is_late(&self, took: Duration) -> bool {
        let soft = self.soft_timeout.filter(|_| self.keep_stale());
        [soft, self.hard_timeout].into_iter().flatten().any(|limit| took >= limit)
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
    pub(crate) terms: Terms,
    /// Whether entries of some keys are loaded again before their end: only then a hit looks at
    /// their age.
    pub(crate) may_refresh: bool,
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
            terms: Terms {
                stale_for: spec.resilience.stale_for,
                stale_retry: spec.resilience.stale_retry,
                soft_timeout: spec.resilience.soft_timeout,
                hard_timeout: spec.resilience.hard_timeout,
                refresh_ahead: spec.refresh_ahead,
                background: spec.resilience.background,
                lease: spec.resilience.lease,
            },
            may_refresh: spec.refresh_ahead.is_some(),
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
        let lives = self.lives_of(ttl.duration(), idle, clock);
        let stale = self.terms.stale_for;
        Lives { stale, is_aging: !stale.is_zero() || self.may_refresh, ..lives }
    }

    /// The lives of a remembered "there is none"; `None` when it is not remembered. It is not kept
    /// past its end: a value may have come into being.
    pub(crate) fn negative_lives(&self, clock: &dyn Clock) -> Option<Lives> {
        Some(self.lives_of(Some(self.jittered(self.negative_ttl?)), None, clock))
    }

    fn lives_of(&self, ttl: Option<Duration>, idle: Option<Duration>, clock: &dyn Clock) -> Lives {
        Lives {
            deadline: ttl.map(|ttl| clock.now().after(ttl)),
            wall: ttl.filter(|_| self.is_wall_kept).map(|ttl| clock.wall().after(ttl)),
            idle,
            is_over: ttl.is_some_and(|ttl| ttl.is_zero()),
            ..Lives::default()
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
    /// How long it is kept past its end.
    pub(crate) stale: Duration,
    /// What it cost to load, if somebody measured.
    pub(crate) cost: Duration,
    /// Whether it matters how old it is.
    pub(crate) is_aging: bool,
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
        Self { deadline, wall, idle, ..Self::default() }
    }

    /// The lives of an entry of a tier, which may be past its end already.
    pub(crate) fn of_entry(meta: &EntryMeta, settings: &Settings, clock: &dyn Clock) -> Self {
        let end = match (meta.soft_deadline, meta.hard_deadline) {
            (Some(soft), Some(hard)) => Some(soft.min(hard)),
            (soft, hard) => soft.or(hard),
        };
        let idle = settings.idle_ttl.duration();
        let stale = meta.hard_deadline.zip(end).map(|(hard, end)| hard.since(end));
        // An entry that is stale ended before now, and is kept for so much shorter from now on.
        let late = end.map_or(Duration::ZERO, |end| clock.wall().since(end));
        let stale = stale.unwrap_or_default().saturating_sub(late);
        let is_aging = !stale.is_zero() || settings.may_refresh;
        Self { stale, cost: meta.load_cost, is_aging, ..Self::until(end, idle, clock) }
    }

    /// What the store is told of an entry that ages and ends at `deadline`.
    pub(crate) fn ageing(&self, deadline: Option<Moment>, clock: &dyn Clock) -> Option<NewAge> {
        let deadline = deadline.filter(|_| self.is_aging)?;
        Some(NewAge::new(clock.now(), deadline.after(self.stale), self.cost))
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
            terms: Terms {
                stale_for: Duration::ZERO,
                stale_retry: Duration::ZERO,
                soft_timeout: None,
                hard_timeout: None,
                refresh_ahead: None,
                background: true,
                lease: true,
            },
            may_refresh: false,
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
