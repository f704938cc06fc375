//! Statistics of a cache: [`CacheStats`], live, and [`StatsSnapshot`], the numbers of one moment.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder_core::Tier;
use larder_store::Estimates;
use serde::Serialize;

mod counters;
mod heat;
mod resilience;
mod text;
mod window;

pub(crate) use counters::Counters;
pub(crate) use heat::Heat;
pub use resilience::{ResilienceStats, StaleReason};

use crate::fence::Tally;

/// Why a key was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MissCause {
    /// The caller did not want the tier asked that may have it.
    Bypass,
    /// The cache was cleared.
    Cleared,
    /// It was never there, as far as is known.
    Cold,
    /// Its bytes could not be decoded.
    Decode,
    /// It was deleted.
    Deleted,
    /// The policy made room.
    Evicted,
    /// Its life was over.
    Expired,
    /// It matched a pattern that was deleted; or a tier that has it still is yet to be told that it
    /// is gone.
    Invalidated,
    /// One of its tags was invalidated.
    Tag,
    /// A tier that might have it could not be asked.
    TierDown,
}

impl MissCause {
    /// All causes, in the order in which statistics list them.
    pub const ALL: [Self; 10] = [
        Self::Bypass,
        Self::Cleared,
        Self::Cold,
        Self::Decode,
        Self::Deleted,
        Self::Evicted,
        Self::Expired,
        Self::Invalidated,
        Self::Tag,
        Self::TierDown,
    ];

    /// The cause as one lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Cleared => "cleared",
            Self::Cold => "cold",
            Self::Decode => "decode",
            Self::Deleted => "deleted",
            Self::Evicted => "evicted",
            Self::Expired => "expired",
            Self::Invalidated => "invalidated",
            Self::Tag => "tag",
            Self::TierDown => "tier_down",
        }
    }
}

impl fmt::Display for MissCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What statistics need to know of a cache, whatever its types.
pub(crate) trait StatsSource: Send + Sync {
    fn snapshot(&self) -> StatsSnapshot;
    fn hits(&self) -> u64;
    /// By cause, as they are declared.
    fn misses(&self) -> [u64; MissCause::ALL.len()];
    fn counters(&self) -> &Counters;
    fn hottest(&self, count: usize) -> Vec<(String, u64)>;
    fn reset(&self);
}

/// The statistics of a cache, live: asks the cache each time. Cheap to clone; keeping it keeps
/// the cache alive.
///
/// Counting costs a hit one relaxed add on a counter of its shard. Nothing is exact to the last
/// access while other threads work on the cache.
#[derive(Clone)]
pub struct CacheStats {
    source: Arc<dyn StatsSource>,
}

impl CacheStats {
    pub(crate) fn new(source: Arc<dyn StatsSource>) -> Self {
        Self { source }
    }

    /// The numbers of this moment.
    #[must_use]
    pub fn snapshot(&self) -> StatsSnapshot {
        self.source.snapshot()
    }

    /// The share of look-ups that were answered, since the start or the last reset; 0 when there
    /// were none.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        self.snapshot().hit_rate
    }

    /// The share of look-ups of the last `window` that were answered; `None` when there were none.
    ///
    /// Counters are looked at about once a second, when something misses or asks for statistics,
    /// and kept for ten minutes; the answer is for the shortest kept span that covers the window,
    /// or else for the longest.
    #[must_use]
    pub fn hit_rate_window(&self, window: Duration) -> Option<f64> {
        let counters = self.source.counters();
        let now = counters.clock.now();
        let totals = (self.source.hits(), self.source.misses().iter().sum());
        counters.window.rate(now, window, totals)
    }

    /// The keys that are read most, most first, with about how often: at most `count`, at most
    /// 128. Estimated by a Space-Saving sketch (Metwally et al., 2005) over a sample of the hits;
    /// only keys that are in the store now are named.
    ///
    /// Cost: goes through all keys of the store.
    #[must_use]
    pub fn hottest_keys(&self, count: usize) -> Vec<(String, u64)> {
        self.source.hottest(count)
    }

    /// The share of the capacity that is used; `None` without a limit.
    #[must_use]
    pub fn usage(&self) -> Option<f64> {
        self.snapshot().usage
    }

    /// Evictions per second since the start or the last reset.
    #[must_use]
    pub fn eviction_rate(&self) -> f64 {
        let snapshot = self.snapshot();
        let seconds = snapshot.span_seconds;
        if seconds > 0.0 { snapshot.evictions as f64 / seconds } else { 0.0 }
    }

    /// Sets all counters to zero; entries stay.
    pub fn reset(&self) {
        self.source.reset();
    }
}

impl fmt::Debug for CacheStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}

impl fmt::Display for CacheStats {
    /// The snapshot as text, several lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.snapshot(), f)
    }
}

