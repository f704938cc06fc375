//! Loading many keys with few calls of a loader.
//!
//! Every key has a flight of its own, so that loads of single keys and of other batches join it.
//! The flights that this call opened are loaded together, some keys at a time.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use larder_core::{CacheError, ErrorKind, Moment, Result};
use tokio::runtime::Handle;
use tracing::Instrument;

use super::attempt::{Made, Plan, Purpose};
use super::caller::{Caller, Runner};
use super::lease::Right;
use super::patience::Patience;
use super::{Basis, BoxError, Ended, Mark, Outcome};
use crate::core::local::{Boarding, SharedLead};
use crate::core::{CacheValue, Core, Key, place};
use crate::flight::{Join, Lead, Wait, landed};
use crate::loaded::Loaded;
use crate::options::LoadOptions;
use crate::settings::{Settings, Terms};
use crate::stored::Content;
use crate::tags::Tags;
use crate::tier::count;

/// What a loader of many keys found.
pub(crate) type Found<K, V> = Vec<(K, V)>;

/// A loader of many keys.
pub(crate) type LoadMany<K, V> =
    Arc<dyn Fn(Vec<K>) -> BoxFuture<'static, Result<Found<K, V>, BoxError>> + Send + Sync>;

/// The right to load one of the keys.
enum AnyLead<K: Key, V: CacheValue> {
    Local(SharedLead<K, V>),
    Tiers(Lead<K, Outcome<V>, Mark>),
}

/// A key that this call loads.
struct Task<K: Key, V: CacheValue> {
    key: K,
    lead: AnyLead<K, V>,
    terms: Terms,
    /// Of those who wait for it, if they have a limit.
    patience: Option<Arc<Patience>>,
}

/// What one caller wants of many keys.
pub(crate) struct Request<K, V> {
    pub(crate) options: LoadOptions<V>,
    pub(crate) loader: LoadMany<K, V>,
    pub(crate) batches: Batches,
    /// Since when it waits.
    pub(crate) begun: Moment,
}

/// One of the keys: who waits for it, and what came of it.
struct Seat<V> {
    caller: Caller<V>,
    /// One for all keys with the same limits, for one batch may load them.
    patience: Option<Arc<Patience>>,
    outcome: Option<Outcome<V>>,
}

/// Where the batches are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Batches {
    /// On tasks of their own, where there is a runtime.
    OnTasks,
    /// By the caller, one after the other.
    Here,
}

impl<K, V> Request<K, V> {
    /// When nobody waits any longer who waits for keys with these settings.
    pub(crate) fn end<'s>(&self, all: impl IntoIterator<Item = &'s Settings>) -> Option<Moment> {
        let hard = |settings| Caller::since(&self.options, settings, || self.begun).hard;
        all.into_iter().map(hard).try_fold(self.begun, |end, hard| Some(end.max(hard?)))
    }
}

