//! Waiting for a load, and what a caller falls back on: a stale value, or a default.
//!
//! Stale values are looked for when they are needed, never kept by somebody who waits: so what was
//! deleted, cleared or invalidated meanwhile is not served.

use std::borrow::Borrow;
use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use larder_core::{CacheError, ErrorKind, Moment};
use tokio::runtime::Handle;

use super::attempt::Purpose;
use super::caller::Caller;
use super::lease::is_elsewhere;
use super::patience::Patience;
use super::stale::Kept;
use super::{Mark, Outcome};
use crate::core::{CacheValue, Core, Key, KeyRef, place};
use crate::stats::StaleReason;
use crate::tags::Tags;
use crate::tier::{count, limit};

/// Why somebody does not wait any longer, and a stale value, if there is one.
enum Instead<V> {
    /// There is something to go on with.
    Soon(Kept<V>, StaleReason),
    /// Its time is over.
    Late(Option<Kept<V>>),
}

/// The part of the time of a caller, at its end, in which it looks for something to fall back on.
const RESERVE: u32 = 4;
/// The same at most.
const LONGEST_RESERVE: Duration = Duration::from_millis(100);

impl<K: Key, V: CacheValue> Core<K, V> {
    /// Waits for a load as long as the caller wants to; `None` when nobody loads any more, or
    /// another process does and there is nothing to fall back on.
    pub(in crate::core) async fn attend<Q>(
        &self,
        key: &Q,
        caller: &mut Caller<V>,
        mark: Option<&Mark>,
        load: impl Future<Output = Option<Outcome<V>>> + Send,
    ) -> Option<Outcome<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let ended = {
            let impatience = pin!(self.impatience(key, caller, mark));
            match select(pin!(load), impatience).await {
                Either::Left((outcome, _)) => Ok(outcome),
                Either::Right((instead, _)) => Err(instead),
            }
        };
        match ended {
            Ok(outcome) => self.conclude(key, caller, outcome?).await,
            Err(Instead::Soon(stale, reason)) => {
                if reason == StaleReason::Timeout {
                    self.pause(key, &caller.terms);
                }
                Some(Ok(Some(self.serve(stale, reason))))
            }
            Err(Instead::Late(stale)) => {
                let is_elsewhere = mark.is_some_and(|mark| mark.elsewhere.is_on());
                Some(self.give_up(key, caller, stale, is_elsewhere))
            }
        }
    }

    /// Ends when a caller does not want to wait any longer.
    async fn impatience<Q>(&self, key: &Q, caller: &Caller<V>, mark: Option<&Mark>) -> Instead<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        if Handle::try_current().is_err() {
            // There is no timer to wait with.
            return pending().await;
        }
        let late = pin!(self.late(key, caller));
        match select(pin!(self.soon(key, caller, mark)), late).await {
            Either::Left((Some(instead), _)) => instead,
            Either::Left((None, late)) => late.await,
            Either::Right((instead, _)) => instead,
        }
    }

    /// A stale value, as soon as the caller would take it.
    async fn soon<Q>(&self, key: &Q, caller: &Caller<V>, mark: Option<&Mark>) -> Option<Instead<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        if !caller.takes_stale {
            return None;
        }
        let elsewhere = pin!(async {
            match mark {
                Some(mark) => mark.elsewhere.wait().await,
                None => pending().await,
            }
        });
        let reason = match select(elsewhere, pin!(self.until(caller.soft))).await {
            Either::Left(_) => StaleReason::Lease,
            Either::Right(_) => StaleReason::Timeout,
        };
        Some(Instead::Soon(self.stale_anywhere(key).await?, reason))
    }

    /// What there is when the time of the caller is over. A tier is asked before, as it may take
    /// its time too; what it had then is of no use if the key was changed since.
    async fn late<Q>(&self, key: &Q, caller: &Caller<V>) -> Instead<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let (clock, hard) = (&*self.engine.clock, caller.hard);
        let mut below = None;
        if let (Some(hard), true, false) = (hard, caller.takes_stale, self.engine.tiers.is_empty())
        {
            let reserve = (hard.since(clock.now()) / RESERVE).min(LONGEST_RESERVE);
            clock.sleep(hard.since(clock.now()).saturating_sub(reserve)).await;
            let ticket = self.engine.fence.ticket(place(key));
            let stale = self.by(Some(hard), self.stale_anywhere(key)).await.flatten();
            below = stale.map(|stale| (stale, ticket));
        }
        self.until(hard).await;
        let holds = |tags: &Option<Arc<Tags>>| tags.as_ref().is_none_or(|tags| tags.hold());
        let below = below.filter(|(stale, ticket)| ticket.holds() && holds(&stale.tags));
        let stale = self.kept(key).or(below.map(|(stale, _)| stale));
        Instead::Late(stale.filter(|_| caller.takes_stale))
    }

    /// Ends at this time, or never.
    async fn until(&self, time: Option<Moment>) {
        let clock = &*self.engine.clock;
        match time {
            Some(time) => clock.sleep(time.since(clock.now())).await,
            None => pending().await,
        }
    }

    /// Awaits something until this time; `None` when it took longer.
    pub(in crate::core) async fn by<F: Future>(
        &self,
        end: Option<Moment>,
        future: F,
    ) -> Option<F::Output> {
        let clock = &*self.engine.clock;
        match end {
            Some(end) => limit(clock, end.since(clock.now()), future).await,
            None => Some(future.await),
        }
    }

    /// What a caller gets from the outcome of a load; `None` if that was left to another process
    /// and there is nothing to fall back on.
    pub(in crate::core) async fn conclude<Q>(
        &self,
        key: &Q,
        caller: &mut Caller<V>,
        outcome: Outcome<V>,
    ) -> Option<Outcome<V>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let error = match outcome {
            Err(error) if is_of_load(&error) => error,
            outcome => return Some(outcome),
        };
        let is_elsewhere = is_elsewhere(&error);
        let reason = if is_elsewhere { StaleReason::Lease } else { StaleReason::Failed };
        if caller.takes_stale
            && let Some(stale) = self.by(caller.hard, self.stale_anywhere(key)).await.flatten()
        {
            return Some(Ok(Some(self.serve(stale, reason))));
        }
        caller.is_patient |= is_elsewhere;
        (!is_elsewhere).then(|| self.or_default(caller, error))
    }

    /// What a caller gets that does not wait any longer.
    pub(super) fn give_up<Q>(
        &self,
        key: &Q,
        caller: &mut Caller<V>,
        stale: Option<Kept<V>>,
        is_elsewhere: bool,
    ) -> Outcome<V>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let error = match is_elsewhere {
            true => self.outwaited(caller.terms.hard_timeout),
            false => self.timed_out(caller.terms.hard_timeout),
        };
        // A load that ends with the time of its caller reports so itself.
        let patience = caller.patience.as_deref();
        let is_left = |patience: &Patience| patience.end() != caller.hard;
        let goes_on = caller.terms.background || patience.is_some_and(is_left);
        if caller.is_leader && goes_on {
            self.report_failure(&error, Purpose::Miss, patience);
        }
        self.pause(key, &caller.terms);
        match stale {
            Some(stale) => Ok(Some(self.serve(stale, StaleReason::Timeout))),
            None => self.or_default(caller, error),
        }
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
}

/// Whether a load failed, and not the caller, the cache or the runtime.
fn is_of_load(error: &CacheError) -> bool {
    matches!(error.kind(), ErrorKind::Load | ErrorKind::Timeout)
}
