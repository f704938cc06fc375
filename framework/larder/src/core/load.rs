//! Loading: one load per key, on a task of its own, stored only if nothing changed meanwhile.
//!
//! A load and those who wait for it are two things. The *flight* runs the loader, stores what came
//! of it and tells all who wait ([`attempt`]; [`keep`] stores it where there are byte tiers). Each
//! *caller* waits as long as it wants to, and has a stale value or a default to fall back on
//! ([`attend`]). So a flight that takes too long for its callers goes on, and is still the only one
//! of its key. [`refresh`] starts flights for which nobody waits.

use std::any::Any;
use std::borrow::Borrow;
use std::error::Error as StdError;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use larder_core::{CacheError, Clock, ErrorKind, Result, Timestamp};

use self::attempt::Purpose;
use self::attend::Caller;
pub(crate) use self::many::{Batches, LoadMany};
use super::{CacheValue, Core, Key, KeyRef, place};
use crate::engine::Found;
use crate::fence::Ticket;
use crate::flight::{Join, Lead};
use crate::loaded::{Load, Loaded};
use crate::options::LoadOptions;
use crate::stats::MissCause;
use crate::stored::Content;
use crate::tags::Tags;
use crate::tier::count;

pub(super) mod attempt;
pub(super) mod attend;
mod keep;
mod lease;
mod many;
mod refresh;

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

/// When a load began and what it depends on.
#[derive(Debug)]
pub(crate) struct Mark {
    ticket: Ticket,
    basis: Mutex<Basis>,
}

/// What the outcome of a load depends on besides its key, once that is known.
#[derive(Debug, Default)]
pub(super) struct Basis {
    pub(super) tags: Option<Arc<Tags>>,
    pub(super) deadline: Option<Timestamp>,
}

impl Basis {
    /// What an answer from a tier rests on.
    pub(super) fn of(found: &Found) -> Self {
        let meta = &found.entry.meta;
        Self { tags: found.tags.clone(), deadline: meta.soft_deadline.or(meta.hard_deadline) }
    }
}

impl Mark {
    fn new(ticket: Ticket) -> Self {
        Self { ticket, basis: Mutex::default() }
    }

    pub(super) fn rest_on(&self, basis: Basis) {
        *self.basis() = basis;
    }

    /// Whether what is loaded is still wanted.
    fn holds(&self, clock: &dyn Clock) -> bool {
        let basis = self.basis();
        self.ticket.holds()
            && basis.tags.as_ref().is_none_or(|tags| tags.hold())
            && basis.deadline.is_none_or(|deadline| deadline > clock.wall())
    }

    fn basis(&self) -> MutexGuard<'_, Basis> {
        self.basis.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to load a key, and the duty to tell the others; without others when the cache does not
/// want single flight.
type Leading<K, V> = Result<Lead<K, Outcome<V>, Mark>, Mark>;

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
        let mut caller = Caller::new(&mut loader.options, self.settings_for(key));
        if let Some(stale) = self.throttled(key, &caller) {
            return Ok(Some(stale));
        }
        if let Some(local) = self.local() {
            return self.load_on_task(&local, key, cause, loader, caller).await;
        }
        let lead = match self.join(key, cause, loader.takes_negative, &mut caller).await? {
            Step::Answer(answer) => return Ok(answer),
            Step::Lead(lead) => lead,
        };
        caller.lead();
        let terms = caller.terms;
        let flight = Arc::clone(self).fly(key.to_owned(), loader, terms, lead);
        let flight = async { Some(self.on_task(flight).await) };
        self.attend(key, &mut caller, flight).await.unwrap_or_else(|| Err(self.stranded()))
    }

    /// Awaits a load that goes on when the caller goes away.
    pub(super) async fn on_task(
        &self,
        flight: impl Future<Output = Outcome<V>> + Send + 'static,
    ) -> Outcome<V> {
        match tokio::runtime::Handle::try_current() {
            // A caller that goes away drops the handle; the task runs on.
            Ok(runtime) => runtime.spawn(flight).await.unwrap_or_else(|error| {
                let (kind, message) = if error.is_panic() {
                    (ErrorKind::Load, "the value panicked when it was stored")
                } else {
                    (ErrorKind::Closed, "the runtime shut down during the load")
                };
                let error = CacheError::new(kind, message).caused_by(error);
                Err(error.with("cache", &self.engine.name))
            }),
            // Without a runtime there are no tasks: the caller loads, and a waiter takes over if
            // it goes away.
            Err(_) => flight.await,
        }
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
        let mut caller = Caller::new(&mut loader.options, self.settings_for(key)).on_its_own();
        if let Some(stale) = self.throttled(key, &caller) {
            return Ok(Some(stale));
        }
        let lead = match self.join(key, cause, loader.takes_negative, &mut caller).await? {
            Step::Answer(answer) => return Ok(answer),
            Step::Lead(lead) => lead,
        };
        let terms = caller.terms;
        let outcome = Arc::clone(self).fly(key.to_owned(), loader, terms, lead).await;
        self.conclude(key, &mut caller, outcome).await
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
        let mark = || Mark::new(self.engine.fence.ticket(place(key)));
        let holds = |mark: &Mark| mark.holds(&*self.engine.clock);
        let mut has_waited = false;
        loop {
            if !self.settings_for(key).single_flight {
                return Ok(Step::Lead(Err(mark())));
            }
            match self.flights.join(&key.to_owned(), holds, mark) {
                Join::Lead(lead) => return Ok(Step::Lead(Ok(lead))),
                Join::Follow(wait) => {
                    if !std::mem::replace(&mut has_waited, true) {
                        count(&self.engine.counters.coalesced);
                    }
                    match self.attend(key, caller, async { wait.await.ok() }).await {
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
    async fn fly(
        self: Arc<Self>,
        key: K,
        loader: Loader<'_, V>,
        terms: crate::settings::Terms,
        lead: Leading<K, V>,
    ) -> Outcome<V> {
        match lead {
            Ok(lead) => {
                let outcome = self.find_or_load(&key, loader, &terms, lead.mark()).await;
                lead.land(outcome.clone());
                outcome
            }
            Err(mark) => self.find_or_load(&key, loader, &terms, &mark).await,
        }
    }

    async fn find_or_load(
        &self,
        key: &K,
        loader: Loader<'_, V>,
        terms: &crate::settings::Terms,
        mark: &Mark,
    ) -> Outcome<V> {
        // Another flight may have landed between our look and our lead.
        let peeked = self.store.as_ref().and_then(|store| store.table.peek(key));
        match peeked.and_then(|stored| stored.read()) {
            Some(answer) if answer.is_some() || loader.takes_negative => {
                count(&self.engine.counters.tier_hits);
                return Ok(answer);
            }
            _ => {}
        }
        let cause = match self.fetch_or_keep(key, terms, mark).await {
            Ok(answer) if answer.is_some() || loader.takes_negative => return Ok(answer),
            Ok(_) => self.count_unanswered(),
            Err(cause) => cause,
        };
        self.count_miss(cause);
        self.load_into_tiers(key, loader, terms, mark, Purpose::Miss).await
    }
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
