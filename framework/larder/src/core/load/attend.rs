//! Waiting for a load, and what a caller falls back on: a stale value, or a default.
//!
//! Stale values are looked for when they are needed, never kept by somebody who waits: so what was
//! deleted, cleared or invalidated meanwhile is not served.

use std::borrow::Borrow;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use larder_core::{CacheError, ErrorKind, telemetry};
use larder_store::Age;

use super::Outcome;
use super::attempt::Purpose;
use super::lease::is_elsewhere;
use crate::core::{CacheValue, Core, Key, KeyRef};
use crate::engine::Found;
use crate::options::LoadOptions;
use crate::settings::{Settings, Terms};
use crate::stats::StaleReason;
use crate::stored::{Content, Shared};
use crate::tags::Tags;
use crate::tier::{count, limit};

/// Who waits for a load, and for how long.
pub(in crate::core) struct Caller<V> {
    pub(in crate::core) terms: Terms,
    pub(super) default: Option<V>,
    takes_stale: bool,
    /// Whether it began the load, so that it is the one to report that it takes too long.
    is_leader: bool,
}

impl<V> Caller<V> {
    /// The caller with these options, who takes its default out of them.
    pub(in crate::core) fn new(options: &mut LoadOptions<V>, settings: &Settings) -> Self {
        let terms = options.terms(settings);
        options.set.is_aging |= terms.refresh_ahead.is_some();
        Self {
            takes_stale: options.takes_stale && terms.keep_stale(),
            default: options.default.take(),
            terms,
            is_leader: false,
        }
    }

    /// A caller that runs the loader itself, and so cannot leave it.
    pub(in crate::core) fn on_its_own(mut self) -> Self {
        self.terms.background = false;
        self.terms.soft_timeout = None;
        self
    }

    /// The caller begins the load.
    pub(in crate::core) fn lead(&mut self) {
        self.is_leader = true;
    }

    /// How long it waits before it takes a stale value.
    fn soft_limit(&self) -> Option<Duration> {
        let hard = self.terms.hard_timeout.unwrap_or(Duration::MAX);
        self.terms.soft_timeout.filter(|soft| self.takes_stale && *soft < hard)
    }

    /// How long it waits. A load that is stopped at its limit tells its leader so itself.
    fn hard_limit(&self) -> Option<Duration> {
        self.terms.hard_timeout.filter(|_| !self.is_leader || self.terms.background)
    }
}

/// A value that the store has of a key, past its end or not.
pub(in crate::core) struct Kept<V> {
    pub(in crate::core) value: V,
    pub(in crate::core) tags: Option<Arc<Tags>>,
    pub(in crate::core) etag: Option<Arc<str>>,
    pub(in crate::core) age: Option<Age>,
}

