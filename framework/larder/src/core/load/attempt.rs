//! Running a loader, and what came of it.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use larder_core::{CacheError, Clock, ErrorKind, HumanDuration, Moment, Result, telemetry};
use tracing::Instrument;

use super::patience::Patience;
use super::stale::Kept;
use super::{Ended, Run};
use crate::core::{CacheValue, Core, Key};
use crate::loaded::{Load, Loaded, What};
use crate::options::LoadOptions;
use crate::settings::{SetOptions, Terms};
use crate::tags::Tags;
use crate::tier::{count, limit};

/// Why a loader runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum Purpose {
    /// A caller waits for the value.
    Miss,
    /// The value that there is will not live long.
    Refresh,
}

/// How a key is loaded, and why.
#[derive(Clone, Debug)]
pub(in crate::core) struct Plan {
    pub(in crate::core) terms: Terms,
    pub(in crate::core) purpose: Purpose,
    /// Of those who wait for it, if they have a limit.
    pub(in crate::core) patience: Option<Arc<Patience>>,
    /// Whether the load of another process is waited for even if there is a stale value.
    pub(in crate::core) is_patient: bool,
    /// Whether a remembered "there is none" is an answer.
    pub(in crate::core) takes_negative: bool,
}

impl Plan {
    /// A load that nobody in particular waits for.
    pub(in crate::core) const fn of(terms: Terms, purpose: Purpose) -> Self {
        Self { terms, purpose, patience: None, is_patient: false, takes_negative: true }
    }

    /// What bounds a load that does not go on behind its callers.
    fn bound(&self) -> Option<&Patience> {
        self.patience.as_deref().filter(|_| !self.terms.background)
    }

    /// When nobody would hear of what is loaded; later, if somebody comes who waits longer.
    pub(super) fn end(&self) -> Option<Moment> {
        self.bound()?.end()
    }

    /// Whether nobody would hear of what is loaded from now on.
    pub(in crate::core) fn is_over(&self, clock: &dyn Clock) -> bool {
        self.end().is_some_and(|end| end <= clock.now())
    }
}

/// What came of a load that went well.
pub(in crate::core) struct Made<V> {
    pub(in crate::core) value: Option<V>,
    /// Those of the call, and over them what the loader said.
    pub(in crate::core) options: SetOptions,
    pub(in crate::core) tags: Option<Arc<Tags>>,
    pub(in crate::core) is_stored: bool,
    /// The value is the one that was there before.
    pub(in crate::core) is_renewed: bool,
    /// A tag that the loader chose was invalidated while it ran.
    pub(in crate::core) is_outdated: bool,
}

impl<V> Made<V> {
    /// What a loader made that says nothing about it.
    pub(in crate::core) fn of_call(
        value: Option<V>,
        options: LoadOptions<V>,
        tags: Option<Arc<Tags>>,
    ) -> Self {
        Self {
            value,
            is_stored: options.is_stored,
            options: options.set,
            tags,
            is_renewed: false,
            is_outdated: false,
        }
    }
}

/// What a load begins with.
pub(in crate::core) struct Start<'a, V> {
    pub(in crate::core) options: SetOptions,
    pub(in crate::core) is_stored: bool,
    /// Those of the options, captured before the load.
    pub(in crate::core) tags: Option<Arc<Tags>>,
    /// What the cache has of the key now.
    pub(in crate::core) kept: Option<Kept<V>>,
    pub(in crate::core) plan: &'a Plan,
}

impl<K: Key, V: CacheValue> Core<K, V> {
    /// Runs a loader within the limit of its terms, and counts and reports how it ended.
    pub(in crate::core) async fn attempt(
        &self,
        run: Run<'_, V>,
        start: Start<'_, V>,
    ) -> Result<Made<V>> {
        let Plan { terms, purpose, .. } = start.plan;
        let clock = &*self.engine.clock;
        let is_timed = terms.are_timed() || start.is_measured();
        let begun = is_timed.then(|| clock.now());
        // Invalidations from now on have greater versions.
        let since = match run {
            Run::Asking(_) => self.engine.stamp().time.as_micros(),
            Run::Plain(_) => 0,
        };
        let ended =
            self.run(run, start.kept.as_ref(), start.plan).instrument(self.load_span()).await;
        let took = begun.map(|begun| clock.now().since(begun)).unwrap_or_default();
        let is_late = terms.background && terms.is_late(took);
        let patience = start.plan.patience.as_deref();
        let outcome = self.judge(ended, terms.load_limit(), *purpose, patience);
        if is_late {
            self.count_late(outcome.is_ok());
        }
        if is_timed && outcome.is_ok() {
            self.engine.note_load(took);
        }
        self.make(outcome?, start, took, since).await
    }

    async fn run(&self, run: Run<'_, V>, kept: Option<&Kept<V>>, plan: &Plan) -> Option<Ended<V>> {
        let load = || Load {
            stale: kept.map(|kept| kept.value.clone()),
            etag: kept.and_then(|kept| kept.etag.clone()),
        };
        let running = async {
            match run {
                Run::Plain(run) => run.await.map(Loaded::from),
                Run::Asking(run) => run(load()).await,
            }
        };
        // A panic must not strand those who wait; the loader is not used again after one.
        let guarded = AssertUnwindSafe(running).catch_unwind();
        self.while_wanted(plan, guarded).await
    }

