//! How a load ends in a cache that has nothing but the store.

use std::borrow::Borrow;
use std::ops::Deref;
use std::sync::Arc;

use larder_core::{Result, Tier};
use larder_store::RemovalReason;

use super::{Boarding, Flight, Followers, Lead, SharedLead};
use crate::core::load::Outcome;
use crate::core::load::attempt::Made;
use crate::core::local::Local;
use crate::core::{CacheValue, Core, Key, KeyRef};
use crate::fence::Fence;
use crate::flight::Wait;
use crate::settings::Terms;
use crate::stored::Content;
use crate::tags::Tags;

/// The right to load a key, and a place among those who wait for that.
type Boarded<K, V> = (SharedLead<K, V>, Wait<Outcome<V>>);

impl<K: Key, V: CacheValue> Core<K, V> {
    /// Stores what was loaded unless its key changed since, and tells it to all who wait.
    pub(super) fn keep_locally<Q, F>(
        &self,
        local: &Local<'_, K, V>,
        key: &Q,
        lead: Lead<K, V, F>,
        made: Result<Made<V>>,
        terms: &Terms,
    ) -> Outcome<V>
    where
        F: Deref<Target = Fence<Flight<K, V>>>,
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let made = match made {
            Ok(made) => made,
            Err(error) => {
                let end = |is_current| match is_current {
                    true => self.pause(key, terms),
                    false => self.release_claim(key),
                };
                return land_with(lead, Err(error), end);
            }
        };
        let Made { value, options, tags, is_stored, is_outdated, .. } = made;
        let outcome = Ok(value.clone());
        if !is_stored {
            return land(lead, outcome);
        }
        let planned = self.plan(|| key.to_owned(), value, tags, &options);
        let planned = match planned {
            Ok(Some(planned)) => planned,
            Ok(None) => {
                let end = |is_current| match is_current {
                    true => self.drop_kept(key),
                    false => self.release_claim(key),
                };
                return land_with(lead, outcome, end);
            }
            Err(error) => {
                self.warn_unstored(Tier::L1, &error);
                return land(lead, outcome);
            }
        };
        let (stored, insert) = planned;
        let (hash, mut is_kept, mut full) = (lead.hash(), false, None);
        let followers = lead.end(|flight, is_current| {
            let Flight { key, followers, .. } = flight;
            is_kept = is_current && !is_outdated && stored.tags().is_none_or(Tags::hold);
            if is_kept {
                // A store that is full is a slower cache, not a failure of the load.
                full = self.insert_locally(local, hash, key, stored, insert).err();
            }
            followers
        });
        if !is_kept {
            self.count_fenced();
            self.release_claim(key);
        }
        if let Some(full) = full {
            self.warn_unstored(Tier::L1, &self.full(full));
        }
        tell(followers.flatten(), &outcome);
        outcome
    }

    /// There is no value any more, so the stale one is none to fall back on.
    fn drop_kept<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        if self.kept(key).is_some() {
            self.forget(key, RemovalReason::Invalidated);
        }
    }

    /// Makes the caller the one who loads a key as one of many, and waits for that as others do; or
    /// says for whom to wait.
    pub(in crate::core) fn lead_for_many(
        &self,
        local: &Local<'_, K, V>,
        key: &K,
        boarding: Boarding,
    ) -> Result<Boarded<K, V>, Wait<Outcome<V>>> {
        let hash = local.store.table.hash_of(key);
        let (by, followers) = (boarding.clone(), Followers::new());
        let wait = followers.wait.clone();
        let follow = |flight: &mut Flight<K, V>| {
            let wait = flight.follow(key, &by)?;
            Some(self.unless_own(flight, &by, wait))
        };
        let followers = Some(followers);
        let flight = || Flight { key: key.clone(), is_shared: true, boarding, followers };
        let lead = Fence::join(Arc::clone(local.fence), hash, follow, flight)?;
        Ok((lead, wait))
    }

    /// Stores what was loaded as one of many, and tells it to all who wait.
    pub(in crate::core) fn land_locally(
        &self,
        key: &K,
        lead: SharedLead<K, V>,
        made: Result<Made<V>>,
        terms: &Terms,
    ) {
        let local = self.local().expect("a cache keeps the tiers it was opened with");
        // Whoever asked hears of it from the flight.
        self.keep_locally(&local, key, lead, made, terms).ok();
    }
}

/// Ends a load that has nothing to store, and does something that is told whether its key is as it
/// was.
fn land_with<K, V, F>(
    lead: Lead<K, V, F>,
    outcome: Outcome<V>,
    then: impl FnOnce(bool),
) -> Outcome<V>
where
    V: Clone,
    F: Deref<Target = Fence<Flight<K, V>>>,
{
    let end = |flight: Flight<K, V>, is_current: bool| {
        then(is_current);
        flight.followers
    };
    tell(lead.end(end).flatten(), &outcome);
    outcome
}

/// Ends a load that has nothing to store.
pub(super) fn land<K, V, F>(lead: Lead<K, V, F>, outcome: Outcome<V>) -> Outcome<V>
where
    V: Clone,
    F: Deref<Target = Fence<Flight<K, V>>>,
{
    tell(lead.end(|flight, _| flight.followers).flatten(), &outcome);
    outcome
}

#[inline]
fn tell<V: Clone>(followers: Option<Followers<V>>, outcome: &Outcome<V>) {
    if let Some(followers) = followers {
        // Those who waited may be gone.
        followers.sender.send(outcome.clone()).ok();
    }
}
