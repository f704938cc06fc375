//! One byte tier of a cache: a backend with its format, its limits, its breaker and its counters.
//!
//! Every call goes through [`ByteTier::bounded`], so that a backend that hangs or fails costs the
//! caller a bounded time, or none while the breaker is open, and is reported in one place.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use larder_config::model::TierSpec;
use larder_core::backend::Loan;
use larder_core::{
    Backend, CacheError, Capabilities, Clock, Entry, ErrorKind, Life, Result, Stamp, Tier,
    telemetry,
};

use crate::breaker::{Breaker, End, Phase};
use crate::format::{Format, Place};
use crate::recovery::{self, Added, Recovery, Work};
use crate::replay::Replays;
use crate::stats::TierStats;

mod admission;
mod counters;

pub(crate) use admission::Watch;
pub(crate) use counters::{TierCounters, count};

/// Work on everything that a backend holds is waited for at least as long as this.
const LEAST_FOR_ALL: Duration = Duration::from_secs(2);

/// Marks the errors of calls that were not made.
const LEFT_ALONE: &str = "left_alone";

/// A backend that a cache uses as one of its tiers.
#[derive(Debug)]
pub(crate) struct ByteTier {
    pub(crate) tier: Tier,
    pub(crate) kind: String,
    pub(crate) cache: Arc<str>,
    /// The cache to which the entries belong: this one, or the one that serves as this tier.
    pub(crate) home: Arc<str>,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) format: Arc<Format>,
    pub(crate) ttl: Option<Life>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Whether this cache closes the backend; not when it is another cache.
    pub(crate) owned: bool,
    pub(crate) counters: TierCounters,
    pub(crate) recovery: Recovery,
    pub(crate) replays: Replays,
    timeout: Duration,
    soft_timeout: Duration,
    breaker: Option<Breaker>,
    /// Whether the last call took too long.
    is_slow: AtomicBool,
}

/// What a tier is made of besides its config.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) kind: String,
    pub(crate) cache: Arc<str>,
    pub(crate) home: Arc<str>,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) format: Arc<Format>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) owned: bool,
}

/// How a call reaches the backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Past the breaker: it is made whatever that says, and does not count for it.
    Direct,
    #[default]
    Usual,
    /// As usual, for a caller who has something else to go on with.
    Soon,
}

impl ByteTier {
    /// A tier that knows itself, so that it can deliver later what it cannot now.
    pub(crate) fn new(spec: &TierSpec, parts: Parts) -> Arc<Self> {
        let Parts { kind, cache, home, backend, format, clock, owned } = parts;
        Arc::new_cyclic(|me: &Weak<Self>| Self {
            tier: spec.tier,
            kind,
            cache,
            home,
            backend,
            format,
            ttl: spec.ttl,
            clock,
            owned,
            counters: TierCounters::default(),
            recovery: Recovery::new(recovery::LIMIT),
            replays: Replays::of(Weak::clone(me)),
            timeout: spec.timeout,
            soft_timeout: spec.soft_timeout,
            breaker: spec.breaker.map(Breaker::new),
            is_slow: AtomicBool::new(false),
        })
    }

