//! Loading into a cache that has nothing but the store.
//!
//! The ticket of the fence is the flight: who comes second finds it in the stripe of the key. So a
//! load nobody else waits for takes two short locks, and allocates nothing but the key.

use std::borrow::Borrow;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;
use larder_core::Result;
use tokio::sync::oneshot;
use tracing::Instrument;

use super::Local;
use crate::block::block_on;
use crate::core::load::{BoxError, Loader, Outcome};
use crate::core::{CacheValue, Core, Key, KeyRef};
use crate::fence::{Fence, Ticket};
use crate::flight::Wait;
use crate::settings::SetOptions;
use crate::stats::MissCause;
use crate::stored::Content;
use crate::tags::Tags;
use crate::tier::count;

/// A load that is under way; what its ticket carries.
pub(crate) struct Flight<K, V> {
    key: K,
    /// Whether others may wait for it.
    is_shared: bool,
    tags: Option<Arc<Tags>>,
    /// Those who wait, if there are any.
    followers: Option<Followers<V>>,
}

/// How those who wait for a load hear of its outcome.
struct Followers<V> {
    sender: oneshot::Sender<Outcome<V>>,
    wait: Wait<Outcome<V>>,
}

/// The right to load a key.
type Lead<K, V, F> = Ticket<Flight<K, V>, F>;

/// What is asked for.
struct Request<'a> {
    options: &'a SetOptions,
    /// Whether a remembered "there is none" is an answer.
    takes_negative: bool,
}

impl<K: Key, V: CacheValue> Flight<K, V> {
    /// The outcome of this load, for who wants the same key.
    fn follow<Q>(&mut self, key: &Q) -> Option<Wait<Outcome<V>>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let holds = || self.tags.as_ref().is_none_or(|tags| tags.hold());
        if !self.is_shared || self.key.borrow() != key || !holds() {
            return None;
        }
        let followers = self.followers.get_or_insert_with(|| {
            let (sender, receiver) = oneshot::channel();
            Followers { sender, wait: receiver.shared() }
        });
        Some(followers.wait.clone())
    }
}

impl<K: Key, V: CacheValue> Core<K, V> {
    /// Loads a key that is not in the store, for this cause, on this thread.
    pub(crate) fn load_locally<Q, E>(
        &self,
        local: &Local<'_, K, V>,
        key: &Q,
        mut cause: MissCause,
        takes_negative: bool,
        load: impl FnOnce() -> Result<Option<V>, E>,
    ) -> Outcome<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
        E: Into<BoxError>,
    {
        let request = Request { options: &SetOptions::new(), takes_negative };
        self.check_missed(key, cause)?;
        let mut has_waited = false;
        let lead = loop {
            match self.lead(&**local.fence, local, key, None) {
                Ok(lead) => break lead,
                Err(wait) => {
                    self.count_follower(&mut has_waited);
                    let outcome = block_on(wait).ok();
                    if let Some(answer) = self.follow(key, &mut cause, &request, outcome)? {
                        return Ok(answer);
                    }
                }
            }
        };
        if let Some(answer) = self.look_again(local, key, lead.hash(), cause, &request) {
            return land(lead, Ok(answer));
        }
        let span = self.load_span();
        let outcome = match span.in_scope(|| catch_unwind(AssertUnwindSafe(load))) {
            Ok(Ok(value)) => Ok(value),
            ended => self.judge(None, Some(ended.map(|loaded| loaded.map_err(Into::into)))),
        };
        self.keep_locally(local, key, lead, outcome, None, request.options)
    }

