//! One byte tier of a cache: a backend with its format, its limits and its counters.
//!
//! Every call goes through [`ByteTier::bounded`], so that a backend that hangs or fails costs the
//! caller a bounded time and is reported in one place.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};
use larder_core::{
    Backend, CacheError, Capabilities, Clock, ErrorKind, Life, Result, Tier, telemetry,
};

use crate::format::{Format, Place};

/// The longest a caller waits for one call of a backend.
const CALL_LIMIT: Duration = Duration::from_secs(2);

/// A backend that a cache uses as one of its tiers.
#[derive(Debug)]
pub(crate) struct ByteTier {
    pub(crate) tier: Tier,
    pub(crate) kind: String,
    pub(crate) cache: Arc<str>,
    /// The cache to which the entries belong: this one, or the one that serves as this tier.
    pub(crate) home: Arc<str>,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) format: Arc<Format>,
    pub(crate) ttl: Option<Life>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Whether this cache closes the backend; not when it is another cache.
    pub(crate) owned: bool,
    pub(crate) counters: TierCounters,
}

/// What happened in one tier.
#[derive(Debug, Default)]
pub(crate) struct TierCounters {
    pub(crate) hits: AtomicU64,
    pub(crate) misses: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) undecodable: AtomicU64,
}

impl TierCounters {
    pub(crate) fn reset(&self) {
        for counter in [&self.hits, &self.misses, &self.writes, &self.failures, &self.undecodable] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

/// Adds one. Counters are read for statistics only, so no order is needed.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl ByteTier {
    /// Awaits a call of the backend for a bounded time; a failure is counted, reported and named.
    pub(crate) async fn bounded<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let outcome = limit(&*self.clock, CALL_LIMIT, call).await.unwrap_or_else(|| {
            Err(CacheError::new(ErrorKind::Timeout, "the backend did not answer in time")
                .with("limit", larder_core::HumanDuration(CALL_LIMIT)))
        });
        outcome.map_err(|error| {
            count(&self.counters.failures);
            let error = error
                .during(operation)
                .with("cache", &self.cache)
                .with("tier", self.tier)
                .with("backend", &self.kind);
            tracing::warn!(
                target: telemetry::TARGET,
                cache = %self.cache, tier = %self.tier, operation, %error,
                "{}", telemetry::TIER_FAILED
            );
            error
        })
    }

    /// Where an entry of this key belongs.
    pub(crate) fn place<'a>(&'a self, key: &'a str) -> Place<'a> {
        Place { cache: &self.home, key }
    }

    /// Whether another tier stores every entry in the same bytes.
    pub(crate) fn writes_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.format, &other.format) && self.home == other.home
    }

    pub(crate) fn can(&self, capabilities: Capabilities) -> bool {
        self.backend.capabilities().contains(capabilities)
    }
}

/// Awaits a future for at most `limit`; `None` when it took longer. Outside of a runtime there is
/// no timer, and the future takes as long as it takes.
pub(crate) async fn limit<F: Future>(
    clock: &dyn Clock,
    limit: Duration,
    future: F,
) -> Option<F::Output> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Some(future.await);
    }
    match select(std::pin::pin!(future), clock.sleep(limit)).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}
