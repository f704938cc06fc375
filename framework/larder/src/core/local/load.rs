//! Loading into a cache that has nothing but the store.
//!
//! The ticket of the fence is the flight: who comes second finds it in the stripe of the key. So a
//! load nobody else waits for takes two short locks, and allocates nothing but the key; with a
//! limit also what says until when somebody waits.

use std::borrow::Borrow;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;
use larder_core::{Moment, Result};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::Local;
use crate::block::block_on;
use crate::core::load::attempt::{Made, Plan, Purpose, Start};
use crate::core::load::caller::{Caller, Runner};
use crate::core::load::patience::Patience;
use crate::core::load::{BoxError, Loader, Outcome, Run};
use crate::core::{CacheValue, Core, Key, KeyRef};
use crate::fence::{Fence, Ticket};
use crate::flight::{Wait, landed};
use crate::options::LoadOptions;
use crate::stats::MissCause;
use crate::stored::Content;
use crate::tags::Tags;
use crate::tier::count;

mod keep;

use keep::land;

/// A load that is under way; what its ticket carries.
pub(crate) struct Flight<K, V> {
    key: K,
    /// Whether others may wait for it.
    is_shared: bool,
    boarding: Boarding,
    /// Those who wait, if there are any.
    followers: Option<Followers<V>>,
}

/// What a caller brings along to a load, be it of its own or that of another.
#[derive(Clone, Debug)]
pub(in crate::core) struct Boarding {
    tags: Option<Arc<Tags>>,
    /// Of those who wait for the load that it begins, if they have a limit.
    patience: Option<Arc<Patience>>,
    /// How long it waits for that of another.
    hard: Option<Moment>,
    /// Who runs the loader on its own thread.
    runner: Option<Runner>,
}

impl Boarding {
    pub(in crate::core) fn of<V>(
        caller: &Caller<V>,
        tags: Option<Arc<Tags>>,
        patience: Option<Arc<Patience>>,
    ) -> Self {
        Self { tags, patience, hard: caller.hard, runner: caller.runner }
    }

    /// That of a load for which nobody waits.
    fn of_nobody(tags: Option<Arc<Tags>>) -> Self {
        let hard = Some(Moment::default());
        Self { tags, patience: None, hard, runner: None }
    }
}

/// How those who wait for a load hear of its outcome.
struct Followers<V> {
    sender: oneshot::Sender<Outcome<V>>,
    wait: Wait<Outcome<V>>,
}

impl<V: Clone> Followers<V> {
    fn new() -> Self {
        let (sender, receiver) = oneshot::channel();
        Self { sender, wait: receiver.shared() }
    }
}

/// The right to load a key.
type Lead<K, V, F> = Ticket<Flight<K, V>, F>;

/// The same, for a task.
pub(in crate::core) type SharedLead<K, V> = Lead<K, V, Arc<Fence<Flight<K, V>>>>;

impl<K: Key, V: CacheValue> Flight<K, V> {
    /// The outcome of this load, for who wants the same key, unless one of its tags was invalidated
    /// since it began.
    fn follow<Q>(&mut self, key: &Q, by: &Boarding) -> Option<Wait<Outcome<V>>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let Boarding { tags, patience, .. } = &self.boarding;
        let holds = || tags.as_ref().is_none_or(|tags| tags.hold());
        if !self.is_shared || self.key.borrow() != key || !holds() {
            return None;
        }
        if let Some(patience) = patience {
            patience.extend(by.hard);
        }
        let followers = self.followers.get_or_insert_with(Followers::new);
        Some(followers.wait.clone())
    }

    /// Whether the loader called this caller, who would wait for itself.
    fn waits_for(&self, by: &Boarding) -> bool {
        self.boarding.runner.is_some_and(|runner| runner.waits_for(by.runner))
    }
}

