//! Removing entries from the byte tiers.
//!
//! A tier that cannot be reached does not make a removal fail: what it has is not served any more,
//! and is removed when it can be.

use larder_core::backend::ScanRequest;
use larder_core::key::glob_matches;
use larder_core::{Capabilities, Result, Stamp};
use xxhash_rust::xxh3::xxh3_64;

use super::{Engine, Finally};
use crate::fence::Ticket;
use crate::recovery::{Added, Work};
use crate::replay::Untold;
use crate::tier::{ByteTier, is_outage};

impl Engine {
    /// Removes a key from every byte tier; whether any had it, as far as they could be asked. All
    /// tiers are tried before the first error is returned, or by the replay if the caller goes
    /// away half-way.
    pub(crate) async fn remove(&self, key: &str) -> Result<bool> {
        self.remove_as(key, &Work::key(key), self.stamp()).await
    }

    /// The same as a part of something, which is what a tier has to be told that is not reached.
    async fn remove_as(&self, key: &str, work: &Work, stamp: Stamp) -> Result<bool> {
        let mut removed = false;
        let mut outcome = Ok(());
        for (tier, untold) in self.tiers.iter().zip(self.untold(work, stamp)) {
            match self.remove_from(tier, key, stamp).await {
                Ok(was_there) => {
                    removed |= was_there;
                    tier.recovery.settle_key(key, stamp);
                    untold.told();
                }
                Err(error) if is_outage(&error) => drop(untold),
                Err(error) => {
                    untold.told();
                    outcome = outcome.and(Err(error));
                }
            }
        }
        outcome.map(|()| removed)
    }

    /// Removes a key from one tier; whether it was there. While a write of before may reach the
    /// tier yet, something stays there that keeps it out.
    pub(super) async fn remove_from(
        &self,
        tier: &ByteTier,
        key: &str,
        stamp: Stamp,
    ) -> Result<bool> {
        if tier.recovery.may_land(key, self.clock.now()) {
            return self.bury(tier, key, stamp).await;
        }
        tier.bounded("delete", tier.backend.delete(key)).await
    }

    /// Removes an entry of which a load found out that it is none any more, unless its key changed
    /// since the ticket.
    pub(crate) async fn remove_loaded(&self, key: &str, ticket: &Ticket) {
        let _turn = self.write_turn(ticket.hash()).await;
        if ticket.holds() {
            self.remove(key).await.ok();
        }
    }

    /// Removes every key that matches a glob; which of them were in the byte tiers. `forget`
    /// empties the store of them.
    ///
    /// From the first step on no tier serves what matches, even if the caller goes away half-way.
    pub(crate) async fn remove_matching(
        &self,
        pattern: &str,
        mut forget: impl FnMut(),
    ) -> Result<Vec<String>> {
        self.fence.change_all(&mut forget);
        if self.tiers.is_empty() {
            return Ok(Vec::new());
        }
        for tier in &self.tiers {
            self.check_scan(tier)?;
        }
        let _finally = Finally(|| self.fence.change_all(&mut forget));
        let ban = Work::Pattern(pattern.into());
        let begun = self.untold(&ban, self.stamp());
        // Loads that are being stored found the fence open before: let them end, and notice.
        drop(self.clearing.write().await);
        let stamp = self.stamp();
        for tier in &self.tiers {
            let added = tier.recovery.add_begun(ban.clone(), stamp, self.clock.now());
            if added == Added::Overflow {
                tier.warn_overflow();
            }
            // The caller may go away before it is delivered.
            tier.kick();
        }
        begun.into_iter().for_each(Untold::told);
        let mut removed = Vec::new();
        let mut outcome = Ok(());
        for tier in &self.tiers {
            match self.sweep(tier, pattern, (&ban, stamp), &mut removed).await {
                // One key of many may have been left to the replay, and with it all.
                Ok(()) if tier.recovery.is_left(&ban) => {}
                Ok(()) => tier.settle(&ban, stamp),
                Err(error) if is_outage(&error) => tier.recover_later(ban.clone(), stamp),
                Err(error) => {
                    tier.settle(&ban, stamp);
                    outcome = outcome.and(Err(error));
                }
            }
        }
        removed.sort_unstable();
        removed.dedup();
        outcome.map(|()| removed)
    }

    /// Whether a key that a tier lists is one of which this process knows that it is gone: all that
    /// is there keeps older writes out, or has yet to be removed.
    pub(super) async fn is_removed(&self, tier: &ByteTier, key: &str) -> Result<bool> {
        let hidden = tier.recovery.hidden_up_to(key);
        if hidden.is_none() && !tier.recovery.may_land(key, self.clock.now()) {
            return Ok(false);
        }
        let meta = tier.bounded("meta", tier.backend.meta(key)).await?;
        Ok(meta
            .is_none_or(|meta| meta.tombstone || hidden.is_some_and(|up_to| meta.stamp <= up_to)))
    }

    /// Removes from all tiers what one of them has of a pattern. Leases go before entries: what is
    /// stored under one of them meanwhile is an entry then.
    async fn sweep(
        &self,
        tier: &ByteTier,
        pattern: &str,
        (ban, stamp): (&Work, Stamp),
        removed: &mut Vec<String>,
    ) -> Result<()> {
        for request in requests_for(tier, pattern) {
            let keys = self.scan_tier(tier, request, &|key| glob_matches(pattern, key)).await?;
            for key in keys {
                let hash = xxh3_64(key.as_bytes());
                let _turn = self.write_turn(hash).await;
                // Who read it before it was removed must not copy it into a tier above.
                let _finally = Finally(|| self.change(hash, || ()));
                // A tier that is not reached has the whole pattern to be told, not one key of many.
                if self.remove_as(&key, ban, stamp).await? {
                    removed.push(key);
                }
            }
        }
        Ok(())
    }
}

/// What a tier is asked for to find all that a pattern concerns: keys that somebody loads, which
/// may have no entry yet, and entries.
pub(crate) fn requests_for(tier: &ByteTier, pattern: &str) -> impl Iterator<Item = ScanRequest> {
    let prefix = pattern.split(['*', '?']).next().unwrap_or_default();
    let entries = ScanRequest::all().prefix(prefix);
    let leases = tier.can(Capabilities::LEASE_SCAN).then(|| entries.clone().leased());
    leases.into_iter().chain([entries])
}
