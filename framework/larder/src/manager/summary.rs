//! What the caches of a manager are made of and how they do.

use serde::Serialize;

use super::Named;

/// One cache in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CacheSummary {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Its tiers with their backends, such as `l1 memory`.
    pub tiers: Vec<String>,
    /// The types of keys and values; `None` until somebody opens it.
    pub types: Option<(String, String)>,
    /// Entries in the store; 0 until somebody opens it.
    pub entries: u64,
    /// The share of look-ups that were answered; `None` until there was one.
    pub hit_rate: Option<f64>,
}

impl Named {
    pub(super) fn summary(&self) -> CacheSummary {
        let opened = self.opened();
        let stats = opened.as_ref().map(|cache| std::sync::Arc::clone(cache).stats().snapshot());
        let types = opened.map(|cache| {
            let (key, value) = cache.type_names();
            (key.to_owned(), value.to_owned())
        });
        CacheSummary {
            name: self.assembled.engine.name.to_string(),
            description: self.assembled.description.clone(),
            tiers: self.assembled.tier_names(),
            types,
            entries: stats.as_ref().map_or(0, |stats| stats.entries),
            hit_rate: stats
                .filter(|stats| stats.hits + stats.misses > 0)
                .map(|stats| stats.hit_rate),
        }
    }
}
