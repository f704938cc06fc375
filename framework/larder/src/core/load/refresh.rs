//! Loading an entry again before its life is over, for nobody in particular.

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::Duration;

use larder_core::{RefreshAhead, telemetry};
use larder_store::Age;
use tokio::runtime::Handle;

use super::attempt::{Plan, Purpose};
use super::caller::Caller;
use super::{Flown, Loader, Mark, Outcome};
use crate::core::{CacheValue, Core, Key, KeyRef, place};
use crate::flight::Join;
use crate::options::LoadOptions;
use crate::settings::Terms;
use crate::stats::MissCause;
use crate::stored::{Content, StoredRef};
use crate::tier::count;

/// How many times the cost of a load before the end of an entry somebody probably loads it again:
/// the beta of XFetch (Vattani, Chierichetti and Lowenstein, 2015). With 2 hardly any entry ends
/// before it was loaded.
const BETA: f64 = 2.0;

/// Chance never puts a refresh more than this many times [`BETA`] costs before the end: the
/// logarithm of the smallest number that is drawn.
const FARTHEST: f64 = 37.0;

/// The shortest wait after a refresh that failed.
const LEAST_BACK_OFF: Duration = Duration::from_millis(500);

/// Whether an entry is old enough to be loaded again.
fn is_due(ahead: RefreshAhead, age: &Age) -> bool {
    if age.is_paused() {
        return false;
    }
    let left = age.deadline.since(age.now).as_nanos() as f64;
    match ahead {
        RefreshAhead::After(share) => {
            let (lived, life) = (age.now.since(age.born), age.deadline.since(age.born));
            lived.as_nanos() as f64 >= share.get() * life.as_nanos() as f64
        }
        RefreshAhead::Auto => {
            let ahead = BETA * age.cost.as_nanos() as f64;
            // No need to draw while no draw could be far enough.
            left <= ahead * FARTHEST && left <= -ahead * fastrand::f64().ln()
        }
        // What a later version adds is done by no refresh at all.
        _ => false,
    }
}

/// How long after a refresh that failed the next one is tried: about as long as the entry is due
/// already, so that each wait is longer than the one before.
pub(super) fn back_off(age: &Age, terms: &Terms) -> Duration {
    let share = match terms.refresh_ahead {
        Some(RefreshAhead::After(share)) => share.get(),
        _ => 1.0,
    };
    let due = age.born.after(age.deadline.since(age.born).mul_f64(share));
    let longest = terms.stale_retry.max(LEAST_BACK_OFF);
    let tried = age.now.since(due).clamp(LEAST_BACK_OFF, longest);
    tried.mul_f64(fastrand::f64().mul_add(0.5, 1.0))
}

impl<K: Key, V: CacheValue> Core<K, V> {
    /// The same where entries are loaded again before their end: an answer from the store, and its
    /// age if somebody has to load it anew.
    fn fast_or_due<Q>(
        &self,
        key: &Q,
        options: &LoadOptions<V>,
    ) -> Result<(Option<V>, Option<Age>), MissCause>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let Some(store) = &self.store else {
            return Err(MissCause::Cold);
        };
        let read = |stored: StoredRef<'_, V>, hits, age| (stored.read(), hits, age);
        let (answer, hits, age) = store.table.get_aged(key, read)?;
        let answer = self.answer(answer, hits, || store.table.hash_of(key))?;
        let ahead = options.ahead(self.settings_for(key));
        let due = age.zip(ahead).and_then(|(age, ahead)| is_due(ahead, &age).then_some(age));
        Ok((answer, due))
    }

    /// The hit path of `get_or_load`.
    #[inline]
    pub(crate) fn fast_for_load<Q>(
        &self,
        key: &Q,
        options: &LoadOptions<V>,
    ) -> Result<(Option<V>, Option<Age>), MissCause>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        if self.engine.settings.may_refresh || options.refresh_ahead.is_some() {
            return self.fast_or_due(key, options);
        }
        self.fast(key).map(|answer| (answer, None))
    }

    /// Loads an entry again that is due, on a task of its own; nothing where there is no runtime,
    /// or when somebody else does.
    pub(crate) fn refresh<Q>(self: &Arc<Self>, key: &Q, age: &Age, mut loader: Loader<'static, V>)
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let (Ok(runtime), Some(store)) = (Handle::try_current(), &self.store) else { return };
        if !store.table.claim(key, age) || self.engine.is_closed() {
            return;
        }
        let (settings, clock) = (self.settings_for(key), &*self.engine.clock);
        let terms = Caller::new(&mut loader.options, settings, clock).terms;
        let plan = Plan::of(terms, Purpose::Refresh);
        if let Some(local) = self.local() {
            self.refresh_locally(&runtime, &local, key, loader, plan);
        } else if let Some(mark) = self.mark_refresh(key) {
            let (core, key) = (Arc::clone(self), key.to_owned());
            runtime.spawn(async move {
                let flown = core.find_or_refresh(&key, loader, &plan, mark.mark()).await;
                mark.land(core.flown(flown, &mut None));
            });
        } else {
            return;
        }
        count(&self.engine.counters.resilience.refreshes);
        tracing::debug!(
            target: telemetry::TARGET, cache = %self.engine.name, "{}", telemetry::REFRESH_STARTED
        );
    }

    fn mark_refresh<Q>(&self, key: &Q) -> Option<crate::flight::Lead<K, Outcome<V>, Mark>>
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        let mark = || Mark::new(self.engine.fence.ticket(place(key)));
        match self.flights.join(&key.to_owned(), |mark| mark.holds(&*self.engine.clock), mark) {
            Join::Lead(lead) => Some(lead),
            Join::Follow(..) => None,
        }
    }

    /// Takes over what another process has loaded since, or else loads.
    async fn find_or_refresh<'a>(
        &self,
        key: &K,
        loader: Loader<'a, V>,
        plan: &Plan,
        mark: &Mark,
    ) -> Flown<'a, V> {
        let left = |core: &Self| {
            let age = core.kept(key)?.age?;
            Some(age.deadline.since(age.now))
        };
        if let Some(ours) = left(self)
            && let Ok(found) = self.engine.find(&key.text()).await
            && let Some(end) = found.entry.meta.soft_deadline
            && end.since(self.engine.clock.wall()) > ours + YOUNGER
            && let Ok(answer) = self.take_up(key, found, &mark.ticket).await
        {
            // A change of other keys may have kept it out of the store.
            if !mark.ticket.holds() {
                self.release_claim(key);
            }
            return Ok(Ok(answer));
        }
        self.load_into_tiers(key, loader, plan, mark).await
    }
}

/// So much longer an entry of a tier must live than ours, to be another one.
const YOUNGER: Duration = Duration::from_millis(10);
