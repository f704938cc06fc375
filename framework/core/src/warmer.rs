//! [`Warmer`], entries that are there before anybody asks.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Result;

/// Why a warmer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WarmingTrigger {
    /// Somebody asked for it.
    Demand,
    /// A tier came back after a failure.
    Failover,
    /// Its schedule said so.
    Schedule,
    /// The cache was just built.
    Startup,
}

/// One key to warm.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WarmKey {
    /// The key as text.
    pub key: String,
    /// The serialized value, if the warmer has it; else the loader of the cache makes it.
    pub value: Option<Bytes>,
    /// Greater goes first.
    pub priority: i32,
}

impl WarmKey {
    /// A key whose value the loader makes.
    #[must_use]
    pub fn new(key: impl Into<String>) -> Self {
        Self { key: key.into(), value: None, priority: 0 }
    }

    /// Brings the value along.
    #[must_use]
    pub fn with_value(mut self, value: Bytes) -> Self {
        self.value = Some(value);
        self
    }

    /// Greater goes first.
    #[must_use]
    pub const fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }
}

/// What a run of a warmer did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WarmingStats {
    /// Keys that the warmer named.
    pub named: u64,
    /// Keys that are warm now.
    pub warmed: u64,
    /// Keys that were warm already.
    pub skipped: u64,
    /// Keys whose load failed.
    pub failed: u64,
    /// How long the run took.
    pub elapsed: Duration,
}

/// The keys of one run, a batch at a time.
#[async_trait]
pub trait WarmKeys: Send + fmt::Debug {
    /// The next batch; `None` at the end. Batches come by falling priority.
    ///
    /// # Errors
    ///
    /// Any kind; the run ends and keeps what it warmed.
    async fn next_batch(&mut self) -> Result<Option<Vec<WarmKey>>>;

    /// About how many keys there are, for a progress bar.
    fn estimate(&self) -> Option<u64> {
        None
    }
}

/// Names the keys that should be in the cache before anybody asks for them.
///
/// # Behaviour
///
/// * A warmer only names keys; the framework loads and stores them, with the limits of the cache.
/// * The same key may be named twice.
///
/// # Cancellation
///
/// Dropping the run at any point leaves the cache with what was warmed so far.
#[async_trait]
pub trait Warmer: Send + Sync + fmt::Debug + 'static {
    /// Begins a run.
    ///
    /// # Errors
    ///
    /// Any kind, when the keys cannot be had.
    async fn keys(&self, trigger: WarmingTrigger) -> Result<Box<dyn WarmKeys>>;

    /// A run is over.
    fn finished(&self, stats: &WarmingStats) {
        let _ = stats;
    }
}
