//! Caches that use each other as tiers: which come first, and to which of them entries belong.

use std::collections::BTreeMap;
use std::sync::Arc;

use larder_config::model::{CacheSpec, TierSource};

use super::Engines;

/// The caches that a cache uses as tiers.
pub(crate) fn caches_below(spec: &CacheSpec) -> impl Iterator<Item = &str> {
    spec.tiers.iter().filter_map(|tier| match &tier.source {
        TierSource::Cache(name) => Some(name.as_str()),
        TierSource::Backend(_) => None,
    })
}

/// Caches after those they use as tiers. The config has no cycles; were there one, its caches
/// would come last and fail to find each other.
pub(super) fn in_order(specs: &BTreeMap<String, CacheSpec>) -> Vec<&CacheSpec> {
    let mut ordered: Vec<&CacheSpec> = Vec::with_capacity(specs.len());
    let mut waiting: Vec<&CacheSpec> = specs.values().collect();
    loop {
        let is_ready = |spec: &&CacheSpec| {
            caches_below(spec).all(|name| ordered.iter().any(|done| done.name == name))
        };
        let (ready, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_ready);
        if ready.is_empty() {
            ordered.extend(rest);
            return ordered;
        }
        ordered.extend(ready);
        waiting = rest;
    }
}

/// The cache to which entries of a cache belong. Caches that are stacked keep entries for each
/// other, so they agree on the lowest.
pub(super) fn home(spec: &CacheSpec, others: &Engines) -> Arc<str> {
    let below = caches_below(spec).last();
    below.map_or_else(|| spec.name.as_str().into(), |below| home_of(below, others))
}

pub(super) fn home_of(cache: &str, others: &Engines) -> Arc<str> {
    others.get(cache).map_or_else(|| cache.into(), |engine| Arc::clone(engine.home()))
}
