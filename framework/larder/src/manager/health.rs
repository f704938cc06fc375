//! What the backends of a cache say about themselves.

use std::collections::BTreeMap;

use larder_core::Result;
use serde::Serialize;

use super::CacheManager;
use crate::breaker::Phase;
use crate::tier::Lane;

/// What one tier that keeps bytes says about itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TierHealth {
    /// `l1`, `l2` or `l3`.
    pub tier: String,
    /// The kind of its backend.
    pub backend: String,
    /// How many entries it holds, if it knows without counting.
    pub entries: Option<u64>,
    /// How many bytes they take, if it knows without counting.
    pub bytes: Option<u64>,
    /// Entries that could not be read since it was built.
    pub corrupt: u64,
    /// Why it works worse than it should, if it does.
    pub degraded: Option<String>,
    /// What the backend counts besides, by name, since it was built.
    pub counts: BTreeMap<String, u64>,
    /// `closed` while the tier is used, `open` while it is left alone, `half_open` while one call
    /// finds out whether it answers again; `off` without a breaker.
    pub breaker: String,
    /// Invalidations that could not be delivered yet.
    pub pending: u64,
}

fn named(counts: BTreeMap<&'static str, u64>) -> BTreeMap<String, u64> {
    counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

impl CacheManager {
    /// Asks the tiers of a cache that keep bytes how they do, in the order in which they are
    /// looked up. A typed store in front is not among them: it has
    /// [`stats`](CacheManager::stats).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when there is no such cache, and what the
    /// first tier says that cannot be used now.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn health(&self, name: &str) -> Result<Vec<TierHealth>> {
        let cache = self.named(name)?;
        let mut tiers = Vec::new();
        for tier in &cache.assembled.engine.tiers {
            let health = tier.call(Lane::Direct, "health", tier.backend.health()).await?;
            tiers.push(TierHealth {
                tier: tier.tier.to_string(),
                backend: tier.kind.clone(),
                entries: health.entries,
                bytes: health.bytes,
                corrupt: health.corrupt,
                degraded: health.degraded,
                counts: named(health.counts),
                breaker: tier.phase().map_or("off", Phase::as_str).to_owned(),
                pending: tier.recovery.len(),
            });
        }
        Ok(tiers)
    }
}
