//! Storing and removing entries in the byte tiers.
//!
//! A change of a key takes three steps: the store is emptied of the key and the fence moved, the
//! tiers are changed, the fence is moved again and the store filled. Whoever reads in between
//! sees the old or the new value in the tiers; whoever read before cannot fill afterwards. A
//! caller that goes away in the middle leaves the store empty of the key ([`Finally`] sees to it).

use std::sync::Arc;

use larder_core::backend::Deadlines;
use larder_core::key::glob_matches;
use larder_core::{
    Bytes, CacheError, Capabilities, Entry, EntryMeta, ErrorKind, Life, Result, Serializer,
    Timestamp,
};
use xxhash_rust::xxh3::xxh3_64;

use super::Engine;
use crate::deferred::Held;
use crate::fence::Ticket;
use crate::format::Packed;
use crate::settings::Lives;
use crate::stats::MissCause;
use crate::tags::Tags;
use crate::tier::{ByteTier, count};

/// The value of an entry as each byte tier wants it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Payloads(Vec<Payload>);

#[derive(Clone, Debug)]
struct Payload {
    packed: Packed,
    /// As the serializer wrote it; `None` for "there is none".
    plain: Option<Bytes>,
}

impl Payloads {
    /// The size of the value as the serializer of the first byte tier wrote it; `None` without
    /// byte tiers.
    pub(crate) fn len(&self) -> Option<usize> {
        self.0.first().map(|payload| payload.plain.as_ref().map_or(0, Bytes::len))
    }
}

/// Runs something when it is dropped: at the end, or when the caller goes away half-way.
pub(crate) struct Finally<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for Finally<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl Engine {
    /// Serializes and wraps a value for every byte tier, once for all that want the same bytes.
    /// "There is none" has no bytes, and nothing to wrap.
    pub(crate) fn payloads(
        &self,
        key: &str,
        mut encode: impl FnMut(&dyn Serializer) -> Result<Option<Vec<u8>>>,
    ) -> Result<Payloads> {
        let mut payloads: Vec<Payload> = Vec::with_capacity(self.tiers.len());
        for tier in &self.tiers {
            let done = || self.tiers.iter().zip(&payloads);
            let same = done().find(|(other, _)| other.writes_like(tier));
            if let Some((_, payload)) = same {
                payloads.push(payload.clone());
                continue;
            }
            let serializer = &tier.format.serializer;
            let serialized =
                done().find(|(other, _)| Arc::ptr_eq(&other.format.serializer, serializer));
            let plain = match serialized {
                Some((_, payload)) => payload.plain.clone(),
                None => encode(&**serializer)?.map(Bytes::from),
            };
            let packed = match &plain {
                Some(plain) => {
                    self.check_size(key, plain.len())?;
                    let format = tier.format.serializer.format();
                    tier.format.pack(plain.clone(), format, tier.place(key))?
                }
                None => Packed::default(),
            };
            payloads.push(Payload { packed, plain });
        }
        Ok(Payloads(payloads))
    }

    /// Refuses values over the limit for their key.
    pub(crate) fn check_size(&self, key: &str, bytes: usize) -> Result<()> {
        match self.settings_for(key).max_value_bytes {
            Some(limit) if bytes as u64 > limit => {
                count(&self.counters.rejections);
                Err(CacheError::new(ErrorKind::Capacity, "the value is too large")
                    .with("cache", &self.name)
                    .with("current_size", bytes)
                    .with("max_size", limit)
                    .hint("raise `max_value_size` of the cache, or store less"))
            }
            _ => Ok(()),
        }
    }

    /// Changes one key everywhere: `forget` empties the store of it, `change` changes the tiers,
    /// `keep` fills the store.
    pub(crate) async fn change_key<R>(
        &self,
        hash: u64,
        mut forget: impl FnMut(),
        change: impl Future<Output = R>,
        keep: impl FnOnce(&R),
    ) -> R {
        // Dropped last: listeners may use the cache again, so they wait for the end of our turn.
        let mut held = Held::default();
        let _turn = self.write_turn(hash).await;
        let mut empty = || held.collect(|| self.change(hash, &mut forget));
        empty();
        let finally = Finally(empty);
        let outcome = change.await;
        drop(finally);
        held.collect(|| self.change(hash, || keep(&outcome)));
        outcome
    }

    fn change<R>(&self, hash: u64, change: impl FnOnce() -> R) -> R {
        self.fence.change(hash, change)
    }

    /// Clears everything: `empty` empties the store. All tiers are tried before the first error is
    /// returned.
    pub(crate) async fn clear(&self, mut empty: impl FnMut()) -> Result<()> {
        let mut empty = || {
            empty();
            self.tags.forget_markers();
        };
        self.fence.change_all(&mut empty);
        if self.tiers.is_empty() {
            return Ok(());
        }
        let mut held = Held::default();
        // A key that is written or copied upwards meanwhile could escape.
        let _alone = self.clearing.write().await;
        // What was read from a tier before it was cleared must not stay.
        let _finally = Finally(|| held.collect(|| self.fence.change_all(&mut empty)));
        let mut outcome = Ok(());
        for tier in &self.tiers {
            if let Err(error) = tier.bounded("clear", tier.backend.clear()).await {
                outcome = outcome.and(Err(error));
            }
        }
        outcome
    }

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

