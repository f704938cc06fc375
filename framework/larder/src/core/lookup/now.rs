//! Look-ups that nothing has to be waited for: a hit of a tier that answers at once takes no future
//! besides that of the caller, no timer and no lock.

use std::borrow::Borrow;

use super::Answer;
use crate::core::{CacheValue, Core, Key, KeyRef, place, place_of};
use crate::engine::{Look, Read};
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
    ) -> Result<Answer<V>, Begun>
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
        let read = (is_asked && is_lasting).then(|| self.engine.read_now(&text)).flatten();
        let Some(read) = read else { return Err(Begun { ticket, read }) };
        let found = match self.engine.settled(&text, read) {
            Ok(Ok(found)) => found,
            Ok(Err(MissCause::Cold)) => return Ok(Err(cause)),
            Ok(Err(other)) => return Ok(Err(other)),
            Err(read) => return Err(Begun { ticket, read: Some(read) }),
        };
        // One that makes no value has to be removed.
        let Ok(decoded) = self.decode(&text, &found) else {
            return Err(Begun { ticket, read: Some(found.into()) });
        };
        count(&self.engine.tiers[found.tier].counters.hits);
        Ok(Ok(self.hand_up(key, &found, decoded, ticket.as_ref(), look).0))
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
