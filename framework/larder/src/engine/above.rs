//! What a cache above asks of this one, which serves as one of its tiers: entries as they are.
//!
//! The recovery log of this cache holds for those above as well, who do not know of it.

use larder_core::backend::Deadlines;
use larder_core::{Entry, Result, Stamp};

use super::Engine;
use super::put::Origin;
use crate::recovery::Work;
use crate::tags::RESERVED;
use crate::tier::{ByteTier, count, is_outage};

impl Engine {
    /// The tiers that keep a key. Markers of tags are in the last one only.
    fn tiers_of(&self, key: &str) -> &[std::sync::Arc<ByteTier>] {
        let first = if key.starts_with(RESERVED) { self.tiers.len().saturating_sub(1) } else { 0 };
        &self.tiers[first..]
    }

    /// The entry of a key, from the first tier that has one which may be served.
    pub(crate) async fn entry(&self, key: &str) -> Result<Option<Entry>> {
        let mut outcome = Ok(None);
        for tier in self.tiers_of(key) {
            match self.entry_in(tier, key).await {
                Ok(Some(entry)) => return Ok(Some(entry)),
                Ok(None) => {}
                // It was reported; the next tier may have the entry.
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    }

    async fn entry_in(&self, tier: &ByteTier, key: &str) -> Result<Option<Entry>> {
        let hidden = tier.recovery.hidden_up_to(key);
        let entry = tier.bounded("get", tier.backend.get(key)).await?;
        if let Some(entry) = &entry {
            self.follow(tier, entry.meta.stamp);
        }
        let is_hidden = |stamp: Stamp| {
            hidden.is_some_and(|hidden| stamp <= hidden) || tier.recovery.hides(key, stamp)
        };
        Ok(entry.filter(|entry| !entry.meta.tombstone && !is_hidden(entry.meta.stamp)))
    }

    /// Stores an entry in every tier, for who has the turn of its key. A tier that fails is
    /// skipped; the error is returned when none took the entry.
    pub(crate) async fn put_entry(&self, key: &str, entry: &Entry) -> Result<()> {
        let is_marker = key.starts_with(RESERVED);
        // Of two markers the later one stays.
        let origin = if is_marker { Origin::Load } else { Origin::Set };
        let mut outcome = Ok(());
        let mut is_stored = false;
        for tier in self.tiers_of(key) {
            let mut entry = entry.clone();
            if !is_marker {
                // What this cache does from here on comes after it.
                self.follow(tier, entry.meta.stamp);
                entry.meta.hard_deadline = self.hard_deadline(tier, entry.meta.hard_deadline);
            }
            match self.put_to(tier, key, entry, origin).await {
                Ok(stored) => {
                    is_stored = true;
                    if let Some(stamp) = stored {
                        count(&tier.counters.writes);
                        tier.recovery.settle_key(key, stamp);
                    }
                }
                Err(error) => {
                    if is_outage(&error) {
                        tier.recover_later(Work::key(key), self.stamp());
                    }
                    outcome = outcome.and(Err(error));
                }
            }
        }
        if is_stored { Ok(()) } else { outcome }
    }

    /// Moves the ends of an entry in every tier that has the one which is served; whether any has.
    pub(crate) async fn touch_entry(&self, key: &str, ends: Deadlines) -> Result<bool> {
        let Some(entry) = self.entry(key).await? else { return Ok(false) };
        let ends = |tier: &ByteTier| {
            let hard = self.hard_deadline(tier, ends.hard);
            Deadlines { soft: ends.soft, hard }
        };
        self.touch_version(key, entry.meta.stamp, ends).await.map(|()| true)
    }
}
