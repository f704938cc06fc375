//! What happens after a miss in the store: the byte tiers, and the way back up.

use std::borrow::Borrow;
use std::ops::ControlFlow;
use std::sync::Arc;

use larder_core::key::glob_matches;
use larder_core::{Bytes, CacheError, CacheKey, EntryMeta, ErrorKind, Life, Moment, Result, Tier};
use larder_store::{Full, Insert};

use super::load::{Basis, Mark};
use super::{CacheValue, Core, Key, KeyRef, StoreTier, place};
use crate::engine::{Found, Look, Read};
use crate::fence::Ticket;
use crate::settings::Lives;
use crate::stats::MissCause;
use crate::stored::{Content, Stored, stored};
use crate::tags::Tags;
use crate::tier::count;

mod now;

/// An answer, or why there is none.
pub(crate) type Answer<V> = Result<Option<V>, MissCause>;

impl<K: Key, V: CacheValue> Core<K, V> {
    /// Looks a key up in all tiers.
    pub(crate) async fn look_up<Q>(&self, key: &Q) -> Result<Answer<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        match self.fast(key) {
            Ok(answer) => Ok(Ok(answer)),
            Err(cause) => self.look_below(key, cause).await,
        }
    }

    /// Looks a key up where the caller wants it looked up.
    pub(crate) async fn look_up_as<Q>(&self, key: &Q, look: Look) -> Result<Answer<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        if !look.skip.has(Tier::L1) || self.store.is_none() {
            return match self.fast(key) {
                Ok(answer) => Ok(Ok(answer)),
                Err(cause) => self.look_below_as(key, cause, look).await,
            };
        }
        // What the store has counts neither as a hit nor as a miss of it.
        self.check(key)?;
        let answer = match self.fetch_now(key, MissCause::Bypass, look) {
            ControlFlow::Break(answer) => answer,
            ControlFlow::Continue(begun) => {
                Box::pin(self.fetch_from(key, MissCause::Bypass, begun, look)).await
            }
        };
        if let Err(cause) = answer {
            self.engine.counters.count_miss(cause);
        }
        Ok(answer)
    }

    /// Looks a key up in the tiers below the store, which does not have it for this cause.
    pub(crate) async fn look_below<Q>(&self, key: &Q, cause: MissCause) -> Result<Answer<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.look_below_as(key, cause, Look::default()).await
    }

    async fn look_below_as<Q>(&self, key: &Q, cause: MissCause, look: Look) -> Result<Answer<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.check_missed(key, cause)?;
        if self.local().is_some() {
            return Ok(Err(cause));
        }
        let answer = match self.fetch_now(key, cause, look) {
            ControlFlow::Break(answer) => answer,
            // Boxed, so that the future of a hit stays small.
            ControlFlow::Continue(begun) => {
                Box::pin(self.fetch_from(key, cause, begun, look)).await
            }
        };
        if let Err(cause) = answer {
            self.count_miss(cause);
        }
        Ok(answer)
    }

    /// Looks many keys up, the byte tiers in batches, and these until the time is over that `end`
    /// says when it hears which keys they are asked for.
    pub(crate) async fn look_up_many<Q>(
        &self,
        keys: &[&Q],
        end: impl FnOnce(&[(usize, MissCause)]) -> Option<Moment>,
    ) -> Result<Vec<Option<V>>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let mut answers = vec![None; keys.len()];
        let mut missing = Vec::new();
        if let Some(StoreTier { table, .. }) = &self.store {
            table.get_many_with(keys, |index, found| {
                let answer = found.map_err(MissCause::from).and_then(|(stored, hits)| {
                    self.answer(stored.read(), hits, || table.hash_of(keys[index]))
                });
                match answer {
                    Ok(answer) => answers[index] = answer,
                    Err(cause) => missing.push((index, cause)),
                }
            });
        } else {
            missing.extend((0..keys.len()).map(|index| (index, MissCause::Cold)));
        }
        for (index, cause) in &missing {
            self.check_missed(keys[*index], *cause)?;
        }
        if self.local().is_none() && !missing.is_empty() {
            let end = end(&missing);
            // Boxed, so that the future of hits stays small.
            let looking = Box::pin(self.look_below_many(keys, &mut missing, &mut answers));
            if self.by(end, looking).await.is_none() {
                missing.iter().for_each(|_| self.count_miss(MissCause::TierDown));
            }
        }
        Ok(answers)
    }

    /// Looks keys up in the tiers below the store, which does not have them for these causes. Those
    /// that it is done with are not missing any more.
    async fn look_below_many<Q>(
        &self,
        keys: &[&Q],
        missing: &mut Vec<(usize, MissCause)>,
        answers: &mut [Option<V>],
    ) where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let missed = || missing.iter().map(|(index, _)| keys[*index]);
        let mut tickets: Vec<Ticket> =
            missed().map(|key| self.engine.fence.ticket(place(key))).collect();
        let texts: Vec<_> = missed().map(CacheKey::text).collect();
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let mut found = self.engine.find_many(&texts).await;
        while let (Some(&(index, cause)), Some(ticket), Some(found)) =
            (missing.last(), tickets.pop(), found.pop())
        {
            let answer = match found {
                Ok(found) => match self.take_up(keys[index], found, &ticket).await {
                    Ok(answer) => Ok(answer),
                    // The tiers below may have bytes that can be read.
                    Err(cause) => self.fetch(keys[index], cause, None, &mut None).await,
                },
                Err(MissCause::Cold) => Err(cause),
                Err(cause) => Err(cause),
            };
            match answer {
                Ok(answer) => answers[index] = answer,
                Err(cause) => self.count_miss(cause),
            }
            missing.pop();
        }
    }

    /// Looks a key up in the byte tiers and fills the tiers above. Not counted as a miss. `mark` is
    /// told what the answer rests on before anything is waited for, and `stale` gets the youngest
    /// entry that is past its end.
    pub(super) async fn fetch<Q>(
        &self,
        key: &Q,
        cause: MissCause,
        mark: Option<&Mark>,
        stale: &mut Option<Found>,
    ) -> Answer<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.fetch_as(key, cause, mark, Look::default(), stale).await
    }

    /// The same, in the tiers and the time that the caller wants.
    pub(super) async fn fetch_as<Q>(
        &self,
        key: &Q,
        cause: MissCause,
        mark: Option<&Mark>,
        look: Look,
        stale: &mut Option<Found>,
    ) -> Answer<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let begun = (self.engine.fence.ticket(place(key)), None);
        self.fetch_with(key, cause, begun, mark, look, stale).await
    }

    /// The same, with a ticket and, if it was asked since, what the first tier said.
    async fn fetch_with<Q>(
        &self,
        key: &Q,
        cause: MissCause,
        (ticket, mut first): (Ticket, Option<Read>),
        mark: Option<&Mark>,
        look: Look,
        stale: &mut Option<Found>,
    ) -> Answer<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let text = key.text();
        // An entry that makes no value is removed from its tier, so each round gets further.
        let mut cause = cause;
        for _ in 0..self.engine.tiers.len() {
            match self.engine.find_as(&text, look, first.take(), stale).await {
                Ok(found) => {
                    if let Some(mark) = mark {
                        mark.rest_on(Basis::of(&found));
                    }
                    match self.take_up_as(key, found, &ticket, look).await {
                        Ok(answer) => return Ok(answer),
                        Err(undecodable) => cause = undecodable,
                    }
                }
                Err(MissCause::Cold) => break,
                Err(other) => {
                    cause = other;
                    break;
                }
            }
        }
        Err(cause)
    }

    /// Decodes an entry of a byte tier and copies it into the tiers above.
    pub(super) async fn take_up<Q>(&self, key: &Q, found: Found, ticket: &Ticket) -> Answer<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.take_up_as(key, found, ticket, Look::default()).await
    }

    async fn take_up_as<Q>(&self, key: &Q, found: Found, ticket: &Ticket, look: Look) -> Answer<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let text = key.text();
        let (answer, plain) = match self.decode(&text, &found) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.engine.drop_undecodable(&text, &found, ticket, &error).await;
                return Err(MissCause::Decode);
            }
        };
        let tags = found.tags.as_ref();
        let of = (&found.entry.meta, tags, plain.len());
        self.hand_up(key, of, &answer, Some(ticket), look);
        self.engine.keep_awake(&text, &found, ticket).await;
        self.engine.back_fill(&text, found, plain, ticket, look.keep_from).await;
        Ok(answer)
    }

    /// Counts a hit of a byte tier, and fills the store with it unless its key changed since the
    /// ticket. Of the entry it takes meta, tags and the length of its value.
    fn hand_up<Q>(
        &self,
        key: &Q,
        (meta, tags, length): (&EntryMeta, Option<&Arc<Tags>>, usize),
        answer: &Option<V>,
        ticket: Option<&Ticket>,
        look: Look,
    ) where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        count(&self.engine.counters.tier_hits);
        if answer.is_none() {
            count(&self.engine.counters.negative_hits);
        }
        if let (Some(ticket), true, false) =
            (ticket, self.store.is_some(), look.keep_from.has(Tier::L1))
        {
            let lives = Lives::of_entry(meta, self.settings_for(key), &*self.engine.clock);
            let stored = stored(answer.clone(), tags.cloned());
            let insert = self.prepare(|| key.to_owned(), &stored, lives, None, Some(length));
            self.fill_store(key.to_owned(), stored, insert, ticket);
        }
    }

    /// The value of an entry, and its bytes as the serializer wrote them.
    pub(super) fn decode(&self, key: &str, found: &Found) -> Result<(Option<V>, Bytes)> {
        if found.entry.meta.negative {
            return Ok((None, Bytes::new()));
        }
        let Some(codec) = &self.codec else {
            return Err(CacheError::new(
                ErrorKind::Unsupported,
                "the type of the value has no serde",
            ));
        };
        let tier = &self.engine.tiers[found.tier];
        let serializer = self.engine.reader(tier, found.entry.meta.format)?;
        let plain = self.engine.plain(key, found)?;
        let value = codec.decode(&plain, serializer)?;
        Ok((Some(value), plain))
    }

    /// Puts an entry into the store unless its key changed since the ticket; what came of it if it
    /// did not. A store that is full is a slower cache, not a failure.
    pub(super) fn fill_store(
        &self,
        key: K,
        stored: Stored<V>,
        insert: Insert,
        ticket: &Ticket,
    ) -> Option<Result<(), Full>> {
        ticket.fill(|| self.insert(key, stored, insert))
    }

    /// The texts of the keys that match a glob, from all tiers, sorted.
    pub(crate) async fn keys(&self, pattern: &str) -> Result<Vec<String>> {
        self.engine.check_open()?;
        let prefix = pattern.split(['*', '?']).next().unwrap_or_default();
        let mut keys = self.engine.scan(prefix, &|key| glob_matches(pattern, key)).await?;
        if let Some(store) = &self.store {
            store.table.for_each(|key, _| {
                let text = key.text();
                if glob_matches(pattern, &text) {
                    keys.push(text.into_owned());
                }
            });
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    /// Whether there is a value.
    pub(crate) async fn exists<Q>(&self, key: &Q) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.check(key)?;
        if let Some(answer) = self.peek(key) {
            return Ok(answer.is_some());
        }
        if self.engine.tiers.is_empty() {
            return Ok(false);
        }
        let found = self.engine.find(&key.text()).await;
        Ok(found.is_ok_and(|found| !found.entry.meta.negative))
    }

    /// How long an entry will live yet; `None` when there is none.
    pub(crate) async fn remaining<Q>(&self, key: &Q) -> Result<Option<Life>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.check(key)?;
        let clock = &self.engine.clock;
        // A lower tier knows better: the store may be told to keep entries for a shorter time.
        if !self.engine.tiers.is_empty()
            && let Ok(found) = self.engine.find(&key.text()).await
        {
            let EntryMeta { negative, soft_deadline, .. } = found.entry.meta;
            let left = || soft_deadline.map(|deadline| deadline.since(clock.wall())).into();
            return Ok((!negative).then(left));
        }
        let Some(store) = &self.store else {
            return Ok(None);
        };
        let has_value = store.table.peek(key).and_then(|stored| stored.read()).flatten().is_some();
        let deadline = store.table.deadline(key).filter(|_| has_value);
        Ok(deadline.map(|deadline| deadline.map(|deadline| deadline.since(clock.now())).into()))
    }
}
