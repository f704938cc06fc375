//! Moving the ends of entries in the byte tiers.

use larder_core::backend::Deadlines;
use larder_core::{CacheError, Capabilities, EntryMeta, Life, Result, Stamp, Timestamp};

use super::{Engine, Filling, Found, Granted, Look, Payloads, TierSet};
use crate::fence::Ticket;
use crate::recovery::Work;
use crate::settings::Lives;
use crate::stats::MissCause;
use crate::tier::{ByteTier, is_outage};

impl Engine {
    /// Gives the entry of a key a new life in every byte tier; whether there is one. `meant` is
    /// the value that the application sees, if that is not from a byte tier: another one is none
    /// of its business. All tiers are tried before the first error is returned; one that cannot be
    /// reached loses the entry, whose life it does not know.
    pub(crate) async fn touch(
        &self,
        key: &str,
        lives: &Lives,
        meant: Option<&Payloads>,
    ) -> Result<bool> {
        let found = self.find(key).await;
        let version = match (&found, meant) {
            (Ok(found), Some(meant)) if !self.has_value(key, found, meant) => return Ok(true),
            (Ok(found), _) if found.entry.meta.negative => return Ok(false),
            (Ok(found), _) => found.entry.meta.stamp,
            (Err(MissCause::TierDown), Some(_)) => Stamp::default(),
            (Err(_), meant) => return Ok(meant.is_some()),
        };
        let meta = self.meta(lives, None, false);
        let ends = |tier: &ByteTier| {
            let hard = self.hard_deadline(tier, meta.hard_deadline);
            Deadlines { soft: meta.soft_deadline, hard }
        };
        self.touch_version(key, version, ends).await.map(|()| true)
    }

    /// Moves the ends of the entry of this version, wherever it is.
    pub(super) async fn touch_version(
        &self,
        key: &str,
        version: Stamp,
        ends: impl Fn(&ByteTier) -> Deadlines + Sync,
    ) -> Result<()> {
        let mut outcome = Ok(());
        for tier in &self.tiers {
            let moved = match self.has_version(tier, key, version).await {
                Ok(true) => self.move_ends(tier, key, ends(tier)).await,
                // What the tier has is older, or newer than what was meant.
                Ok(false) => Ok(()),
                Err(error) => Err(error),
            };
            outcome = outcome.and(self.or_later(tier, key, self.stamp(), moved));
        }
        outcome
    }

    /// Whether a tier has a version of an entry.
    async fn has_version(&self, tier: &ByteTier, key: &str, version: Stamp) -> Result<bool> {
        let meta = tier.bounded("meta", tier.backend.meta(key)).await?;
        Ok(meta.is_some_and(|meta| meta.stamp == version && !meta.tombstone))
    }

    /// Whether an entry has this value.
    fn has_value(&self, key: &str, found: &Found, value: &Payloads) -> bool {
        let meta = &found.entry.meta;
        match &value.each[found.tier].plain {
            None => meta.negative,
            Some(_) if meta.negative => false,
            Some(plain) => {
                meta.format == self.tiers[found.tier].format.serializer.format()
                    && self.plain(key, found).is_ok_and(|found| found == *plain)
            }
        }
    }

    /// Gives an entry that was loaded and found as it was a new life in the byte tiers, unless its
    /// key changed since the ticket. A tier that does not have it gets it whole.
    pub(crate) async fn renew_loaded(
        &self,
        key: &str,
        payloads: Payloads,
        (meta, lives): (&EntryMeta, &Lives),
        ticket: &Ticket,
        lease: Option<&Granted>,
    ) -> Filling {
        let _turn = self.write_turn(ticket.hash()).await;
        if !ticket.holds() {
            return Filling::NotStored;
        }
        let Some(left_out) = self.can_renew(key, &payloads).await else {
            return self.put_in_turn(key, payloads, meta, ticket, lease).await;
        };
        self.renew(key, lives, left_out).await;
        Filling::NotStored
    }

    /// Whether all that a loaded entry lacks in the tiers that are to have it is a new life: the
    /// tiers that do not get one, if so.
    async fn can_renew(&self, key: &str, payloads: &Payloads) -> Option<TierSet> {
        let tiers = || self.tiers.iter().filter(|tier| !payloads.skip.has(tier.tier));
        // How long a read may keep an entry awake in a tier with a ttl counts from its version.
        let is_kept_awake = self.settings_for(key).idle_ttl != Life::Never;
        let keeps_version = |tier: &ByteTier| tier.ttl.is_none() || !is_kept_awake;
        if !tiers().all(|tier| tier.can(Capabilities::TOUCH) && keeps_version(tier)) {
            return None;
        }
        let look = Look { skip: payloads.skip, ..Look::default() };
        let mut stale = None;
        let found = match self.find_as(key, look, None, &mut stale).await {
            Ok(found) => Some(found),
            Err(MissCause::Expired) => stale,
            Err(_) => None,
        };
        let found = found.filter(|found| self.has_value(key, found, payloads))?;
        let version = found.entry.meta.stamp;
        let mut left_out = payloads.skip;
        for tier in tiers() {
            match self.has_version(tier, key, version).await {
                Ok(true) => {}
                Ok(false) => return None,
                // One that cannot be reached keeps what it has, with the life that it has there.
                Err(_) => left_out = left_out.with(tier.tier),
            }
        }
        Some(left_out)
    }

    /// Moves the ends of an entry for which a load found no other value.
    async fn renew(&self, key: &str, lives: &Lives, skip: TierSet) {
        let meta = self.meta(lives, None, false);
        for tier in self.tiers.iter().filter(|tier| !skip.has(tier.tier)) {
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
                tier.recover_later(Work::key(key), stamp);
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
        let later = [gone, end_in_tier].into_iter().flatten().fold(awake, Timestamp::min);
        // A life that it was given since it was stored counts from then, so it may end later.
        let end = hard.map_or(later, |hard| hard.max(later));
        if hard == Some(end) {
            return;
        }
        let deadlines = Deadlines { soft, hard: Some(end) };
        // A failure is counted and reported where it happens; the value is good all the same.
        tier.bounded("touch", tier.backend.touch(key, deadlines)).await.ok();
    }
}
