//! Moving the ends of entries in the byte tiers.

use larder_core::backend::Deadlines;
use larder_core::{CacheError, Capabilities, EntryMeta, Life, Result, Stamp, Timestamp};

use super::{Engine, Found};
use crate::fence::Ticket;
use crate::recovery::Work;
use crate::settings::Lives;
use crate::tier::{ByteTier, is_outage};

impl Engine {
    /// Gives an entry a new life in every byte tier. All are tried before the first error is
    /// returned; a tier that cannot be reached loses the entry, whose life it does not know.
    pub(crate) async fn touch(&self, key: &str, lives: &Lives) -> Result<()> {
        let meta = self.meta(lives, None, false);
        let mut outcome = Ok(());
        for tier in &self.tiers {
            let hard = self.hard_deadline(tier, meta.hard_deadline);
            let deadlines = Deadlines { soft: meta.soft_deadline, hard };
            let moved = self.move_ends(tier, key, deadlines).await;
            outcome = outcome.and(self.or_later(tier, key, meta.stamp, moved));
        }
        outcome
    }

    /// The same for an entry that was found to be as it was. A tier that cannot be reached keeps it
    /// with the life that it has there.
    pub(super) async fn renew(&self, key: &str, lives: &Lives) {
        let meta = self.meta(lives, None, false);
        for tier in &self.tiers {
            let hard = self.hard_deadline(tier, meta.hard_deadline);
            // Failures are counted and reported where they happen.
            self.move_ends(tier, key, Deadlines { soft: meta.soft_deadline, hard }).await.ok();
        }
    }

    /// Makes an entry stale in every byte tier, where it stays for when nothing better can be had;
    /// whether any had it. All are tried before the first error is returned; a tier that cannot be
    /// reached loses the entry.
    pub(crate) async fn expire(&self, key: &str) -> Result<bool> {
        let (now, stamp) = (self.clock.wall(), self.stamp());
        let (mut was_there, mut outcome) = (false, Ok(()));
        for tier in &self.tiers {
            let expired = self.expire_in(tier, key, now).await;
            was_there |= *expired.as_ref().unwrap_or(&false);
            outcome = outcome.and(self.or_later(tier, key, stamp, expired.map(drop)));
        }
        outcome.map(|()| was_there)
    }

    async fn expire_in(&self, tier: &ByteTier, key: &str, now: Timestamp) -> Result<bool> {
        let meta = tier.bounded("meta", tier.backend.meta(key)).await?;
        let Some(meta) = meta.filter(|meta| !meta.is_dead(now) && !meta.tombstone) else {
            return Ok(false);
        };
        if meta.is_stale(now) {
            return Ok(true);
        }
        let deadlines = Deadlines { soft: Some(now), hard: meta.hard_deadline };
        self.move_ends(tier, key, deadlines).await.map(|()| true)
    }

    /// An outcome, or success where the tier makes up for it when it can be reached.
    fn or_later(
        &self,
        tier: &ByteTier,
        key: &str,
        stamp: Stamp,
        outcome: Result<(), CacheError>,
    ) -> Result<()> {
        match outcome {
            Err(error) if is_outage(&error) => {
                let work = Work::Key { key: key.into(), may_land: false };
                tier.recover_later(work, stamp);
                Ok(())
            }
            outcome => outcome,
        }
    }

    async fn move_ends(&self, tier: &ByteTier, key: &str, deadlines: Deadlines) -> Result<()> {
        if tier.can(Capabilities::TOUCH) {
            let touch = tier.backend.touch(key, deadlines);
            return tier.bounded("touch", touch).await.map(drop);
        }
        let Some(mut entry) = tier.bounded("get", tier.backend.get(key)).await? else {
            return Ok(());
        };
        (entry.meta.soft_deadline, entry.meta.hard_deadline) = (deadlines.soft, deadlines.hard);
        tier.bounded("set", tier.backend.set(key, entry)).await
    }

    /// Moves the end of an entry that lives only while it is read. Its key must be as it was at the
    /// ticket: another entry has another life.
    pub(crate) async fn keep_awake(&self, key: &str, found: &Found, ticket: &Ticket) {
        let tier = &self.tiers[found.tier];
        let EntryMeta { soft_deadline: soft, hard_deadline: hard, stamp, .. } = found.entry.meta;
        let (Life::For(idle), true, true) =
            (self.settings_for(key).idle_ttl, hard != soft, tier.can(Capabilities::TOUCH))
        else {
            return;
        };
        let Some(_turn) = self.try_write_turn(ticket.hash()).filter(|_| ticket.holds()) else {
            return;
        };
        let awake = self.clock.wall().after(idle);
        // However often it is read, the tier keeps it for its own ttl at most.
        let end_in_tier = tier.ttl.and_then(Life::duration).map(|limit| stamp.time.after(limit));
        let gone = soft.map(|soft| soft.after(self.settings_for(key).terms.stale_for));
        let hard = [gone, end_in_tier].into_iter().flatten().fold(awake, Timestamp::min);
        let deadlines = Deadlines { soft, hard: Some(hard) };
        // A failure is counted and reported where it happens; the value is good all the same.
        tier.bounded("touch", tier.backend.touch(key, deadlines)).await.ok();
    }
}