    /// Gives an entry a new life in every byte tier. All are tried before the first error is
    /// returned.
    pub(crate) async fn touch(&self, key: &str, lives: &Lives) -> Result<()> {
        let EntryMeta { soft_deadline: soft, hard_deadline, .. } = self.meta(lives, None, false);
        let mut outcome = Ok(());
        for tier in &self.tiers {
            let hard = self.hard_deadline(tier, hard_deadline);
            let touched = if tier.can(Capabilities::TOUCH) {
                let touch = tier.backend.touch(key, Deadlines { soft, hard });
                tier.bounded("touch", touch).await.map(drop)
            } else {
                self.rewrite(tier, key, soft, hard).await
            };
            outcome = outcome.and(touched);
        }
        outcome
    }

    /// Moves the deadlines of an entry in a tier that can only store it again.
    async fn rewrite(
        &self,
        tier: &ByteTier,
        key: &str,
        soft: Option<Timestamp>,
        hard: Option<Timestamp>,
    ) -> Result<()> {
        let Some(mut entry) = tier.bounded("get", tier.backend.get(key)).await? else {
            return Ok(());
        };
        (entry.meta.soft_deadline, entry.meta.hard_deadline) = (soft, hard);
        tier.bounded("set", tier.backend.set(key, entry)).await
    }

    /// Stores an entry in every byte tier. A tier that fails is skipped; the error is returned
    /// only when there is a tier and none took the entry.
    pub(crate) async fn put(&self, key: &str, payloads: Payloads, meta: &EntryMeta) -> Result<()> {
        let mut first_error = None;
        let mut is_stored = false;
        for (tier, payload) in self.tiers.iter().zip(payloads.0) {
            let mut meta = meta.clone();
            meta.format = tier.format.serializer.format();
            meta.wrappers = payload.packed.wrappers;
            meta.hard_deadline = self.hard_deadline(tier, meta.hard_deadline);
            let entry = Entry { value: payload.packed.bytes, meta };
            match tier.bounded("set", tier.backend.set(key, entry)).await {
                Ok(()) => {
                    is_stored = true;
                    count(&tier.counters.writes);
                }
                Err(error) => {
                    self.warn_unstored(tier, &error);
                    first_error.get_or_insert(error);
                }
            }
        }
        match first_error {
            Some(error) if !is_stored => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes a key from every byte tier; whether any had it. All tiers are tried before the
    /// first error is returned: as long as one may still have the entry, it is not gone.
    pub(crate) async fn remove(&self, key: &str) -> Result<bool> {
        let mut removed = false;
        let mut outcome = Ok(());
        for tier in &self.tiers {
            match tier.bounded("delete", tier.backend.delete(key)).await {
                Ok(was_there) => removed |= was_there,
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome.map(|()| removed)
    }

    /// Removes every key that matches a glob; which of them were in the byte tiers. `forget`
    /// empties the store of them.
    pub(crate) async fn remove_matching(
        &self,
        pattern: &str,
        mut forget: impl FnMut(),
    ) -> Result<Vec<String>> {
        self.fence.change_all(&mut forget);
        if self.tiers.is_empty() {
            return Ok(Vec::new());
        }
        let _finally = Finally(|| self.fence.change_all(&mut forget));
        // Loads that are being stored found the fence open before: let them end, and notice.
        drop(self.clearing.write().await);
        let wild = |c: char| matches!(c, '*' | '?');
        let prefix = pattern.split(wild).next().unwrap_or_default();
        let keys = self.scan(prefix, &|key| glob_matches(pattern, key)).await?;
        let mut removed = Vec::with_capacity(keys.len());
        for key in keys {
            let hash = xxh3_64(key.as_bytes());
            let _turn = self.write_turn(hash).await;
            // Who read it before it was removed must not copy it into a tier above.
            let _finally = Finally(|| self.change(hash, || ()));
            if self.remove(&key).await? {
                removed.push(key);
            }
        }
        Ok(removed)
    }

    /// Gives an entry that was loaded and found as it was a new life in the byte tiers, unless its
    /// key changed since the ticket.
    pub(crate) async fn renew_loaded(
        &self,
        key: &str,
        payloads: Payloads,
        meta: &EntryMeta,
        lives: &Lives,
        ticket: &Ticket,
    ) {
        // A tier that lost the entry, or cannot change its deadlines alone, gets it whole.
        let can_touch = self.tiers.iter().all(|tier| tier.can(Capabilities::TOUCH));
        if !can_touch || self.find(key).await.is_err_and(|cause| cause != MissCause::Expired) {
            return self.put_loaded(key, payloads, meta, ticket).await;
        }
        let _turn = self.write_turn(ticket.hash()).await;
        if ticket.holds() {
            // Failures are counted and reported where they happen.
            self.touch(key, lives).await.ok();
        }
    }

    /// Removes an entry of which a load found out that it is none any more, unless its key changed
    /// since the ticket.
    pub(crate) async fn remove_loaded(&self, key: &str, ticket: &Ticket) {
        let _turn = self.write_turn(ticket.hash()).await;
        if ticket.holds() {
            self.remove(key).await.ok();
        }
    }

    /// Stores a loaded entry in the byte tiers, unless its key changed since the ticket.
    pub(crate) async fn put_loaded(
        &self,
        key: &str,
        payloads: Payloads,
        meta: &EntryMeta,
        ticket: &Ticket,
    ) {
        let _turn = self.write_turn(ticket.hash()).await;
        if !ticket.holds() {
            return;
        }
        // Failures are counted and reported where they happen; the callers have their value.
        self.put(key, payloads, meta).await.ok();
        if !ticket.holds() {
            self.remove(key).await.ok();
        }
    }
}