    /// Runs a loader as long as its plan lets it.
    pub(super) async fn while_wanted<F: Future>(
        &self,
        plan: &Plan,
        loader: F,
    ) -> Option<F::Output> {
        let clock = &*self.engine.clock;
        match (plan.bound(), plan.terms.load_limit()) {
            (Some(_), _) if plan.is_over(clock) => None,
            (Some(_), _) => self.within(plan, loader).await,
            (None, Some(longest)) => limit(clock, longest, loader).await,
            (None, None) => Some(loader.await),
        }
    }

    /// Awaits a part of a load as long as somebody waits for it.
    pub(super) async fn within<F: Future>(&self, plan: &Plan, part: F) -> Option<F::Output> {
        let mut part = pin!(part);
        loop {
            let outcome = self.by(plan.end(), part.as_mut()).await;
            // Somebody may have come who waits longer.
            if outcome.is_some() || plan.is_over(&*self.engine.clock) {
                return outcome;
            }
        }
    }

    pub(in crate::core) fn load_span(&self) -> tracing::Span {
        tracing::info_span!(
            target: telemetry::TARGET, "cache.load", cache = %self.engine.name
        )
    }

    /// The outcome of a loader that ended, or that took too long.
    pub(in crate::core) fn judge(
        &self,
        ended: Option<Ended<V>>,
        limit: Option<Duration>,
        purpose: Purpose,
        patience: Option<&Patience>,
    ) -> Result<Loaded<V>> {
        let failed =
            |kind, message| CacheError::new(kind, message).with("cache", &self.engine.name);
        let outcome =
            match ended {
                Some(Ok(Ok(loaded))) => Ok(loaded),
                Some(Ok(Err(error))) => {
                    Err(failed(ErrorKind::Load, "the loader failed").caused_by_any(error))
                }
                Some(Err(panic)) => Err(failed(ErrorKind::Load, "the loader panicked")
                    .with("panic", panic_text(&*panic))),
                None => Err(self.timed_out(limit)),
            };
        outcome.inspect_err(|error| self.report_failure(error, purpose, patience))
    }

    /// The error of a load that takes longer than this.
    pub(in crate::core) fn timed_out(&self, limit: Option<Duration>) -> CacheError {
        let limit = limit.map_or_else(String::new, |longest| HumanDuration(longest).to_string());
        CacheError::new(ErrorKind::Timeout, "the loader took too long")
            .with("cache", &self.engine.name)
            .with("limit", limit)
            .hint("raise `resilience.hard_timeout` of the cache")
    }

    /// The error of a caller who waited this long for the load of another process.
    pub(super) fn outwaited(&self, limit: Option<Duration>) -> CacheError {
        let limit = limit.map_or_else(String::new, |longest| HumanDuration(longest).to_string());
        CacheError::new(ErrorKind::Timeout, "another process loads the key, and took too long")
            .with("cache", &self.engine.name)
            .with("limit", limit)
            .hint("raise `resilience.hard_timeout` of the cache, or set `resilience.lease = false`")
    }

    /// Reports a load that failed, or takes too long for who began it, and counts it unless it was
    /// counted before.
    pub(in crate::core) fn report_failure(
        &self,
        error: &CacheError,
        purpose: Purpose,
        patience: Option<&Patience>,
    ) {
        let (counters, cache) = (&self.engine.counters, &self.engine.name);
        if patience.is_none_or(Patience::count) {
            count(&counters.load_failures);
        }
        match purpose {
            Purpose::Miss => tracing::warn!(
                target: telemetry::TARGET, %cache, %error, "{}", telemetry::LOAD_FAILED
            ),
            Purpose::Refresh => {
                count(&counters.resilience.refresh_failures);
                tracing::warn!(
                    target: telemetry::TARGET, %cache, %error, "{}", telemetry::REFRESH_FAILED
                );
            }
        }
    }

    pub(super) fn count_late(&self, is_ok: bool) {
        let counters = &self.engine.counters.resilience;
        count(if is_ok { &counters.late_loads } else { &counters.late_failures });
        tracing::debug!(
            target: telemetry::TARGET, cache = %self.engine.name, is_ok, "{}", telemetry::LOAD_LATE
        );
    }

    /// Puts together what the call and the loader said.
    async fn make(
        &self,
        loaded: Loaded<V>,
        start: Start<'_, V>,
        cost: Duration,
        since: u64,
    ) -> Result<Made<V>> {
        let Loaded { what, options: own, etag, is_stored } = loaded;
        let Start { options, tags, kept, .. } = start;
        let is_renewed = matches!(what, What::NotModified);
        let (value, before) = match what {
            What::Value(value) => (Some(value), None),
            What::None => (None, None),
            What::NotModified => {
                let kept = kept.ok_or_else(|| self.without_kept())?;
                (Some(kept.value), Some((kept.tags, kept.etag)))
            }
        };
        let (old_tags, old_etag) = before.unwrap_or_default();
        let (chosen, is_outdated) = self.engine.capture_tags_since(&own.tags, since).await;
        let options = SetOptions { etag: etag.or(old_etag), cost, ..own.over(options) };
        crate::core::change::check_tags(&options.tags)?;
        let tags = Tags::join(Tags::join(old_tags, tags), chosen);
        let is_stored = is_stored && start.is_stored;
        Ok(Made { value, options, tags, is_stored, is_renewed, is_outdated })
    }

    fn without_kept(&self) -> CacheError {
        let message = "the loader says `not_modified`, and the cache has no value of the key";
        CacheError::new(ErrorKind::Load, message)
            .with("cache", &self.engine.name)
            .hint("return it only when `Load::stale` is there")
    }
}

impl<V> Start<'_, V> {
    /// Whether somebody else wants to know how long the load takes.
    const fn is_measured(&self) -> bool {
        self.plan.terms.lease
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
