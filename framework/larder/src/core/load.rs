//! Loading: one load per key, on a task of its own, stored only if nothing changed meanwhile.

use std::any::Any;
use std::borrow::Borrow;
use std::error::Error as StdError;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use larder_core::{
    CacheError, Clock, ErrorKind, HumanDuration, Result, Tier, Timestamp, telemetry,
};
use tracing::Instrument;

use super::{CacheValue, Core, Key, KeyRef, place};
use crate::fence::Ticket;
use crate::flight::{Join, Lead};
use crate::settings::SetOptions;
use crate::stats::MissCause;
use crate::stored::{Content, stored};
use crate::tags::Tags;
use crate::tier::{count, limit};

/// What all callers of a flight get.
pub(crate) type Outcome<V> = Result<Option<V>>;

/// Any error of an application's loader.
pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// How a loader ended: with a value or an error of its own, or in a panic.
pub(super) type Ended<V> = Result<Result<Option<V>, BoxError>, Box<dyn Any + Send>>;

/// The loader of an application, ready to run once.
pub(crate) struct Loader<'a, V> {
    pub(crate) run: BoxFuture<'a, Result<Option<V>, BoxError>>,
    pub(crate) options: SetOptions,
    /// Whether a remembered "there is none" is an answer.
    pub(crate) takes_negative: bool,
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

impl<K: Key, V: CacheValue> Core<K, V> {
    /// Loads a key that is not in the store, for this cause, on a task of its own.
    pub(crate) async fn load<Q>(
        self: &Arc<Self>,
        key: &Q,
        cause: MissCause,
        loader: Loader<'static, V>,
    ) -> Outcome<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        if let Some(local) = self.local() {
            return self.load_on_task(&local, key, cause, loader).await;
        }
        let lead = match self.join(key, cause, loader.takes_negative).await? {
            Step::Answer(answer) => return Ok(answer),
            Step::Lead(lead) => lead,
        };
        self.on_task(Arc::clone(self).fly(key.to_owned(), loader, lead)).await
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

