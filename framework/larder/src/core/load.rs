//! Loading: one load per key, on a task of its own, stored only if nothing changed meanwhile.
//!
//! A load and those who wait for it are two things. The *flight* runs the loader, stores what came
//! of it and tells all who wait ([`attempt`]; [`keep`] stores it where there are byte tiers). Each
//! [*caller*](caller) waits as long as it wants to, and has a stale value or a default to fall back
//! on ([`attend`]). So a flight that takes too long for its callers goes on, and is still the only
//! one of its key. [`refresh`] starts flights for which nobody waits.

use std::any::Any;
use std::borrow::Borrow;
use std::error::Error as StdError;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use larder_core::{CacheError, ErrorKind, Result};

use self::attempt::Plan;
use self::caller::Caller;
pub(crate) use self::many::{Batches, LoadMany, Request};
pub(super) use self::mark::Basis;
pub(crate) use self::mark::Mark;
use super::{CacheValue, Core, Key, KeyRef, place};
use crate::flight::{Join, Lead};
use crate::loaded::{Load, Loaded};
use crate::options::LoadOptions;
use crate::stats::MissCause;
use crate::stored::Content;
use crate::tier::count;

pub(super) mod attempt;
mod attend;
pub(super) mod caller;
mod keep;
mod lease;
mod many;
mod mark;
pub(super) mod patience;
mod refresh;
mod stale;

/// What all callers of a flight get.
pub(crate) type Outcome<V> = Result<Option<V>>;

/// Any error of an application's loader.
pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// How a loader ended: with a value or an error of its own, or in a panic.
pub(super) type Ended<V> = Result<Result<Loaded<V>, BoxError>, Box<dyn Any + Send>>;

/// The loader of an application, ready to run once.
pub(crate) struct Loader<'a, V> {
    pub(crate) run: Run<'a, V>,
    pub(crate) options: LoadOptions<V>,
    /// Whether a remembered "there is none" is an answer.
    pub(crate) takes_negative: bool,
}

/// A loader that wants to know what it replaces.
pub(crate) type Asking<'a, V> =
    Box<dyn FnOnce(Load<V>) -> BoxFuture<'a, Result<Loaded<V>, BoxError>> + Send + 'a>;