    /// Awaits a call of the backend for a bounded time; a failure is counted, reported and named.
    /// While the breaker is open the call fails without being made.
    pub(crate) async fn bounded<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        self.call(Lane::Usual, operation, call).await
    }

    /// As [`bounded`](Self::bounded), on a lane.
    pub(crate) async fn call<T>(
        &self,
        lane: Lane,
        operation: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let longest = match lane {
            Lane::Soon => self.soft_timeout,
            Lane::Direct | Lane::Usual => self.limit_of(operation),
        };
        if lane == Lane::Direct {
            return self.report(operation, longest, call).await;
        }
        self.replay_here().await;
        let mut watch = self.admit(self.recovery.is_empty()).ok_or_else(|| {
            count(&self.counters.skipped);
            self.kick();
            self.left_alone(operation)
        })?;
        let outcome = self.report(operation, longest, call).await;
        // It may be slower than this caller would like, and answer all the same.
        let is_hurried = longest < self.limit_of(operation);
        watch.end = self.end_of(&outcome, is_hurried);
        outcome
    }

    /// What the backend has of a key, if it can say so at once, every call is let through, and no
    /// invalidation waits. `None` means that nothing was done and the tier has to be
    /// [called](Self::call).
    pub(crate) fn read_now(&self, key: &str) -> Option<Result<Option<Loan>>> {
        let is_closed = self.breaker.as_ref().is_none_or(Breaker::is_closed);
        if !is_closed || !self.recovery.is_empty() {
            return None;
        }
        // Looked at where it is: an entry is large, and this is part of every look-up.
        let mut answer = self.backend.get_now(key);
        let outcome = answer.as_mut()?;
        if let Err(error) = outcome {
            *error = self.failed(error.clone(), "get");
        }
        let end = self.end_of(outcome, false);
        drop(Watch::free(self, end));
        answer
    }

    /// What the backend has of many keys, each of which may fail by itself. Such failures are
    /// reported once for all of them.
    pub(crate) async fn get_each(&self, lane: Lane, keys: &[&str]) -> Vec<Result<Option<Entry>>> {
        const OPERATION: &str = "get_many";
        let call = async {
            let outcomes = self.backend.get_each(keys).await;
            match first_error(&outcomes) {
                _ if outcomes.len() != keys.len() => {
                    let message = "the backend does not answer for every key";
                    Err(CacheError::new(ErrorKind::Plugin, message))
                }
                Some(error) if outcomes.iter().all(Result::is_err) => Err(error),
                _ => Ok(outcomes),
            }
        };
        match self.call(lane, OPERATION, call).await {
            Ok(outcomes) => {
                if let Some(error) = first_error(&outcomes) {
                    self.failed(error, OPERATION);
                }
                outcomes
            }
            Err(error) => keys.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    /// What the end of a call says to the breaker; and takes notice of whether it took too long.
    fn end_of<T>(&self, outcome: &Result<T>, is_hurried: bool) -> End {
        let is_late = matches!(outcome, Err(error) if error.kind() == ErrorKind::Timeout);
        if self.is_slow.load(Ordering::Relaxed) != is_late {
            self.is_slow.store(is_late, Ordering::Relaxed);
        }
        match outcome {
            Err(_) if is_late && is_hurried => End::Unknown,
            Err(error) if error.is_of_a_part() => End::Unknown,
            Err(error) if is_outage(error) => End::Failed,
            _ => End::Answered,
        }
    }

    async fn report<T>(
        &self,
        operation: &'static str,
        longest: Duration,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let outcome = limit(&*self.clock, longest, call).await.unwrap_or_else(|| {
            count(&self.counters.timeouts);
            Err(CacheError::new(ErrorKind::Timeout, "the backend did not answer in time")
                .with("limit", larder_core::HumanDuration(longest)))
        });
        outcome.map_err(|error| self.failed(error, operation))
    }

    /// Counts, reports and names a failure.
    #[cold]
    fn failed(&self, error: CacheError, operation: &'static str) -> CacheError {
        count(&self.counters.failures);
        let error = self.named(error, operation);
        tracing::warn!(
            target: telemetry::TARGET,
            cache = %self.cache, tier = %self.tier, operation, %error,
            "{}", telemetry::TIER_FAILED
        );
        error
    }

    fn named(&self, error: CacheError, operation: &'static str) -> CacheError {
        error
            .during(operation)
            .with("cache", &self.cache)
            .with("tier", self.tier)
            .with("backend", &self.kind)
    }

    #[cold]
    fn left_alone(&self, operation: &'static str) -> CacheError {
        let error = CacheError::new(ErrorKind::Connection, "the tier failed and is left alone")
            .with(LEFT_ALONE, "yes")
            .hint("see the `tier.failed` events for why it failed");
        self.named(error, operation)
    }

    fn limit_of(&self, operation: &str) -> Duration {
        match operation {
            "clear" | "close" | "flush" | "health" | "scan" | "start" => {
                self.timeout.max(LEAST_FOR_ALL)
            }
            _ => self.timeout,
        }
    }

    /// Remembers an invalidation that could not be delivered: what was written up to the stamp is
    /// not served from here any more, and the delivery is tried again.
    pub(crate) fn recover_later(&self, work: Work, stamp: Stamp) {
        match self.recovery.add(work, stamp, self.clock.now()) {
            Added::First => tracing::warn!(
                target: telemetry::TARGET,
                cache = %self.cache, tier = %self.tier, "{}", telemetry::RECOVERY_PENDING
            ),
            Added::Overflow => self.warn_overflow(),
            Added::More => {}
        }
        self.kick();
    }

    pub(crate) fn warn_overflow(&self) {
        tracing::warn!(
            target: telemetry::TARGET,
            cache = %self.cache, tier = %self.tier, limit = recovery::LIMIT,
            "{}", telemetry::RECOVERY_OVERFLOW
        );
    }

    /// Whether the last call took too long: another one would keep its caller waiting as well.
    pub(crate) fn is_slow(&self) -> bool {
        self.is_slow.load(Ordering::Relaxed)
    }

    /// The numbers of this moment.
    pub(crate) fn stats(&self) -> TierStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut stats = TierStats::new(self.tier, &self.kind);
        stats.hits = read(&self.counters.hits);
        stats.misses = read(&self.counters.misses);
        stats.writes = read(&self.counters.writes);
        stats.failures = read(&self.counters.failures);
        stats.undecodable = read(&self.counters.undecodable);
        stats.timeouts = read(&self.counters.timeouts);
        stats.skipped = read(&self.counters.skipped);
        stats.breaker_opened = read(&self.counters.opened);
        stats.breaker = self.phase().map_or("off", Phase::as_str).to_owned();
        stats.outdated = read(&self.counters.outdated);
        stats.pending = self.recovery.len();
        let age = self.recovery.age(self.clock.now());
        stats.pending_seconds = age.unwrap_or_default().as_secs_f64();
        stats.recovered = read(&self.counters.recovered);
        stats.lost = read(&self.counters.lost);
        stats
    }

    /// Where an entry of this key belongs.
    pub(crate) fn place<'a>(&'a self, key: &'a str) -> Place<'a> {
        Place { cache: &self.home, key }
    }

    /// Whether another tier stores every entry in the same bytes.
    pub(crate) fn writes_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.format, &other.format) && self.home == other.home
    }

    pub(crate) fn can(&self, capabilities: Capabilities) -> bool {
        self.backend.capabilities().contains(capabilities)
    }
}