    /// Loads a key that is not in the store, for this cause, in this very future.
    pub(crate) async fn load_here<Q>(
        self: &Arc<Self>,
        key: &Q,
        cause: MissCause,
        loader: Loader<'_, V>,
    ) -> Outcome<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        match self.join(key, cause, loader.takes_negative).await? {
            Step::Answer(answer) => Ok(answer),
            Step::Lead(lead) => Arc::clone(self).fly(key.to_owned(), loader, lead).await,
        }
    }

    /// Answers from the load of another, or makes the caller the leader.
    async fn join<Q>(
        &self,
        key: &Q,
        mut cause: MissCause,
        takes_negative: bool,
    ) -> Result<Step<K, V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        self.check(key)?;
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
                    match wait.await {
                        Ok(Ok(None)) if !takes_negative => {}
                        Ok(outcome) => {
                            self.count_miss(cause);
                            return outcome.map(Step::Answer);
                        }
                        // The leader went away: perhaps it is our turn.
                        Err(_) => {}
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
        lead: Result<Lead<K, Outcome<V>, Mark>, Mark>,
    ) -> Outcome<V> {
        match lead {
            Ok(lead) => {
                let outcome = self.find_or_load(&key, loader, lead.mark()).await;
                lead.land(outcome.clone());
                outcome
            }
            Err(mark) => self.find_or_load(&key, loader, &mark).await,
        }
    }

    async fn find_or_load(&self, key: &K, loader: Loader<'_, V>, mark: &Mark) -> Outcome<V> {
        let Loader { run, options, takes_negative } = loader;
        // Another flight may have landed between our look and our lead.
        let peeked = self.store.as_ref().and_then(|store| store.table.peek(key));
        match peeked.and_then(|stored| stored.read()) {
            Some(answer) if answer.is_some() || takes_negative => {
                count(&self.engine.counters.tier_hits);
                return Ok(answer);
            }
            _ => {}
        }
        let cause = match self.fetch(key, MissCause::Cold, Some(mark)).await {
            Ok(answer) if answer.is_some() || takes_negative => return Ok(answer),
            Ok(_) => self.count_unanswered(),
            Err(cause) => cause,
        };
        self.count_miss(cause);
        let tags = self.engine.capture_tags(&options.tags).await;
        mark.rest_on(Basis { tags: tags.clone(), deadline: None });
        count(&self.engine.counters.loads);
        let value = self.run(key, run).instrument(self.load_span()).await?;
        self.keep(key, value.clone(), tags, &options, mark).await;
        Ok(value)
    }

    pub(super) fn load_span(&self) -> tracing::Span {
        tracing::info_span!(
            target: telemetry::TARGET, "cache.load", cache = %self.engine.name
        )
    }

    /// Runs the loader of a key within the limit for it.
    pub(super) async fn run(
        &self,
        key: &K,
        run: BoxFuture<'_, Result<Option<V>, BoxError>>,
    ) -> Outcome<V> {
        // A panic must not strand those who wait; the loader is not used again after one.
        let guarded = AssertUnwindSafe(run).catch_unwind();
        let limited = self.settings_for(key).load_limit;
        let ended = match limited {
            None => Some(guarded.await),
            Some(longest) => limit(&*self.engine.clock, longest, guarded).await,
        };
        self.judge(limited, ended)
    }

    /// The outcome of a loader that ended, or that took longer than its limit.
    pub(super) fn judge(&self, limit: Option<Duration>, ended: Option<Ended<V>>) -> Outcome<V> {
        let failed =
            |kind, message| CacheError::new(kind, message).with("cache", &self.engine.name);
        let outcome = match ended {
            Some(Ok(Ok(value))) => Ok(value),
            Some(Ok(Err(error))) => {
                Err(failed(ErrorKind::Load, "the loader failed").caused_by_any(error))
            }
            Some(Err(panic)) => {
                Err(failed(ErrorKind::Load, "the loader panicked")
                    .with("panic", panic_text(&*panic)))
            }
            None => Err(failed(ErrorKind::Timeout, "the loader took too long")
                .with(
                    "limit",
                    limit.map_or_else(String::new, |longest| HumanDuration(longest).to_string()),
                )
                .hint("raise `resilience.hard_timeout` of the cache")),
        };
        outcome.inspect_err(|error| {
            count(&self.engine.counters.load_failures);
            tracing::warn!(
                target: telemetry::TARGET,
                cache = %self.engine.name, %error, "{}", telemetry::LOAD_FAILED
            );
        })
    }

    /// Stores what was loaded, unless its key changed since the ticket. What cannot be stored is
    /// reported, not returned: the caller has its value.
    async fn keep(
        &self,
        key: &K,
        value: Option<V>,
        tags: Option<Arc<Tags>>,
        options: &SetOptions,
        mark: &Mark,
    ) {
        let Some(lives) = self.lives(|| key, value.as_ref(), options) else {
            return;
        };
        // A tag that was invalidated during the load makes the value old before it is stored.
        let is_wanted = mark.holds(&*self.engine.clock);
        let stored = stored(value, tags);
        let text = key.text();
        let payloads = self.encode(&text, &stored).inspect_err(|error| self.warn_unstored(error));
        let Ok(payloads) = payloads else { return };
        let meta = self.engine.meta(&lives, stored.tags(), stored.value().is_none());
        let insert = self.prepare(|| key, &stored, lives, options.weight, payloads.len());
        let is_wanted = is_wanted
            && match options.skip.has(Tier::L1) {
                true => mark.ticket.holds(),
                false => self.fill_store(key.clone(), stored, insert, &mark.ticket),
            };
        if !is_wanted {
            self.count_fenced();
            return;
        }
        let payloads = payloads.without(options.skip);
        self.engine.put_loaded(&text, payloads, &meta, &mark.ticket).await;
    }

    /// A loaded value is not stored, for its key changed meanwhile.
    pub(super) fn count_fenced(&self) {
        count(&self.engine.counters.fenced);
        tracing::debug!(
            target: telemetry::TARGET, cache = %self.engine.name, "{}", telemetry::LOAD_FENCED
        );
    }

    /// A loaded value cannot be stored.
    pub(super) fn warn_unstored(&self, error: &CacheError) {
        tracing::warn!(
            target: telemetry::TARGET,
            cache = %self.engine.name, %error, "{}", telemetry::STORE_FAILED
        );
    }
}

/// What a caller of `load` does next.
enum Step<K: Key, V> {
    Answer(Option<V>),
    /// Load; without a flight when the cache does not want single flight.
    Lead(Result<Lead<K, Outcome<V>, Mark>, Mark>),
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Boxes a loader of an application.
pub(crate) fn boxed<'a, V, F, Fut, E>(loader: F) -> BoxFuture<'a, Result<Option<V>, BoxError>>
where
    F: FnOnce() -> Fut + Send + 'a,
    Fut: Future<Output = Result<Option<V>, E>> + Send + 'a,
    E: Into<BoxError>,
    V: Send,
{
    Box::pin(async move { loader().await.map_err(Into::into) })
}