/// What a loader runs.
pub(crate) enum Run<'a, V> {
    Asking(Asking<'a, V>),
    Plain(BoxFuture<'a, Result<Option<V>, BoxError>>),
}

/// The right to load a key, and the duty to tell the others; without others when the cache does not
/// want single flight.
type Leading<K, V> = Result<Lead<K, Outcome<V>, Mark>, Arc<Mark>>;

/// What came of a flight, or its loader, which did not run as another process loads the key.
type Flown<'a, V> = Result<Outcome<V>, Loader<'a, V>>;

impl<K: Key, V: CacheValue> Core<K, V> {
    /// Loads a key that is not in the store, for this cause, on a task of its own.
    pub(crate) async fn load<Q>(
        self: &Arc<Self>,
        key: &Q,
        cause: MissCause,
        mut loader: Loader<'static, V>,
    ) -> Outcome<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.check_missed(key, cause)?;
        let clock = &*self.engine.clock;
        let mut caller = Caller::new(&mut loader.options, self.settings_for(key), clock);
        if let Some(stale) = self.throttled(key, &caller) {
            return Ok(Some(stale));
        }
        if let Some(local) = self.local() {
            return self.load_on_task(&local, key, cause, loader, caller).await;
        }
        let takes_negative = loader.takes_negative;
        loop {
            let lead = match self.join(key, cause, takes_negative, &mut caller).await? {
                Step::Answer(answer) => return Ok(answer),
                Step::Lead(lead) => lead,
            };
            let mark = Arc::clone(mark_of(&lead));
            caller.lead(mark.patience.clone());
            let plan = caller.plan(takes_negative);
            let mut unused = None;
            let flight = Arc::clone(self).fly(key.to_owned(), loader, plan, lead);
            let flight = async {
                let flown = self.on_task(flight).await;
                Some(flown.and_then(|flown| self.flown(flown, &mut unused)))
            };
            if let Some(outcome) = self.attend(key, &mut caller, Some(&mark), flight).await {
                return outcome;
            }
            // Another process loads, and what there was to fall back on is gone.
            loader = unused.ok_or_else(|| self.stranded())?;
        }
    }

    /// The outcome of a flight, and its loader where it was not used.
    fn flown<'a>(&self, flown: Flown<'a, V>, unused: &mut Option<Loader<'a, V>>) -> Outcome<V> {
        flown.unwrap_or_else(|loader| {
            *unused = Some(loader);
            Err(self.elsewhere())
        })
    }

    /// Awaits something that goes on when the caller goes away.
    pub(super) async fn on_task<R: Send + 'static>(
        &self,
        flight: impl Future<Output = R> + Send + 'static,
    ) -> Result<R> {
        match tokio::runtime::Handle::try_current() {
            // A caller that goes away drops the handle; the task runs on.
            Ok(runtime) => runtime.spawn(flight).await.map_err(|error| {
                let (kind, message) = if error.is_panic() {
                    (ErrorKind::Load, "the value panicked when it was stored")
                } else {
                    (ErrorKind::Closed, "the runtime shut down during the load")
                };
                let error = CacheError::new(kind, message).caused_by(error);
                error.with("cache", &self.engine.name)
            }),
            // Without a runtime there are no tasks: the caller loads, and a waiter takes over if
            // it goes away.
            Err(_) => Ok(flight.await),
        }
    }

    /// What a loader hears that asks for a key which its own thread is about to load.
    pub(super) fn waits_for_itself(&self) -> CacheError {
        let message = "the loader asks the cache for a key that it is to load itself";
        CacheError::new(ErrorKind::Load, message)
            .with("cache", &self.engine.name)
            .hint("ask the source for the key, or `get` it, which does not load")
    }

    pub(super) fn stranded(&self) -> CacheError {
        CacheError::new(ErrorKind::Closed, "the load went away").with("cache", &self.engine.name)
    }

    /// Loads a key that is not in the store, for this cause, in this very future.
    pub(crate) async fn load_here<Q>(
        self: &Arc<Self>,
        key: &Q,
        cause: MissCause,
        mut loader: Loader<'_, V>,
    ) -> Outcome<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.check_missed(key, cause)?;
        let (settings, clock) = (self.settings_for(key), &*self.engine.clock);
        let mut caller = Caller::new(&mut loader.options, settings, clock).on_its_own();
        if let Some(stale) = self.throttled(key, &caller) {
            return Ok(Some(stale));
        }
        let takes_negative = loader.takes_negative;
        loop {
            let lead = match self.join(key, cause, takes_negative, &mut caller).await? {
                Step::Answer(answer) => return Ok(answer),
                Step::Lead(lead) => lead,
            };
            let plan = caller.plan(takes_negative);
            let mut unused = None;
            let flown = Arc::clone(self).fly(key.to_owned(), loader, plan, lead).await;
            let outcome = self.flown(flown, &mut unused);
            if unused.is_none() {
                caller.has_loaded();
            }
            if let Some(outcome) = self.conclude(key, &mut caller, outcome).await {
                return outcome;
            }
            loader = unused.ok_or_else(|| self.stranded())?;
        }
    }

    /// Answers from the load of another, or makes the caller the leader.
    async fn join<Q>(
        &self,
        key: &Q,
        mut cause: MissCause,
        takes_negative: bool,
        caller: &mut Caller<V>,
    ) -> Result<Step<K, V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let holds = |mark: &Mark| mark.holds(&*self.engine.clock);
        let mut has_waited = false;
        loop {
            let mark = || Mark::of(self.engine.fence.ticket(place(key)), caller, caller.patience());
            if !self.settings_for(key).single_flight {
                return Ok(Step::Lead(Err(Arc::new(mark()))));
            }
            match self.flights.join(&key.to_owned(), holds, mark) {
                Join::Lead(lead) => return Ok(Step::Lead(Ok(lead))),
                Join::Follow(_, mark) if mark.waits_for(caller) => {
                    return Err(self.waits_for_itself());
                }
                Join::Follow(wait, mark) => {
                    mark.await_until(caller.hard);
                    if !std::mem::replace(&mut has_waited, true) {
                        count(&self.engine.counters.coalesced);
                    }
                    let load = async { wait.await.ok() };
                    match self.attend(key, caller, Some(&mark), load).await {
                        Some(Ok(None)) if !takes_negative => {}
                        Some(outcome) => {
                            self.count_miss(cause);
                            return outcome.map(Step::Answer);
                        }
                        // The leader went away: perhaps it is our turn.
                        None => {}
                    }
                }
            }
            cause = match self.fast(key) {
                Ok(answer) if answer.is_some() || takes_negative => {
                    return Ok(Step::Answer(answer));
                }
                Ok(_) => self.count_unanswered(),
                Err(cause) => cause,
            };
        }
    }

    /// Looks everywhere once more, then loads, stores and lands the flight.
    async fn fly<'a>(
        self: Arc<Self>,
        key: K,
        loader: Loader<'a, V>,
        plan: Plan,
        lead: Leading<K, V>,
    ) -> Flown<'a, V> {
        let flown = self.find_or_load(&key, loader, &plan, mark_of(&lead)).await;
        if let Ok(lead) = lead {
            let outcome = flown.as_ref().map(Outcome::clone);
            lead.land(outcome.unwrap_or_else(|_| Err(self.elsewhere())));
        }
        flown
    }

    async fn find_or_load<'a>(
        &self,
        key: &K,
        loader: Loader<'a, V>,
        plan: &Plan,
        mark: &Mark,
    ) -> Flown<'a, V> {
        // Another flight may have landed between our look and our lead.
        let peeked = self.store.as_ref().and_then(|store| store.table.peek(key));
        match peeked.and_then(|stored| stored.read()) {
            Some(answer) if answer.is_some() || loader.takes_negative => {
                count(&self.engine.counters.tier_hits);
                return Ok(Ok(answer));
            }
            _ => {}
        }
        let fetched = self.within(plan, self.fetch_or_keep(key, &plan.terms, mark)).await;
        let cause = match fetched.unwrap_or(Err(MissCause::TierDown)) {
            Ok(answer) if answer.is_some() || loader.takes_negative => return Ok(Ok(answer)),
            Ok(_) => self.count_unanswered(),
            Err(cause) => cause,
        };
        self.count_miss(cause);
        self.load_into_tiers(key, loader, plan, mark).await
    }
}