fn first_error<T>(outcomes: &[Result<T>]) -> Option<CacheError> {
    outcomes.iter().find_map(|outcome| outcome.as_ref().err().cloned())
}

/// Whether an error says that the tier does not work, and not that it refuses this one call.
pub(crate) fn is_outage(error: &CacheError) -> bool {
    matches!(error.kind(), ErrorKind::Connection | ErrorKind::Plugin | ErrorKind::Timeout)
}

/// Whether an error is that of a call that was not made, as the breaker is open. Nobody is told of
/// each of these.
pub(crate) fn was_skipped(error: &CacheError) -> bool {
    error.context(LEFT_ALONE).is_some()
}

/// Awaits a future for at most `limit`; `None` when it took longer. Outside of a runtime there is
/// no timer, and the future takes as long as it takes. What is there at once needs none either.
pub(crate) async fn limit<F: Future>(
    clock: &dyn Clock,
    limit: Duration,
    future: F,
) -> Option<F::Output> {
    let mut future = pin!(future);
    let begun = clock.now();
    let mut timer = None;
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        let timer = timer.get_or_insert_with(|| {
            let left = limit.saturating_sub(clock.now().since(begun));
            tokio::runtime::Handle::try_current().is_ok().then(|| clock.sleep(left))
        });
        match timer {
            Some(timer) => timer.as_mut().poll(context).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await
}
