//! Looking up entries in the byte tiers.

use std::sync::Arc;

use larder_core::backend::Loan;
use larder_core::{Bytes, CacheError, Entry, EntryMeta, Result, Stamp, telemetry};
use tokio::runtime::Handle;

use super::{Engine, Look, TierSet};
use crate::fence::Ticket;
use crate::recovery::Work;
use crate::stats::MissCause;
use crate::tags::Tags;
use crate::tier::{ByteTier, Lane, count, is_outage, was_skipped};

/// A valid entry and where it was.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) entry: Entry,
    /// Index into the byte tiers.
    pub(crate) tier: usize,
    pub(crate) tags: Option<Arc<Tags>>,
}

/// What a tier said when it was asked for a key.
#[derive(Debug)]
pub(crate) struct Read {
    outcome: Result<Option<Entry>>,
    /// Versions up to this one were not to be served from it then.
    hidden: Option<Stamp>,
}

/// What a tier said at once, while nothing of it was hidden.
impl From<Result<Option<Loan>>> for Read {
    fn from(outcome: Result<Option<Loan>>) -> Self {
        Self { outcome: outcome.map(|loan| loan.map(Loan::into_entry)), hidden: None }
    }
}

/// What a tier that answered at once says about a look-up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Settled {
    /// The entry may be served as it is.
    Hit,
    /// There is none, and no other tier that may have it.
    Miss(MissCause),
    /// Something else has to be asked.
    Not,
}

impl Engine {
    /// Looks a key up, tier after tier. A tier that fails is skipped; the cause says so when the
    /// others do not have the key either.
    pub(crate) async fn find(&self, key: &str) -> Result<Found, MissCause> {
        self.find_noting(key, &mut None).await
    }

    /// The same, and notes the youngest of the stale entries that it came across.
    pub(crate) async fn find_noting(
        &self,
        key: &str,
        stale: &mut Option<Found>,
    ) -> Result<Found, MissCause> {
        self.find_as(key, Look::default(), None, stale).await
    }