    /// Loads a key that is not in the store, for this cause, on a task of its own.
    pub(in crate::core) async fn load_on_task<Q>(
        self: &Arc<Self>,
        local: &Local<'_, K, V>,
        key: &Q,
        mut cause: MissCause,
        loader: Loader<'static, V>,
    ) -> Outcome<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.check_missed(key, cause)?;
        let request = Request { options: &loader.options, takes_negative: loader.takes_negative };
        let mut has_waited = false;
        let (lead, tags) = loop {
            // Captured before the load, so that what invalidates them meanwhile is noticed.
            let tags = self.engine.local_tags(&loader.options.tags);
            match self.lead(Arc::clone(local.fence), local, key, tags.clone()) {
                Ok(lead) => break (lead, tags),
                Err(wait) => {
                    self.count_follower(&mut has_waited);
                    let outcome = wait.await.ok();
                    if let Some(answer) = self.follow(key, &mut cause, &request, outcome)? {
                        return Ok(answer);
                    }
                }
            }
        };
        let flight = Arc::clone(self).fly_locally(key.to_owned(), cause, loader, lead, tags);
        self.on_task(flight).await
    }

    async fn fly_locally(
        self: Arc<Self>,
        key: K,
        cause: MissCause,
        loader: Loader<'static, V>,
        lead: Lead<K, V, Arc<Fence<Flight<K, V>>>>,
        tags: Option<Arc<Tags>>,
    ) -> Outcome<V> {
        let Loader { run, options, takes_negative } = loader;
        let request = Request { options: &options, takes_negative };
        let local = self.local().expect("a cache keeps the tiers it was opened with");
        if let Some(answer) = self.look_again(&local, &key, lead.hash(), cause, &request) {
            return land(lead, Ok(answer));
        }
        let outcome = self.run(&key, run).instrument(self.load_span()).await;
        self.keep_locally(&local, &key, lead, outcome, tags, &options)
    }

    /// Makes the caller the one who loads, or says for whom to wait.
    fn lead<Q, F>(
        &self,
        fence: F,
        local: &Local<'_, K, V>,
        key: &Q,
        tags: Option<Arc<Tags>>,
    ) -> Result<Lead<K, V, F>, Wait<Outcome<V>>>
    where
        F: Deref<Target = Fence<Flight<K, V>>>,
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let is_shared = self.settings_for(key).single_flight;
        let hash = local.store.table.hash_of(key);
        let flight = || Flight { key: key.to_owned(), is_shared, tags, followers: None };
        Fence::join(fence, hash, |flight| flight.follow(key).filter(|_| is_shared), flight)
    }

    fn count_follower(&self, has_waited: &mut bool) {
        if !std::mem::replace(has_waited, true) {
            count(&self.engine.counters.coalesced);
        }
    }

    /// What follows from the outcome of the load of another: an answer, or `None` when the caller
    /// has to try again.
    fn follow<Q>(
        &self,
        key: &Q,
        cause: &mut MissCause,
        request: &Request<'_>,
        outcome: Option<Outcome<V>>,
    ) -> Result<Option<Option<V>>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        match outcome {
            Some(Ok(None)) if !request.takes_negative => {}
            Some(outcome) => return outcome.map(Some),
            // Who loaded went away: perhaps it is our turn.
            None => {}
        }
        self.engine.counters.uncount_miss(*cause);
        *cause = match self.fast(key) {
            Ok(answer) if answer.is_some() || request.takes_negative => return Ok(Some(answer)),
            Ok(_) => self.count_unanswered(),
            Err(cause) => cause,
        };
        Ok(None)
    }

    /// Looks whether another load was stored between our look and our lead.
    fn look_again<Q>(
        &self,
        local: &Local<'_, K, V>,
        key: &Q,
        hash: u64,
        cause: MissCause,
        request: &Request<'_>,
    ) -> Option<Option<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let answer = local.store.table.peek_hashed(hash, key)?.read()?;
        if answer.is_none() && !request.takes_negative {
            return None;
        }
        let counters = &self.engine.counters;
        counters.uncount_miss(cause);
        counters.uncount_load();
        count(&counters.tier_hits);
        Some(answer)
    }

    /// Stores what was loaded unless its key changed since, and tells it to all who wait.
    fn keep_locally<Q, F>(
        &self,
        local: &Local<'_, K, V>,
        key: &Q,
        lead: Lead<K, V, F>,
        outcome: Outcome<V>,
        tags: Option<Arc<Tags>>,
        options: &SetOptions,
    ) -> Outcome<V>
    where
        F: Deref<Target = Fence<Flight<K, V>>>,
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let Ok(value) = &outcome else {
            return land(lead, outcome);
        };
        let planned = self.plan(|| key.to_owned(), value.clone(), tags, options);
        let Some((stored, insert)) = planned.unwrap_or_else(|error| {
            self.warn_unstored(&error);
            None
        }) else {
            return land(lead, outcome);
        };
        let (hash, mut is_kept) = (lead.hash(), false);
        let followers = lead.end(|flight, is_current| {
            let Flight { key, followers, .. } = flight;
            is_kept = is_current && stored.tags().is_none_or(Tags::hold);
            if is_kept {
                // A store that is full is a slower cache, not a failure.
                self.insert_locally(local, hash, key, stored, insert).ok();
            }
            followers
        });
        if !is_kept {
            self.count_fenced();
        }
        tell(followers.flatten(), &outcome);
        outcome
    }
}

/// Ends a load that has nothing to store.
fn land<K, V, F>(lead: Lead<K, V, F>, outcome: Outcome<V>) -> Outcome<V>
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
