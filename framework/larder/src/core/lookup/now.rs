//! Look-ups that the first byte tier settles alone. Where it answers at once, a hit takes no future
//! besides that of the caller, no timer, no lock and no memory; where it has to be waited for, the
//! futures of nothing but that.

use std::borrow::Borrow;
use std::ops::ControlFlow::{self, Break, Continue};

use larder_core::backend::Loan;
use larder_core::{CacheError, CacheKey, ErrorKind};

use super::Answer;
use crate::core::{CacheValue, Core, Key, KeyRef, place, place_of};
use crate::engine::{Look, Read, Settled};
use crate::fence::Ticket;
use crate::stats::MissCause;
use crate::tier::{ByteTier, count};

/// A look-up that has to wait: the ticket that it has, and what the first tier said since.
pub(super) struct Begun {
    ticket: Option<Ticket>,
    read: Option<Read>,
}

impl<K: Key, V: CacheValue> Core<K, V> {
    /// Looks a key up in the first byte tier, if that can answer at once and nothing else has to be
    /// waited for. Else what was begun, to go on with.
    pub(super) fn fetch_now<Q>(
        &self,
        key: &Q,
        cause: MissCause,
        look: Look,
    ) -> ControlFlow<Answer<V>, Begun>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let text = key.text();
        // Before the tier is asked, so that what it says is stored only if nothing came in between.
        // Nothing can be stored anywhere if this is the only tier.
        let has_others = self.store.is_some() || self.engine.tiers.len() > 1;
        let ticket = has_others.then(|| self.engine.fence.ticket(place_of(&text)));
        let Some(tier) = self.first_of(key, look) else {
            return Continue(Begun { ticket, read: None });
        };
        let said = tier.read_now(&text);
        let settled = said
            .as_ref()
            .and_then(|said| self.settle(key, cause, tier, said, (ticket.as_ref(), look)));
        match settled {
            Some(answer) => Break(answer),
            None => Continue(Begun { ticket, read: said.map(Read::from) }),
        }
    }

    /// The same, if the answer of that tier is all that has to be waited for.
    async fn fetch_soon<Q>(
        &self,
        key: &Q,
        cause: MissCause,
        ticket: Option<Ticket>,
        look: Look,
    ) -> ControlFlow<Answer<V>, Begun>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let text = key.text();
        let reading = self.first_of(key, look).and_then(|tier| Some((tier, tier.read(&text)?)));
        let Some((tier, reading)) = reading else {
            return Continue(Begun { ticket, read: None });
        };
        // Even if nothing can be stored, so that no tier is waited for twice when more is to be
        // done.
        let ticket = ticket.unwrap_or_else(|| self.engine.fence.ticket(place_of(&text)));
        let said = reading.await.map(|entry| entry.map(Loan::from));
        match self.settle(key, cause, tier, &said, (Some(&ticket), look)) {
            Some(answer) => Break(answer),
            None => Continue(Begun { ticket: Some(ticket), read: Some(said.into()) }),
        }
    }

    /// The first byte tier, if it is asked and an entry of it may be served without another call.
    #[inline]
    fn first_of<Q>(&self, key: &Q, look: Look) -> Option<&ByteTier>
    where
        Q: CacheKey + ?Sized,
    {
        let tier = self.engine.tiers.first()?;
        // To keep an entry awake takes a call.
        let is_lasting = self.settings_for(key).idle_ttl.duration().is_none();
        (is_lasting && !look.skip.has(tier.tier)).then_some(&**tier)
    }

    /// The answer of the look-up, if nothing else has to be waited for than what the first tier
    /// has said.
    #[inline]
    fn settle<Q>(
        &self,
        key: &Q,
        cause: MissCause,
        tier: &ByteTier,
        said: &larder_core::Result<Option<Loan>>,
        (ticket, look): (Option<&Ticket>, Look),
    ) -> Option<Answer<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        match (self.engine.settles(&key.text(), said), said) {
            (Settled::Hit, Ok(Some(loan))) => {
                // One that makes no value has to be removed.
                let answer = self.decode_plain(loan).ok()?;
                count(&tier.counters.hits);
                let of = (&loan.meta, None, loan.value().len());
                self.hand_up(key, of, &answer, ticket, look);
                Some(Ok(answer))
            }
            (Settled::Miss(MissCause::Cold), _) => Some(Err(cause)),
            (Settled::Miss(other), _) => Some(Err(other)),
            (Settled::Hit | Settled::Not, _) => None,
        }
    }

    /// The value of an entry of the first byte tier that went through nothing but a serializer.
    fn decode_plain(&self, loan: &Loan) -> larder_core::Result<Option<V>> {
        let (tier, meta) = (&self.engine.tiers[0], &loan.meta);
        if meta.negative {
            return Ok(None);
        }
        match &self.codec {
            Some(codec) if meta.wrappers.count() == 0 && !tier.format.encrypts() => {
                let serializer = self.engine.reader(tier, meta.format)?;
                codec.decode(loan.value(), serializer).map(Some)
            }
            _ => Err(CacheError::new(ErrorKind::Unsupported, "the entry has to be unpacked")),
        }
    }

    /// Goes on with what was begun. Most look-ups end with the answer of the first tier, and take
    /// no room for what others need.
    pub(super) async fn fetch_from<Q>(
        &self,
        key: &Q,
        cause: MissCause,
        begun: Begun,
        look: Look,
    ) -> Answer<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        // Who has a stale value at hand waits for less long.
        let begun = match begun {
            Begun { ticket, read: None } if !look.is_soon => {
                match self.fetch_soon(key, cause, ticket, look).await {
                    Break(answer) => return answer,
                    Continue(begun) => begun,
                }
            }
            begun => begun,
        };
        Box::pin(self.fetch_on(key, cause, begun, look)).await
    }

    /// The same, in all tiers.
    async fn fetch_on<Q>(&self, key: &Q, cause: MissCause, begun: Begun, look: Look) -> Answer<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let Begun { ticket, read } = begun;
        // What was read before there was a ticket may be older than what the ticket knows of.
        let first = read.filter(|_| ticket.is_some());
        let ticket = ticket.unwrap_or_else(|| self.engine.fence.ticket(place(key)));
        self.fetch_with(key, cause, (ticket, first), None, look, &mut None).await
    }
}
