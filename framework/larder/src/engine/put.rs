//! Storing entries in the byte tiers.

use larder_core::{Capabilities, Entry, EntryMeta, Life, Result, Stamp, Timestamp};

use super::{Engine, Granted, Payloads};
use crate::fence::Ticket;
use crate::recovery::Work;
use crate::settings::Lives;
use crate::tags::Tags;
use crate::tier::{ByteTier, count, is_outage};

/// What is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// What the application set: whatever the tier has is older.
    Set,
    /// What was loaded: something newer in the tier stays.
    Load,
}

/// What became of an entry on its way into the tiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filling {
    /// It is stored; a lease was used up for that.
    Filled,
    /// Something newer is there, or the lease had ended: it is old.
    Lost,
    /// It is not stored, or not by its lease, which goes on.
    NotStored,
}

impl Engine {
    /// The meta of an entry that is made now.
    pub(crate) fn meta(&self, lives: &Lives, tags: Option<&Tags>, negative: bool) -> EntryMeta {
        let gone = lives.wall.map(|wall| wall.after(lives.stale));
        let hard_deadline = match lives.idle.map(|idle| self.clock.wall().after(idle)) {
            Some(idle) => Some(gone.map_or(idle, |gone| gone.min(idle))),
            None => gone,
        };
        EntryMeta {
            stamp: self.stamp(),
            soft_deadline: lives.wall,
            hard_deadline,
            tags: tags.map(Tags::stamps).unwrap_or_default(),
            load_cost: lives.cost,
            negative,
            ..EntryMeta::default()
        }
    }

    /// A deadline, or the end of the longest life of a tier if that comes first.
    pub(crate) fn hard_deadline(
        &self,
        tier: &ByteTier,
        deadline: Option<Timestamp>,
    ) -> Option<Timestamp> {
        let Some(Life::For(limit)) = tier.ttl else {
            return deadline;
        };
        let limit = self.clock.wall().after(limit);
        Some(deadline.map_or(limit, |own| own.min(limit)))
    }

    /// Stores an entry in every byte tier that the payloads are for. A tier that fails is skipped;
    /// the error is returned only when there is a tier and none took the entry.
    ///
    /// Whatever became of a write that failed, the tier does not serve anything as old from then
    /// on: what it has is made unusable as soon as it can be reached.
    pub(crate) async fn put(&self, key: &str, payloads: Payloads, meta: &EntryMeta) -> Result<()> {
        self.put_all(key, payloads, meta, Origin::Set, None).await.map(drop)
    }

    /// The same for what comes from here or there, and under a lease, if there is one.
    ///
    /// What is loaded goes to the tier first that knows whether it is old by now: that of the
    /// lease, or else the last one. If it is, it goes to no other.
    async fn put_all(
        &self,
        key: &str,
        payloads: Payloads,
        meta: &EntryMeta,
        origin: Origin,
        lease: Option<&Granted>,
    ) -> Result<Filling> {
        let mut first_error = None;
        let (mut is_stored, mut filling) = (false, Filling::NotStored);
        let Payloads { each, skip } = payloads;
        let places = self.tiers.iter().zip(each).enumerate();
        let mut places: Vec<_> = places.filter(|(_, (tier, _))| !skip.has(tier.tier)).collect();
        if origin == Origin::Load {
            places.reverse();
        }
        places.sort_by_key(|(index, _)| lease.is_none_or(|lease| lease.tier != *index));
        for (index, (tier, payload)) in places {
            if origin == Origin::Load && tier.is_slow() {
                // Whoever waits for the value has waited for this tier already.
                count(&tier.counters.skipped);
                continue;
            }
            let mut meta = meta.clone();
            meta.format = tier.format.serializer.format();
            meta.wrappers = payload.packed.wrappers;
            meta.hard_deadline = self.hard_deadline(tier, meta.hard_deadline);
            let entry = Entry { value: payload.packed.bytes, meta };
            let stamp = entry.meta.stamp;
            let put = match lease.filter(|lease| lease.tier == index) {
                Some(lease) => match self.fill(tier, key, entry, lease).await {
                    Ok(false) => return Ok(Filling::Lost),
                    filled => filled.map(|_| Some(stamp)),
                },
                None => self.put_to(tier, key, entry, origin).await,
            };
            match put {
                Ok(None) => return Ok(Filling::Lost),
                Ok(Some(stamp)) => {
                    is_stored = true;
                    if lease.is_none_or(|lease| lease.tier == index) {
                        filling = Filling::Filled;
                    }
                    count(&tier.counters.writes);
                    tier.recovery.settle_key(key, stamp);
                }
                Err(error) => {
                    // What was loaded says nothing against what the tier has.
                    if origin == Origin::Set && is_outage(&error) {
                        tier.recover_later(Work::key(key), self.stamp());
                    }
                    self.warn_unstored(tier, &error);
                    first_error.get_or_insert(error);
                }
            }
        }
        match first_error {
            Some(error) if !is_stored => Err(error),
            _ => Ok(filling),
        }
    }

