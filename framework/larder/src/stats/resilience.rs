//! What is counted of loads that fail or are slow.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

use crate::tier::count;

/// Why a stale value was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StaleReason {
    /// Loading it anew failed.
    Failed,
    /// Another process loads it.
    Lease,
    /// Loading it anew failed a short time ago.
    Throttled,
    /// Loading it anew took too long.
    Timeout,
}

impl StaleReason {
    /// All reasons, in the order in which statistics list them.
    pub const ALL: [Self; 4] = [Self::Failed, Self::Lease, Self::Throttled, Self::Timeout];

    /// The reason as one lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Lease => "lease",
            Self::Throttled => "throttled",
            Self::Timeout => "timeout",
        }
    }
}

impl fmt::Display for StaleReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The counters behind [`ResilienceStats`].
#[derive(Debug, Default)]
pub(crate) struct Resilience {
    stale: [AtomicU64; StaleReason::ALL.len()],
    /// In microseconds.
    oldest_stale: AtomicU64,
    pub(crate) defaults: AtomicU64,
    pub(crate) refreshes: AtomicU64,
    pub(crate) refresh_failures: AtomicU64,
    pub(crate) late_loads: AtomicU64,
    pub(crate) late_failures: AtomicU64,
}

impl Resilience {
    /// Counts a value that was served so long past its end.
    pub(crate) fn count_stale(&self, reason: StaleReason, late: Duration) {
        count(&self.stale[reason as usize]);
        let late = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        self.oldest_stale.fetch_max(late, Ordering::Relaxed);
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &AtomicU64> {
        let others = [
            &self.oldest_stale,
            &self.defaults,
            &self.refreshes,
            &self.refresh_failures,
            &self.late_loads,
            &self.late_failures,
        ];
        self.stale.iter().chain(others)
    }

    pub(super) fn snapshot(&self) -> ResilienceStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let stale = StaleReason::ALL.map(|reason| (reason, read(&self.stale[reason as usize])));
        ResilienceStats {
            stale_served: stale.iter().map(|(_, count)| count).sum(),
            stale_reasons: stale.map(|(reason, count)| (reason.to_string(), count)).to_vec(),
            oldest_stale_seconds: Duration::from_micros(read(&self.oldest_stale)).as_secs_f64(),
            defaults_served: read(&self.defaults),
            refreshes: read(&self.refreshes),
            refresh_failures: read(&self.refresh_failures),
            late_loads: read(&self.late_loads),
            late_failures: read(&self.late_failures),
        }
    }
}

/// What was done about loads that failed or were slow.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ResilienceStats {
    /// Look-ups that found nothing fresh and were answered with a stale value. They count as
    /// misses.
    pub stale_served: u64,
    /// The same by reason.
    pub stale_reasons: Vec<(String, u64)>,
    /// The longest time past its ttl at which a value was served.
    pub oldest_stale_seconds: f64,
    /// Look-ups that were answered with the default of the call.
    pub defaults_served: u64,
    /// Entries that were loaded again before their end.
    pub refreshes: u64,
    /// How many of those loads failed.
    pub refresh_failures: u64,
    /// Loads that ended well after their callers had given up waiting.
    pub late_loads: u64,
    /// Loads that failed after that. They are counted as `load_failures` too.
    pub late_failures: u64,
}
