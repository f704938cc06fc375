//! Look-ups that nothing has to be waited for: a hit of a tier that answers at once takes no future
//! besides that of the caller, no timer, no lock and no memory.

use std::borrow::Borrow;
use std::ops::ControlFlow::{self, Break, Continue};

use larder_core::backend::Loan;
use larder_core::{CacheError, ErrorKind};

use super::Answer;
use crate::core::{CacheValue, Core, Key, KeyRef, place, place_of};
use crate::engine::{Look, Read, Settled};
use crate::fence::Ticket;
use crate::stats::MissCause;
use crate::tier::count;

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
        let is_asked = !self.engine.tiers.first().is_some_and(|tier| look.skip.has(tier.tier));
        // To keep an entry awake takes a call.
        let is_lasting = self.settings_for(key).idle_ttl.duration().is_none();
        let tier = self.engine.tiers.first().filter(|_| is_asked && is_lasting);
        let Some(tier) = tier else { return Continue(Begun { ticket, read: None }) };
        let said = tier.read_now(&text);
        let Some(outcome) = &said else { return Continue(Begun { ticket, read: None }) };
        match (self.engine.settles(&text, outcome), outcome) {
            (Settled::Hit, Ok(Some(loan))) => {
                // One that makes no value has to be removed.
                if let Ok(answer) = self.decode_plain(loan) {
                    count(&tier.counters.hits);
                    let of = (&loan.meta, None, loan.value().len());
                    self.hand_up(key, of, &answer, ticket.as_ref(), look);
                    return Break(Ok(answer));
                }
            }
            (Settled::Miss(MissCause::Cold), _) => return Break(Err(cause)),
            (Settled::Miss(other), _) => return Break(Err(other)),
            (Settled::Hit | Settled::Not, _) => {}
        }
        Continue(Begun { ticket, read: said.map(Read::from) })
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

    /// Goes on with what was begun.
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
        let Begun { ticket, read } = begun;
        // What was read before there was a ticket may be older than what the ticket knows of.
        let first = read.filter(|_| ticket.is_some());
        let ticket = ticket.unwrap_or_else(|| self.engine.fence.ticket(place(key)));
        self.fetch_with(key, cause, (ticket, first), None, look, &mut None).await
    }
}