    /// Stores an entry under a lease, which it ends; whether the lease held.
    async fn fill(
        &self,
        tier: &ByteTier,
        key: &str,
        entry: Entry,
        lease: &Granted,
    ) -> Result<bool> {
        tier.write(key, "fill", tier.backend.fill(key, entry, lease.token)).await
    }

    /// Stores an entry in one tier; its version there, or `None` when something newer stays.
    ///
    /// Where the backend compares versions, a write that was slow on its way cannot replace a later
    /// one.
    pub(super) async fn put_to(
        &self,
        tier: &ByteTier,
        key: &str,
        mut entry: Entry,
        origin: Origin,
    ) -> Result<Option<Stamp>> {
        if !tier.can(Capabilities::PUT_IF_NEWER) {
            let stamp = entry.meta.stamp;
            let set = tier.backend.set(key, entry);
            return tier.write(key, "set", set).await.map(|()| Some(stamp));
        }
        if self.put_newer(tier, key, &entry).await? {
            return Ok(Some(entry.meta.stamp));
        }
        let there = tier.bounded("meta", tier.backend.meta(key)).await?;
        let is_ahead = there.is_some_and(|there| !self.follow(tier, there.stamp));
        if origin == Origin::Load {
            count(&tier.counters.outdated);
            return Ok(None);
        }
        // The clock of another writer is ahead of ours. What is set now comes after what it wrote.
        entry.meta.stamp = self.stamp();
        let stamp = entry.meta.stamp;
        // One that is too far ahead would win for ever.
        if !is_ahead && self.put_newer(tier, key, &entry).await? {
            return Ok(Some(stamp));
        }
        tier.write(key, "set", tier.backend.set(key, entry)).await.map(|()| Some(stamp))
    }

    async fn put_newer(&self, tier: &ByteTier, key: &str, entry: &Entry) -> Result<bool> {
        let put = tier.backend.put_if_newer(key, entry.clone());
        tier.write(key, "put_if_newer", put).await
    }

    /// Keeps a key out of a tier that a write of before may reach yet; whether it was there.
    pub(super) async fn bury(&self, tier: &ByteTier, key: &str, stamp: Stamp) -> Result<bool> {
        let there = tier.bounded("meta", tier.backend.meta(key)).await?;
        self.put_to(tier, key, tier.tombstone(stamp), Origin::Set).await?;
        let now = self.clock.wall();
        Ok(there.is_some_and(|meta| !meta.tombstone && !meta.is_dead(now)))
    }

    /// Stores what was found in a tier below, with the version that it has there.
    pub(super) async fn put_copy(&self, tier: &ByteTier, key: &str, entry: Entry) -> Result<()> {
        if tier.can(Capabilities::PUT_IF_NEWER) {
            return self.put_newer(tier, key, &entry).await.map(drop);
        }
        tier.write(key, "set", tier.backend.set(key, entry)).await
    }

    /// Stores a loaded entry in the byte tiers, unless its key changed since the ticket, under the
    /// lease under which it was loaded, if there was one.
    pub(crate) async fn put_loaded(
        &self,
        key: &str,
        payloads: Payloads,
        meta: &EntryMeta,
        ticket: &Ticket,
        lease: Option<&Granted>,
    ) -> Filling {
        let _turn = self.write_turn(ticket.hash()).await;
        if !ticket.holds() {
            return Filling::NotStored;
        }
        self.put_in_turn(key, payloads, meta, ticket, lease).await
    }

    /// The same for who has the turn of the key.
    pub(super) async fn put_in_turn(
        &self,
        key: &str,
        payloads: Payloads,
        meta: &EntryMeta,
        ticket: &Ticket,
        lease: Option<&Granted>,
    ) -> Filling {
        // Failures are counted and reported where they happen; the callers have their value.
        let stored = self.put_all(key, payloads, meta, Origin::Load, lease).await;
        let filling = stored.unwrap_or(Filling::NotStored);
        if filling != Filling::Lost && !ticket.holds() {
            self.remove(key).await.ok();
        }
        filling
    }
}