impl<K: Key, V: CacheValue> Core<K, V> {
    /// Loads a key that is not in the store, for this cause, on this thread.
    pub(crate) fn load_locally<Q, E>(
        &self,
        local: &Local<'_, K, V>,
        key: &Q,
        mut cause: MissCause,
        (mut options, takes_negative): (LoadOptions<V>, bool),
        load: impl FnOnce() -> Result<Option<V>, E>,
    ) -> Outcome<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
        E: Into<BoxError>,
    {
        self.check_missed(key, cause)?;
        let (settings, clock) = (self.settings_for(key), &*self.engine.clock);
        let mut caller = Caller::new(&mut options, settings, clock).on_its_own();
        if let Some(stale) = self.throttled(key, &caller) {
            return Ok(Some(stale));
        }
        let mut has_waited = false;
        let (lead, tags) = loop {
            let tags = self.engine.local_tags(&options.set.tags);
            let boarding = Boarding::of(&caller, tags.clone(), None);
            match self.lead(&**local.fence, local, key, boarding) {
                Ok(lead) => break (lead, tags),
                Err(wait) => {
                    self.count_follower(&mut has_waited);
                    let outcome = block_on(wait).ok();
                    let outcome =
                        outcome.map(|outcome| self.conclude_locally(key, &mut caller, outcome));
                    if let Some(answer) = self.follow(key, &mut cause, takes_negative, outcome)? {
                        return Ok(answer);
                    }
                }
            }
        };
        if let Some(answer) = self.look_again(local, key, lead.hash(), cause, takes_negative) {
            return land(lead, Ok(answer));
        }
        let span = self.load_span();
        let made = match span.in_scope(|| catch_unwind(AssertUnwindSafe(load))) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(Ok(Err(error.into()))),
            Err(panic) => Err(Err(panic)),
        };
        let failed = |ended| self.judge(Some(ended), None, Purpose::Miss, None).map(|_| None);
        let made = made.or_else(failed).map(|value| Made::of_call(value, options, tags));
        let outcome = self.keep_locally(local, key, lead, made, &caller.terms);
        self.conclude_locally(key, &mut caller, outcome)
    }

    /// Loads a key that is not in the store, for this cause, on a task of its own.
    pub(in crate::core) async fn load_on_task<Q>(
        self: &Arc<Self>,
        local: &Local<'_, K, V>,
        key: &Q,
        mut cause: MissCause,
        loader: Loader<'static, V>,
        mut caller: Caller<V>,
    ) -> Outcome<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let takes_negative = loader.takes_negative;
        let mut has_waited = false;
        let (lead, tags) = loop {
            // Captured before the load, so that what invalidates them meanwhile is noticed.
            let tags = self.engine.local_tags(&loader.options.set.tags);
            let patience = caller.patience();
            let boarding = Boarding::of(&caller, tags.clone(), patience.clone());
            match self.lead(Arc::clone(local.fence), local, key, boarding) {
                Ok(lead) => {
                    caller.lead(patience);
                    break (lead, tags);
                }
                Err(wait) => {
                    self.count_follower(&mut has_waited);
                    let outcome =
                        self.attend(key, &mut caller, None, async { wait.await.ok() }).await;
                    if let Some(answer) = self.follow(key, &mut cause, takes_negative, outcome)? {
                        return Ok(answer);
                    }
                }
            }
        };
        let plan = caller.plan(takes_negative);
        let flight = Arc::clone(self).fly_locally(key.to_owned(), cause, loader, plan, lead, tags);
        let flight = async { Some(self.on_task(flight).await.flatten()) };
        self.attend(key, &mut caller, None, flight).await.unwrap_or_else(|| Err(self.stranded()))
    }

    async fn fly_locally(
        self: Arc<Self>,
        key: K,
        cause: MissCause,
        loader: Loader<'static, V>,
        plan: Plan,
        lead: SharedLead<K, V>,
        tags: Option<Arc<Tags>>,
    ) -> Outcome<V> {
        let local = self.local().expect("a cache keeps the tiers it was opened with");
        let takes_negative = loader.takes_negative;
        if let Some(answer) = self.look_again(&local, &key, lead.hash(), cause, takes_negative) {
            return land(lead, Ok(answer));
        }
        self.attempt_locally(&local, &key, loader, plan, lead, tags).await
    }

    /// Loads an entry again that is due, unless somebody does already.
    pub(in crate::core) fn refresh_locally<Q>(
        self: &Arc<Self>,
        runtime: &Handle,
        local: &Local<'_, K, V>,
        key: &Q,
        loader: Loader<'static, V>,
        plan: Plan,
    ) where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let tags = self.engine.local_tags(&loader.options.set.tags);
        let boarding = Boarding::of_nobody(tags.clone());
        let Ok(lead) = self.lead(Arc::clone(local.fence), local, key, boarding) else {
            return;
        };
        let (core, key) = (Arc::clone(self), key.to_owned());
        runtime.spawn(async move {
            let local = core.local().expect("a cache keeps the tiers it was opened with");
            core.attempt_locally(&local, &key, loader, plan, lead, tags).await
        });
    }

    async fn attempt_locally(
        &self,
        local: &Local<'_, K, V>,
        key: &K,
        loader: Loader<'static, V>,
        plan: Plan,
        lead: SharedLead<K, V>,
        tags: Option<Arc<Tags>>,
    ) -> Outcome<V> {
        let Loader { run, options, .. } = loader;
        let kept = if matches!(run, Run::Asking(_)) { self.kept(key) } else { None };
        let (is_stored, options) = (options.is_stored, options.set);
        let start = Start { options, is_stored, tags, kept, plan: &plan };
        let made = self.attempt(run, start).await;
        self.keep_locally(local, key, lead, made, &plan.terms)
    }

    /// Makes the caller the one who loads, or says for whom to wait.
    fn lead<Q, F>(
        &self,
        fence: F,
        local: &Local<'_, K, V>,
        key: &Q,
        boarding: Boarding,
    ) -> Result<Lead<K, V, F>, Wait<Outcome<V>>>
    where
        F: Deref<Target = Fence<Flight<K, V>>>,
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let is_shared = self.settings_for(key).single_flight;
        let hash = local.store.table.hash_of(key);
        let by = boarding.clone();
        let follow = |flight: &mut Flight<K, V>| {
            let wait = if is_shared { flight.follow(key, &by) } else { None };
            wait.map(|wait| self.unless_own(flight, &by, wait))
        };
        let flight = || Flight { key: key.to_owned(), is_shared, boarding, followers: None };
        Fence::join(fence, hash, follow, flight)
    }

    /// What comes of a flight, or an error for who would wait for itself.
    fn unless_own(
        &self,
        flight: &Flight<K, V>,
        by: &Boarding,
        wait: Wait<Outcome<V>>,
    ) -> Wait<Outcome<V>> {
        match flight.waits_for(by) {
            true => landed(Err(self.waits_for_itself())),
            false => wait,
        }
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
        takes_negative: bool,
        outcome: Option<Outcome<V>>,
    ) -> Result<Option<Option<V>>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        match outcome {
            Some(Ok(None)) if !takes_negative => {}
            Some(outcome) => return outcome.map(Some),
            // Who loaded went away: perhaps it is our turn.
            None => {}
        }
        self.engine.counters.uncount_miss(*cause);
        *cause = match self.fast(key) {
            Ok(answer) if answer.is_some() || takes_negative => return Ok(Some(answer)),
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
        takes_negative: bool,
    ) -> Option<Option<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let answer = local.store.table.peek_hashed(hash, key)?.read()?;
        if answer.is_none() && !takes_negative {
            return None;
        }
        let counters = &self.engine.counters;
        counters.uncount_miss(cause);
        counters.uncount_load();
        count(&counters.tier_hits);
        Some(answer)
    }
}