    /// The same, in the tiers and the time that the caller wants. The first tier is not asked when
    /// the caller has asked it.
    pub(crate) async fn find_as(
        &self,
        key: &str,
        look: Look,
        mut first: Option<Read>,
        stale: &mut Option<Found>,
    ) -> Result<Found, MissCause> {
        let mut cause = MissCause::Cold;
        for index in 0..self.tiers.len() {
            if look.skip.has(self.tiers[index].tier) {
                continue;
            }
            let found = match first.take() {
                Some(read) => self.validate(index, key, read, look, stale).await,
                None => self.find_in(index, key, look, stale).await,
            };
            match found {
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
            let hidden: Vec<_> = batch.iter().map(|key| tier.recovery.hidden_up_to(key)).collect();
            let outcomes = tier.get_each(Lane::Usual, &batch).await;
            // After the entries, as for one of them.
            let markers = self.markers_of(&outcomes).await;
            for (at, (outcome, hidden)) in missing.into_iter().zip(outcomes.into_iter().zip(hidden))
            {
                let Ok(entry) = outcome else {
                    found[at] = Err(MissCause::TierDown);
                    continue;
                };
                let entry = self.admit(tier, keys[at], entry, hidden);
                let tags = entry.as_ref().map_or(Ok(None), |entry| markers.restore(entry));
                match self.judge(index, entry, tags, &mut None) {
                    Err(MissCause::Cold) => {}
                    other => found[at] = other,
                }
            }
        }
        found
    }

    /// Looks a key up in one tier.
    pub(crate) async fn find_in(
        &self,
        index: usize,
        key: &str,
        look: Look,
        stale: &mut Option<Found>,
    ) -> Result<Found, MissCause> {
        let tier = &self.tiers[index];
        let hidden = tier.recovery.hidden_up_to(key);
        let read = match tier.read_now(key) {
            Some(outcome) => outcome.into(),
            None => {
                let outcome = tier.call(look.lane(), "get", tier.backend.get(key)).await;
                Read { outcome, hidden }
            }
        };
        self.validate(index, key, read, look, stale).await
    }

    /// Whether what the first tier said at once settles a look-up, so that nothing else has to be
    /// asked. A miss is counted.
    #[inline]
    pub(crate) fn settles(&self, key: &str, outcome: &Result<Option<Loan>>) -> Settled {
        let [tier, others @ ..] = &*self.tiers else { return Settled::Not };
        match outcome {
            Ok(Some(loan)) if self.is_plain(tier, key, &loan.meta) => {
                self.follow(tier, loan.meta.stamp);
                Settled::Hit
            }
            Ok(None) if others.is_empty() => {
                count(&tier.counters.misses);
                Settled::Miss(MissCause::Cold)
            }
            Err(_) if others.is_empty() => Settled::Miss(MissCause::TierDown),
            _ => Settled::Not,
        }
    }

    /// Whether an entry may be served without a look at anything that may have to be waited for.
    fn is_plain(&self, tier: &ByteTier, key: &str, meta: &EntryMeta) -> bool {
        let mut ends = [meta.soft_deadline, meta.hard_deadline].into_iter().flatten();
        let is_out = tier.recovery.hides(key, meta.stamp);
        let mut is_over = || ends.any(|end| self.clock.has_come(end));
        !meta.tombstone && meta.tags.is_empty() && !is_out && !is_over()
    }

    /// Whether what a tier said may be served.
    async fn validate(
        &self,
        index: usize,
        key: &str,
        read: Read,
        look: Look,
        stale: &mut Option<Found>,
    ) -> Result<Found, MissCause> {
        let Read { outcome, hidden } = read;
        let entry = outcome.map_err(|_| MissCause::TierDown)?;
        let entry = self.admit(&self.tiers[index], key, entry, hidden);
        let tags = match &entry {
            Ok(entry) => self.restore_tags(entry, look).await,
            Err(_) => Ok(None),
        };
        self.judge(index, entry, tags, stale)
    }

    /// The entry that a tier answered with, unless it must not be served whatever its tags are.
    fn admit(
        &self,
        tier: &ByteTier,
        key: &str,
        entry: Option<Entry>,
        hidden: Option<Stamp>,
    ) -> Result<Entry, MissCause> {
        if let Some(entry) = &entry {
            self.follow(tier, entry.meta.stamp);
        }
        let entry = entry.filter(|entry| !entry.meta.tombstone).ok_or(MissCause::Cold)?;
        let stamp = entry.meta.stamp;
        let is_hidden =
            hidden.is_some_and(|hidden| stamp <= hidden) || tier.recovery.hides(key, stamp);
        if is_hidden { Err(MissCause::Invalidated) } else { Ok(entry) }
    }

    /// Whether an entry with these tags may be served; counts it as a hit or a miss of its tier.
    fn judge(
        &self,
        index: usize,
        entry: Result<Entry, MissCause>,
        tags: Result<Option<Arc<Tags>>, MissCause>,
        stale: &mut Option<Found>,
    ) -> Result<Found, MissCause> {
        let found = entry.and_then(|entry| Ok(Found { entry, tier: index, tags: tags? }));
        let found = found.and_then(|found| self.still_valid(found, stale));
        let counters = &self.tiers[index].counters;
        count(if found.is_ok() { &counters.hits } else { &counters.misses });
        found
    }

    /// What can end while markers are read.
    fn still_valid(&self, found: Found, stale: &mut Option<Found>) -> Result<Found, MissCause> {
        let meta = &found.entry.meta;
        if found.tags.is_none() && meta.soft_deadline.is_none() && meta.hard_deadline.is_none() {
            return Ok(found);
        }
        let now = self.clock.wall();
        if meta.is_dead(now) {
            return Err(MissCause::Expired);
        }
        if found.tags.as_ref().is_some_and(|tags| !tags.hold()) {
            return Err(MissCause::Tag);
        }
        if meta.is_stale(now) {
            if stale.as_ref().is_none_or(|older| older.entry.meta.stamp < meta.stamp) {
                *stale = Some(found);
            }
            return Err(MissCause::Expired);
        }
        Ok(found)
    }

    /// Copies an entry into the byte tiers above the one it was found in, unless its key changed
    /// or is being written. `plain` is its value without what wraps it. Who asked for the entry
    /// has waited for these tiers already, so a task does it where there can be one.
    pub(crate) async fn back_fill(
        self: &Arc<Self>,
        key: &str,
        found: Found,
        plain: Bytes,
        ticket: &Ticket,
        keep_from: TierSet,
    ) {
        if found.tier == 0 {
            return;
        }
        let Some(ticket) = ticket.again() else { return };
        let (engine, key) = (Arc::clone(self), key.to_owned());
        let copy = async move { engine.copy_up(&key, &found, &plain, &ticket, keep_from).await };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(copy)),
            Err(_) => Box::pin(copy).await,
        }
    }

    async fn copy_up(
        &self,
        key: &str,
        found: &Found,
        plain: &Bytes,
        ticket: &Ticket,
        keep_from: TierSet,
    ) {
        let Some(_turn) = self.try_write_turn(ticket.hash()).filter(|_| ticket.holds()) else {
            return;
        };
        for tier in self.tiers[..found.tier].iter().filter(|tier| !keep_from.has(tier.tier)) {
            if tier.is_slow() {
                count(&tier.counters.skipped);
                continue;
            }
            let Some(mut entry) = self.copy_for(tier, key, found, plain) else {
                continue;
            };
            entry.meta.hard_deadline = self.hard_deadline(tier, entry.meta.hard_deadline);
            // What becomes of a copy that fails is reported; it may be there all the same.
            self.put_copy(tier, key, entry).await.ok();
            if ticket.holds() {
                continue;
            }
            // A pattern came in between, and may have passed this tier before the copy.
            let stamp = self.stamp();
            if self.remove_from(tier, key, stamp).await.is_err_and(|error| is_outage(&error)) {
                tier.recover_later(Work::key(key), stamp);
            }
        }
    }

    /// Reports that an entry could not be stored in a tier.
    pub(super) fn warn_unstored(&self, tier: &ByteTier, error: &CacheError) {
        if was_skipped(error) {
            return;
        }
        tracing::warn!(
            target: telemetry::TARGET,
            cache = %self.name, tier = %tier.tier, %error, "{}", telemetry::STORE_FAILED
        );
    }

    /// Forgets an entry whose bytes make no value, unless there is another one by now.
    pub(crate) async fn drop_undecodable(
        &self,
        key: &str,
        found: &Found,
        ticket: &Ticket,
        error: &CacheError,
    ) {
        let tier = &self.tiers[found.tier];
        count(&tier.counters.undecodable);
        tracing::warn!(
            target: telemetry::TARGET,
            cache = %self.name, tier = %tier.tier, %error, "{}", telemetry::DECODE_FAILED
        );
        // The entry may be sound: what reads it is away, as a serializer in another process.
        if error.is_retryable() {
            return;
        }
        if let Some(_turn) = self.try_write_turn(ticket.hash()).filter(|_| ticket.holds()) {
            tier.bounded("delete", tier.backend.delete(key)).await.ok();
        }
    }
}