impl<K: Key, V: CacheValue> Core<K, V> {
    /// Loads keys that are not in the store; what came of each, in their order.
    pub(crate) async fn load_many(
        self: &Arc<Self>,
        keys: Vec<K>,
        mut request: Request<K, V>,
    ) -> Vec<Outcome<V>> {
        let default = request.options.default.take();
        let runner = (request.batches == Batches::Here).then(Runner::here);
        let mut seats: Vec<Seat<V>> = Vec::with_capacity(keys.len());
        for key in &keys {
            let since = || request.begun;
            let mut caller = Caller::since(&request.options, self.settings_for(key), since);
            caller.default.clone_from(&default);
            caller.runner = runner;
            let alike = seats.iter().find(|seat| seat.caller.terms == caller.terms);
            let patience = alike.map_or_else(|| caller.patience(), |seat| seat.patience.clone());
            seats.push(Seat { caller, patience, outcome: None });
        }
        let end = request.end(keys.iter().map(|key| self.settings_for(key)));
        let names = &request.options.set.tags;
        // Who waited for somebody who went away tries again.
        while seats.iter().any(|seat| seat.outcome.is_none()) {
            let tags = match self.local() {
                // Captured before the load, so that what invalidates them meanwhile is noticed.
                Some(_) => self.engine.local_tags(names),
                None => self.by(end, self.engine.capture_tags(names)).await.flatten(),
            };
            let mut tasks = Vec::new();
            let mut waits = Vec::new();
            for (key, seat) in keys.iter().zip(&mut seats) {
                if seat.outcome.is_none() {
                    seat.outcome = self.at_once(key, &mut seat.caller);
                }
                if seat.outcome.is_none() {
                    let (task, wait) = self.board(key, seat, tags.as_ref());
                    if task.is_some() && tasks.is_empty() {
                        // One of them reports that the load takes too long.
                        seat.caller.lead(seat.patience.clone());
                    }
                    waits.push((key, seat, wait, task.is_some()));
                    tasks.extend(task);
                }
            }
            // Nothing is waited for from the first flight to here, so that whoever goes away takes
            // none with it that others wait for.
            self.depart(tasks, tags.as_ref(), &request).await;
            let attend = async |(key, seat, (mark, wait), is_ours): Waiting<'_, K, V>| {
                let load = async { wait.await.ok() };
                let outcome = self.attend(key, &mut seat.caller, mark.as_deref(), load).await;
                let lost = || is_ours.then(|| Err(self.unfinished()));
                seat.outcome = outcome.or_else(lost);
            };
            join_all(waits.into_iter().map(attend)).await;
        }
        let outcome = |seat: Seat<V>| seat.outcome.unwrap_or_else(|| Err(self.stranded()));
        seats.into_iter().map(outcome).collect()
    }

    /// What is known of a key without a load: a value that came in since, one that is too stale to
    /// be loaded again so soon, or that its caller waits no longer.
    fn at_once(&self, key: &K, caller: &mut Caller<V>) -> Option<Outcome<V>> {
        let known = || self.store.as_ref()?.table.peek(key)?.read();
        let answer = known().or_else(|| self.throttled(key, caller).map(Some));
        if let Some(answer) = answer {
            return Some(Ok(answer));
        }
        let is_late = caller.hard.is_some_and(|hard| hard <= self.engine.clock.now());
        is_late.then(|| {
            let stale = self.kept(key).filter(|_| caller.takes_stale);
            self.give_up(key, caller, stale, false)
        })
    }

    /// Joins the flight of a key, or opens one; then there is a task to do.
    fn board(
        &self,
        key: &K,
        Seat { caller, patience, .. }: &Seat<V>,
        tags: Option<&Arc<Tags>>,
    ) -> (Option<Task<K, V>>, Joined<V>) {
        let terms = caller.terms;
        let lead = |lead| Some(Task { key: key.clone(), lead, terms, patience: patience.clone() });
        if let Some(local) = self.local() {
            let boarding = Boarding::of(caller, tags.cloned(), patience.clone());
            return match self.lead_for_many(&local, key, boarding) {
                Ok((local, wait)) => (lead(AnyLead::Local(local)), (None, wait)),
                Err(wait) => (None, (None, wait)),
            };
        }
        let mark = || Mark::of(self.engine.fence.ticket(place(key)), caller, patience.clone());
        match self.flights.join(key, |mark| mark.holds(&*self.engine.clock), mark) {
            Join::Follow(_, mark) if mark.waits_for(caller) => {
                (None, (Some(mark), landed(Err(self.waits_for_itself()))))
            }
            Join::Follow(wait, mark) => {
                mark.await_until(caller.hard);
                (None, (Some(mark), wait))
            }
            Join::Lead(tiers) => {
                let tags = tags.cloned();
                tiers.mark().rest_on(Basis { tags, deadline: None, stamp: None });
                tiers.mark().begin(self.engine.stamp());
                count(&self.engine.counters.loads);
                // What this call began it waits for, whoever opens a flight of the key after it.
                let joined = (Some(Arc::clone(tiers.mark())), tiers.wait());
                (lead(AnyLead::Tiers(tiers)), joined)
            }
        }
    }

    /// Loads keys in batches. Those of a batch have the same limits.
    async fn depart(
        self: &Arc<Self>,
        tasks: Vec<Task<K, V>>,
        tags: Option<&Arc<Tags>>,
        request: &Request<K, V>,
    ) {
        let mut batches: Vec<Vec<Task<K, V>>> = Vec::new();
        for task in tasks {
            let is_alike = |batch: &&mut Vec<Task<K, V>>| {
                let first = batch.first().map(|first| first.terms);
                batch.len() < request.options.batch && first == Some(task.terms)
            };
            match batches.iter_mut().find(is_alike) {
                Some(batch) => batch.push(task),
                None => batches.push(vec![task]),
            }
        }
        for batch in batches {
            let (options, loader) = (request.options.clone(), Arc::clone(&request.loader));
            let batch = Arc::clone(self).load_batch(batch, tags.cloned(), options, loader);
            match Handle::try_current() {
                Ok(runtime) if request.batches == Batches::OnTasks => drop(runtime.spawn(batch)),
                _ => batch.await,
            }
        }
    }

    /// Loads some keys with one call of the loader.
    async fn load_batch(
        self: Arc<Self>,
        tasks: Vec<Task<K, V>>,
        tags: Option<Arc<Tags>>,
        mut options: LoadOptions<V>,
        loader: LoadMany<K, V>,
    ) {
        let Some(Task { terms, patience, .. }) = tasks.first() else { return };
        let (terms, patience) = (*terms, patience.clone());
        let plan = Plan { patience, ..Plan::of(terms, Purpose::Miss) };
        let keys: Vec<K> = tasks.iter().map(|task| task.key.clone()).collect();
        let clock = &*self.engine.clock;
        let begun = clock.now();
        let running = AssertUnwindSafe(async move { loader(keys).await }).catch_unwind();
        let running = running.instrument(self.load_span());
        let ended: Option<Result<_, Box<dyn Any + Send>>> = self.while_wanted(&plan, running).await;
        let took = clock.now().since(begun);
        let is_late = terms.background && terms.is_late(took);
        if is_late {
            self.count_late(matches!(ended, Some(Ok(Ok(_)))));
        }
        let mut found = match ended {
            Some(Ok(Ok(found))) => Ok(found.into_iter().collect::<HashMap<K, V>>()),
            failed => {
                let failed: Option<Ended<V>> =
                    failed.map(|ended| ended.map(|ended| ended.map(|_| Loaded::none())));
                // Who began several batches reports that they take too long but once.
                let is_overdue = terms.hard_timeout.is_some_and(|limit| took >= limit);
                let patience = plan.patience.as_deref().filter(|_| is_overdue);
                let judged = self.judge(failed, terms.load_limit(), Purpose::Miss, patience);
                Err(judged.err().unwrap_or_else(|| self.unfinished()))
            }
        };
        options.set.cost = took;
        options.set.is_aging |= terms.refresh_ahead.is_some();
        for Task { key, lead, .. } in tasks {
            let value = found.as_mut().map(|found| found.remove(&key)).map_err(|e| e.clone());
            let made = value.map(|value| Made::of_call(value, options.clone(), tags.clone()));
            self.land_one(&key, lead, made, &plan).await;
        }
    }

    /// Stores what was loaded of one key, and tells all who wait. A value that panics while it is
    /// stored takes no other with it.
    async fn land_one(&self, key: &K, lead: AnyLead<K, V>, made: Result<Made<V>>, plan: &Plan) {
        match lead {
            AnyLead::Local(lead) => {
                let land = || self.land_locally(key, lead, made, &plan.terms);
                catch_unwind(AssertUnwindSafe(land)).ok();
            }
            AnyLead::Tiers(lead) => {
                let mark = lead.mark();
                let store = async {
                    let outcome = made.as_ref().map(|made| made.value.clone());
                    let outcome = outcome.map_err(CacheError::clone);
                    match made {
                        Ok(made) => self.keep(key, made, plan, mark, Right::Free).await,
                        Err(_) => self.give_up_load(key, &plan.terms, mark),
                    }
                    outcome
                };
                let outcome = AssertUnwindSafe(store).catch_unwind().await;
                lead.land(outcome.unwrap_or_else(|_| Err(self.unfinished())));
            }
        }
    }

    /// A batch ended without saying what came of a key.
    fn unfinished(&self) -> CacheError {
        let message = "the load of the batch ended early: a value panicked when it was stored, or \
                       the runtime shut down";
        CacheError::new(ErrorKind::Load, message).with("cache", &self.engine.name)
    }
}

/// A key and who waits for it, the flight, and whether this call opened it.
type Waiting<'a, K, V> = (&'a K, &'a mut Seat<V>, Joined<V>, bool);

/// The flight of a key that somebody waits for.
type Joined<V> = (Option<Arc<Mark>>, Wait<Outcome<V>>);