/// What a flight was begun upon.
fn mark_of<K: Key, V: CacheValue>(lead: &Leading<K, V>) -> &Arc<Mark> {
    lead.as_ref().map_or_else(|mark| mark, Lead::mark)
}

/// What a caller of `load` does next.
enum Step<K: Key, V> {
    Answer(Option<V>),
    Lead(Leading<K, V>),
}

/// Boxes a loader of an application.
pub(crate) fn boxed<'a, V, F, Fut, E>(loader: F) -> Run<'a, V>
where
    F: FnOnce() -> Fut + Send + 'a,
    Fut: Future<Output = Result<Option<V>, E>> + Send + 'a,
    E: Into<BoxError>,
    V: Send,
{
    Run::Plain(Box::pin(async move { loader().await.map_err(Into::into) }))
}

/// Boxes a loader that wants to know what it replaces.
pub(crate) fn asking<'a, V, F, Fut, E>(loader: F) -> Run<'a, V>
where
    F: FnOnce(Load<V>) -> Fut + Send + 'a,
    Fut: Future<Output = Result<Loaded<V>, E>> + Send + 'a,
    E: Into<BoxError>,
    V: Send + 'a,
{
    Run::Asking(Box::new(move |load| {
        Box::pin(async move { loader(load).await.map_err(Into::into) })
    }))
}