/// The numbers of a cache at one moment. Serializes to what the original's `to_dict` gave.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StatsSnapshot {
    /// The cache.
    pub name: String,
    /// Look-ups that were answered, from any tier.
    pub hits: u64,
    /// Look-ups that were not.
    pub misses: u64,
    /// `hits / (hits + misses)`; 0 when there were no look-ups.
    pub hit_rate: f64,
    /// Misses by cause.
    pub miss_causes: Vec<(String, u64)>,
    /// Hits that said "there is none".
    pub negative_hits: u64,
    /// Values stored by `set`.
    pub sets: u64,
    /// Entries removed by `delete`.
    pub deletes: u64,
    /// Loaders that ran.
    pub loads: u64,
    /// Loads that failed, panicked, or took longer than the hard limit of who began them; each
    /// counts once, also if it fails after that.
    pub load_failures: u64,
    /// Callers that waited for the load of another.
    pub coalesced: u64,
    /// Loaded values that were not stored, for their key changed meanwhile.
    pub fenced: u64,
    /// Values refused, for they were too large or the cache was full.
    pub rejections: u64,
    /// Entries that made room for others.
    pub evictions: u64,
    /// Entries removed because their life was over.
    pub expirations: u64,
    /// Entries that came back from the file of `persist`.
    pub restored: u64,
    /// How often that file could not be read or written, or only in part.
    pub snapshot_failures: u64,
    /// What was done about loads that failed or were slow.
    pub resilience: ResilienceStats,
    /// Entries in the store.
    pub entries: u64,
    /// Their weight.
    pub weight: u64,
    /// The share of the capacity that is used; `None` without a limit.
    pub usage: Option<f64>,
    /// How long has been counted.
    pub span_seconds: f64,
    /// The tiers, in the order in which they are looked up.
    pub tiers: Vec<TierStats>,
    /// What the store would answer under other policies and with other capacities; `None` without
    /// `policy = "auto"`, and for one that was never full. Resetting does not concern it.
    pub estimates: Option<Estimates>,
}

/// The numbers of one tier.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TierStats {
    /// `l1`, `l2` or `l3`.
    pub tier: String,
    /// The kind of its backend.
    pub backend: String,
    /// Look-ups that it answered.
    pub hits: u64,
    /// Look-ups that it did not answer.
    pub misses: u64,
    /// Entries written to it.
    pub writes: u64,
    /// Calls that failed.
    pub failures: u64,
    /// Entries whose bytes made no value.
    pub undecodable: u64,
    /// Calls that took longer than their limit; they are failures as well.
    pub timeouts: u64,
    /// Calls that were not made, for the tier was left alone.
    pub skipped: u64,
    /// How often the tier began to be left alone.
    pub breaker_opened: u64,
    /// `closed` while the tier is used, `open` while it is left alone, `half_open` while one call
    /// finds out whether it answers again; `off` without a breaker, as for memory in front.
    pub breaker: String,
    /// Writes that were not done, for the tier had something newer.
    pub outdated: u64,
    /// Invalidations that could not be delivered yet.
    pub pending: u64,
    /// How long the oldest of them has waited.
    pub pending_seconds: f64,
    /// Invalidations that had to wait, and were delivered.
    pub recovered: u64,
    /// Invalidations that were never delivered, for the cache was closed.
    pub lost: u64,
}

impl TierStats {
    pub(crate) fn new(tier: Tier, backend: &str) -> Self {
        let breaker = "off".to_owned();
        Self { tier: tier.to_string(), backend: backend.to_owned(), breaker, ..Self::default() }
    }
}

impl StatsSnapshot {
    /// Fills in what the engine counts.
    pub(crate) fn with_counters(
        mut self,
        counters: &Counters,
        hits: u64,
        misses: [u64; MissCause::ALL.len()],
        tally: Tally,
    ) -> Self {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        self.hits = hits;
        self.misses = misses.iter().sum();
        let lookups = self.hits + self.misses;
        self.hit_rate = if lookups == 0 { 0.0 } else { hits as f64 / lookups as f64 };
        self.miss_causes = MissCause::ALL
            .into_iter()
            .map(|cause| (cause.to_string(), misses[cause as usize]))
            .collect();
        self.negative_hits = read(&counters.negative_hits);
        self.sets = tally.sets.wrapping_add(read(&counters.sets));
        self.deletes = read(&counters.deletes);
        self.loads = tally.loads.wrapping_add(read(&counters.loads));
        self.load_failures = read(&counters.load_failures);
        self.coalesced = read(&counters.coalesced);
        self.fenced = read(&counters.fenced);
        self.rejections += read(&counters.rejections);
        self.restored = read(&counters.restored);
        self.snapshot_failures = read(&counters.snapshot_failures);
        self.resilience = counters.resilience.snapshot();
        self.span_seconds = counters.clock.now().since(counters.since()).as_secs_f64();
        self
    }
}