impl<K: Key, V: CacheValue> Core<K, V> {
    /// Waits for a load as long as the caller wants to; `None` when nobody loads any more.
    pub(in crate::core) async fn attend<Q>(
        &self,
        key: &Q,
        caller: &mut Caller<V>,
        load: impl Future<Output = Option<Outcome<V>>> + Send,
    ) -> Option<Outcome<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let clock = &*self.engine.clock;
        let mut load = pin!(load);
        let mut waited = Duration::ZERO;
        if let Some(soft) = caller.soft_limit() {
            let begun = clock.now();
            if let Some(outcome) = limit(clock, soft, load.as_mut()).await {
                return Some(self.conclude(key, caller, outcome?).await);
            }
            if let Some(stale) = self.stale_anywhere(key).await {
                self.pause(key, &caller.terms);
                return Some(Ok(Some(self.serve(stale, StaleReason::Timeout))));
            }
            waited = clock.now().since(begun);
        }
        let ended = match caller.hard_limit() {
            None => Some(load.await),
            Some(hard) => limit(clock, hard.saturating_sub(waited), load).await,
        };
        match ended {
            Some(outcome) => Some(self.conclude(key, caller, outcome?).await),
            None => Some(self.give_up(key, caller).await),
        }
    }

    /// What a caller gets from the outcome of a load.
    pub(in crate::core) async fn conclude<Q>(
        &self,
        key: &Q,
        caller: &mut Caller<V>,
        outcome: Outcome<V>,
    ) -> Outcome<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        match outcome {
            Err(error) if is_of_load(&error) => {
                let reason = match is_elsewhere(&error) {
                    true => StaleReason::Lease,
                    false => StaleReason::Failed,
                };
                self.fall_back(key, caller, error, reason).await
            }
            outcome => outcome,
        }
    }

    /// What a caller gets that does not wait any longer.
    async fn give_up<Q>(&self, key: &Q, caller: &mut Caller<V>) -> Outcome<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let error = self.timed_out(caller.terms.hard_timeout);
        if caller.is_leader {
            self.report_failure(&error, Purpose::Miss, false);
        }
        self.pause(key, &caller.terms);
        self.fall_back(key, caller, error, StaleReason::Timeout).await
    }

    async fn fall_back<Q>(
        &self,
        key: &Q,
        caller: &mut Caller<V>,
        error: CacheError,
        reason: StaleReason,
    ) -> Outcome<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        if caller.takes_stale
            && let Some(stale) = self.stale_anywhere(key).await
        {
            return Ok(Some(self.serve(stale, reason)));
        }
        self.or_default(caller, error)
    }

    /// The default of the caller, which is not stored, or else the error.
    fn or_default(&self, caller: &mut Caller<V>, error: CacheError) -> Outcome<V> {
        let Some(default) = caller.default.take() else {
            return Err(error);
        };
        count(&self.engine.counters.resilience.defaults);
        Ok(Some(default))
    }

    /// [`conclude`](Self::conclude) for who cannot wait, in a cache that has only a store.
    pub(in crate::core) fn conclude_locally<Q>(
        &self,
        key: &Q,
        caller: &mut Caller<V>,
        outcome: Outcome<V>,
    ) -> Outcome<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let error = match outcome {
            Err(error) if is_of_load(&error) => error,
            outcome => return outcome,
        };
        match self.kept(key).filter(|_| caller.takes_stale) {
            Some(stale) => Ok(Some(self.serve(stale, StaleReason::Failed))),
            None => self.or_default(caller, error),
        }
    }

    /// A stale value, if a load of its key failed so lately that none is tried now.
    pub(in crate::core) fn throttled<Q>(&self, key: &Q, caller: &Caller<V>) -> Option<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        if !caller.takes_stale {
            return None;
        }
        let kept = self.kept(key)?;
        let age = kept.age.filter(|age| age.is_paused() && age.pause != Age::CLAIMED)?;
        (age.deadline <= age.now).then(|| self.serve(kept, StaleReason::Throttled))
    }

    /// What the store has of a key, if its tags hold.
    pub(in crate::core) fn kept<Q>(&self, key: &Q) -> Option<Kept<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let store = self.store.as_ref()?;
        store.table.peek_stale(key, |stored, age| {
            let (tags, etag) = (stored.shared_tags(), stored.etag());
            let value = stored.read()??;
            Some(Kept { value, tags, etag, age: Some(age) })
        })?
    }

    /// What any tier has of a key, past its end or not.
    pub(in crate::core) async fn stale_anywhere<Q>(&self, key: &Q) -> Option<Kept<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let kept = self.kept(key);
        if kept.is_some() || self.engine.tiers.is_empty() {
            return kept;
        }
        let text = key.text();
        let mut stale = None;
        let found = self.engine.find_noting(&text, &mut stale).await.ok().or(stale)?;
        self.kept_in_tier(&text, &found)
    }

    /// A value that any tier has of a key, past its end or not.
    pub(crate) async fn stale<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        Some(self.stale_anywhere(key).await?.value)
    }

    /// What an entry of a tier holds, if it can be read.
    pub(in crate::core) fn kept_in_tier(&self, key: &str, found: &Found) -> Option<Kept<V>> {
        let (value, _) = self.decode(key, found).ok()?;
        Some(Kept { value: value?, tags: found.tags.clone(), etag: None, age: None })
    }

    /// Counts and reports that a stale value is served.
    fn serve(&self, kept: Kept<V>, reason: StaleReason) -> V {
        let late = kept.age.map(|age| age.now.since(age.deadline)).unwrap_or_default();
        self.engine.counters.resilience.count_stale(reason, late);
        tracing::debug!(
            target: telemetry::TARGET,
            cache = %self.engine.name, %reason, age = ?late, "{}", telemetry::STALE_SERVED
        );
        kept.value
    }

    /// Puts off the next load of a key, after one that failed or takes too long: until
    /// `stale_retry` is over if its value is stale, for as long as it was tried already if it is
    /// not yet.
    pub(in crate::core) fn pause<Q>(&self, key: &Q, terms: &Terms)
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let Some(store) = &self.store else { return };
        let Some(age) = store.table.peek_stale(key, |_, age| age) else { return };
        let pause = if age.deadline <= age.now {
            terms.stale_retry
        } else {
            super::refresh::back_off(&age, terms)
        };
        store.table.pause(key, age.now.after(pause));
    }

    /// Puts off the next load of a key for so long.
    pub(super) fn pause_for<Q>(&self, key: &Q, pause: Duration)
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        if let Some(store) = &self.store {
            store.table.pause(key, self.engine.clock.now().after(pause));
        }
    }
}

/// Whether a load failed, and not the caller, the cache or the runtime.
fn is_of_load(error: &CacheError) -> bool {
    matches!(error.kind(), ErrorKind::Load | ErrorKind::Timeout)
}
