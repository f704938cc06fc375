//! Looking up entries in the byte tiers.

use std::sync::Arc;

use larder_core::backend::Deadlines;
use larder_core::{Capabilities, Entry, Life, telemetry};

use super::Engine;
use crate::fence::Ticket;
use crate::settings::Lives;
use crate::stats::MissCause;
use crate::tags::{TagCell, Tags};
use crate::tier::{ByteTier, count};

/// Versions are microseconds since 1970, below this until the year 2255. A marker beyond it is
/// damaged, and would leave no room to move on.
const MAX_VERSION: u64 = 1 << 53;

/// A valid entry and where it was.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) entry: Entry,
    /// Index into the byte tiers.
    pub(crate) tier: usize,
    pub(crate) tags: Option<Arc<Tags>>,
}

impl Engine {
    /// Looks a key up, tier after tier. A tier that fails is skipped; the cause says so when the
    /// others do not have the key either.
    pub(crate) async fn find(&self, key: &str) -> Result<Found, MissCause> {
        let mut cause = MissCause::Cold;
        for index in 0..self.tiers.len() {
            match self.find_in(index, key).await {
                Ok(found) => return Ok(found),
                Err(MissCause::Cold) => {}
                Err(other) => cause = other,
            }
        }
        Err(cause)
    }

    /// Looks many keys up, each tier in one batch for the keys that the tiers above do not have.
    pub(crate) async fn find_many(&self, keys: &[&str]) -> Vec<Result<Found, MissCause>> {
        let mut found: Vec<Result<Found, MissCause>> =
            keys.iter().map(|_| Err(MissCause::Cold)).collect();
        for (index, tier) in self.tiers.iter().enumerate() {
            let missing: Vec<usize> = (0..keys.len()).filter(|&at| found[at].is_err()).collect();
            let batch: Vec<&str> = missing.iter().map(|&at| keys[at]).collect();
            if batch.is_empty() {
                break;
            }
            match tier.bounded("get_many", tier.backend.get_many(&batch)).await {
                Ok(entries) => {
                    for (at, entry) in missing.into_iter().zip(entries) {
                        found[at] = self.validate(index, keys[at], entry).await;
                    }
                }
                Err(_) => missing.into_iter().for_each(|at| found[at] = Err(MissCause::TierDown)),
            }
        }
        found
    }

    async fn find_in(&self, index: usize, key: &str) -> Result<Found, MissCause> {
        let tier = &self.tiers[index];
        let read = tier.bounded("get", tier.backend.get(key)).await;
        self.validate(index, key, read.map_err(|_| MissCause::TierDown)?).await
    }

    /// Whether what a tier returned may be served.
    async fn validate(
        &self,
        index: usize,
        key: &str,
        entry: Option<Entry>,
    ) -> Result<Found, MissCause> {
        let tier = &self.tiers[index];
        let found = match entry {
            Some(entry) if !entry.meta.tombstone && !entry.meta.is_dead(self.clock.wall()) => {
                self.restore_tags(&entry).await.map(|tags| Found { entry, tier: index, tags })
            }
            Some(entry) if !entry.meta.tombstone => Err(MissCause::Expired),
            _ => Err(MissCause::Cold),
        };
        count(if found.is_ok() { &tier.counters.hits } else { &tier.counters.misses });
        let found = found?;
        self.keep_awake(tier, key, &found.entry).await;
        Ok(found)
    }

    /// Moves the end of an entry that lives only while it is read.
    async fn keep_awake(&self, tier: &ByteTier, key: &str, entry: &Entry) {
        let (soft, hard) = (entry.meta.soft_deadline, entry.meta.hard_deadline);
        let (Life::For(idle), Some(_), true) =
            (self.settings.idle_ttl, hard, tier.can(Capabilities::TOUCH))
        else {
            return;
        };
        let awake = self.clock.wall().after(idle);
        let hard = Some(soft.map_or(awake, |soft| soft.min(awake)));
        // A failure is counted and reported where it happens; the value is good all the same.
        tier.bounded("touch", tier.backend.touch(key, Deadlines { soft, hard })).await.ok();
    }

    /// The tags of an entry, if all of them still have the versions it was stored with.
    async fn restore_tags(&self, entry: &Entry) -> Result<Option<Arc<Tags>>, MissCause> {
        let mut tags = Vec::with_capacity(entry.meta.tags.len());
        for stamp in &entry.meta.tags {
            let cell = self.tags.cell_of(stamp.tag);
            // Another process may have moved the version, so the marker is read each time.
            match self.read_marker(&cell).await {
                Ok(Some(version)) => cell.advance(version),
                Ok(None) => return Err(MissCause::Tag),
                Err(_) => return Err(MissCause::TierDown),
            }
            if cell.version() != stamp.version {
                return Err(MissCause::Tag);
            }
            tags.push((cell, stamp.version));
        }
        Ok(Tags::restore(tags))
    }

    /// The version that the last tier keeps for a tag.
    pub(super) async fn read_marker(&self, cell: &TagCell) -> larder_core::Result<Option<u64>> {
        let Some(tier) = self.tiers.last() else {
            return Ok(None);
        };
        let entry = tier.bounded("get", tier.backend.get(&cell.marker_key())).await?;
        let version =
            entry.and_then(|entry| Some(u64::from_be_bytes(entry.value.as_ref().try_into().ok()?)));
        Ok(version.filter(|version| *version < MAX_VERSION))
    }

    /// Copies an entry into the byte tiers above the one it was found in, unless its key changed
    /// meanwhile.
    pub(crate) async fn back_fill(&self, key: &str, found: &Found, ticket: Ticket) {
        for tier in &self.tiers[..found.tier] {
            if tier.serializer.format() != found.entry.meta.format || !self.fence.holds(ticket) {
                continue;
            }
            let mut entry = found.entry.clone();
            let lives = Lives::until(entry.meta.hard_deadline, None, &*self.clock);
            entry.meta.hard_deadline = lives.at_most(tier.ttl, &*self.clock).wall;
            let stored = tier.bounded("set", tier.backend.set(key, entry)).await;
            if stored.is_ok() && !self.fence.holds(ticket) {
                // What came in between knew nothing of this copy.
                tier.bounded("delete", tier.backend.delete(key)).await.ok();
            }
        }
    }

    /// Forgets an entry whose bytes make no value.
    pub(crate) async fn drop_undecodable(
        &self,
        key: &str,
        found: &Found,
        error: &larder_core::CacheError,
    ) {
        let tier = &self.tiers[found.tier];
        count(&tier.counters.undecodable);
        tracing::warn!(
            target: telemetry::TARGET,
            cache = %self.name, tier = %tier.tier, %error, "{}", telemetry::DECODE_FAILED
        );
        tier.bounded("delete", tier.backend.delete(key)).await.ok();
    }
}
