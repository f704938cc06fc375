//! Changing the byte tiers.
//!
//! A change of a key takes three steps: the store is emptied of the key and the fence moved, the
//! tiers are changed, the fence is moved again and the store filled. Whoever reads in between
//! sees the old or the new value in the tiers; whoever read before cannot fill afterwards. A
//! caller that goes away in the middle leaves the store empty of the key ([`Finally`] sees to it).

use std::sync::Arc;

use larder_core::{Bytes, CacheError, ErrorKind, Result, Serializer, Stamp};

use super::{Engine, TierSet};
use crate::deferred::Held;
use crate::format::Packed;
use crate::recovery::Work;
use crate::replay::Untold;
use crate::tier::{count, is_outage};

/// The value of an entry as each byte tier wants it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Payloads {
    pub(super) each: Vec<Payload>,
    /// These tiers get nothing, and keep what they have.
    pub(super) skip: TierSet,
}

#[derive(Clone, Debug)]
pub(super) struct Payload {
    pub(super) packed: Packed,
    /// As the serializer wrote it; `None` for "there is none".
    pub(super) plain: Option<Bytes>,
}

impl Payloads {
    /// The size of the value as the serializer of the first byte tier wrote it; `None` without
    /// byte tiers.
    pub(crate) fn len(&self) -> Option<usize> {
        self.each.first().map(|payload| payload.plain.as_ref().map_or(0, Bytes::len))
    }
}

impl Payloads {
    /// Without those for some tiers.
    pub(crate) fn without(mut self, skip: TierSet) -> Self {
        self.skip = skip;
        self
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
        Ok(Payloads { each: payloads, skip: TierSet::default() })
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

    pub(super) fn change<R>(&self, hash: u64, change: impl FnOnce() -> R) -> R {
        self.fence.change(hash, change)
    }

    /// Clears everything: `empty` empties the store. A tier that cannot be reached is cleared when
    /// it can, and so is one that the caller goes away before. All tiers are tried before the first
    /// error is returned.
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
        let begun = self.untold(&Work::Clear, self.stamp());
        // A key that is written or copied upwards meanwhile could escape.
        let _alone = self.clearing.write().await;
        // What was read from a tier before it was cleared must not stay.
        let _finally = Finally(|| held.collect(|| self.fence.change_all(&mut empty)));
        // What is written from here on is newer, and stays.
        let stamp = self.stamp();
        let untold = self.untold(&Work::Clear, stamp);
        begun.into_iter().for_each(Untold::told);
        let mut outcome = Ok(());
        for (tier, untold) in self.tiers.iter().zip(untold) {
            match tier.bounded("clear", tier.backend.clear()).await {
                Ok(()) => {
                    tier.settle(&Work::Clear, stamp);
                    untold.told();
                }
                Err(error) if is_outage(&error) => drop(untold),
                Err(error) => {
                    untold.told();
                    outcome = outcome.and(Err(error));
                }
            }
        }
        outcome
    }

    /// What every tier has to be told.
    pub(super) fn untold(&self, work: &Work, stamp: Stamp) -> Vec<Untold<'_>> {
        self.tiers.iter().map(|tier| Untold::new(tier, work.clone(), stamp)).collect()
    }
}
