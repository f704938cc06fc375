//! Loads of caches with byte tiers: what the tiers have, and storing what was loaded.

use std::sync::Arc;

use larder_core::{CacheError, Tier, telemetry};
use larder_store::{Insert, RemovalReason};

use super::attempt::{Made, Plan, Purpose, Start};
use super::lease::{Right, Turn};
use super::stale::Kept;
use super::{Basis, Flown, Loader, Mark};
use crate::core::lookup::Answer;
use crate::core::{CacheValue, Core, Key};
use crate::engine::{Filling, Found, Look};
use crate::settings::{Lives, Terms};
use crate::stats::MissCause;
use crate::stored::{Content, Stored, stored_with};
use crate::tags::Tags;
use crate::tier::count;

impl<K: Key, V: CacheValue> Core<K, V> {
    /// Looks a key up in the byte tiers. What they have only past its end is put into the store, as
    /// something to fall back on.
    pub(super) async fn fetch_or_keep(&self, key: &K, terms: &Terms, mark: &Mark) -> Answer<V> {
        let mut stale = None;
        let store = self.store.as_ref().filter(|_| terms.keep_stale());
        let is_soon = store.is_some_and(|store| store.table.peek_stale(key, |_, _| ()).is_some());
        let look = Look { is_soon, ..Look::default() };
        let answer = self.fetch_as(key, MissCause::Cold, Some(mark), look, &mut stale).await;
        if let (Err(_), Some(stale), true) = (&answer, stale, terms.keep_stale()) {
            self.keep_stale(key, &stale, mark);
        }
        answer
    }

    /// Puts a stale entry of a tier into the store, unless a younger one is there.
    fn keep_stale(&self, key: &K, stale: &Found, mark: &Mark) {
        let clock = &*self.engine.clock;
        let lives = Lives::of_entry(&stale.entry.meta, self.settings_for(key), clock);
        let old = self.kept(key).and_then(|kept| kept.age).map(|age| age.gone);
        let gone = clock.now().after(lives.stale);
        if old.is_some_and(|old| old >= gone) {
            return;
        }
        let Ok((value @ Some(_), plain)) = self.decode(&key.text(), stale) else { return };
        let stored = stored_with(value, stale.tags.clone(), None);
        let insert = self.prepare(|| key, &stored, lives, None, Some(plain.len()));
        self.fill_store(key.clone(), stored, insert, &mark.ticket);
    }

    /// Runs the loader and stores what came of it, unless another process does.
    pub(super) async fn load_into_tiers<'a>(
        &self,
        key: &K,
        loader: Loader<'a, V>,
        plan: &Plan,
        mark: &Mark,
    ) -> Flown<'a, V> {
        let right = match self.within(plan, self.turn(key, plan, mark)).await {
            Some(Turn::Done(outcome)) => return Ok(outcome),
            Some(Turn::Elsewhere) => return Err(loader),
            Some(Turn::Ours(right)) => right,
            // What is left of its time is none, and the loader says so.
            None => Right::Unshared,
        };
        let Loader { run, options, .. } = loader;
        let is_asking = matches!(run, super::Run::Asking(_));
        let prepared = self.prepare_load(key, &options.set.tags, is_asking, mark);
        let (tags, kept) = self.within(plan, prepared).await.unwrap_or_default();
        if !plan.is_over(&*self.engine.clock) {
            count(&self.engine.counters.loads);
        }
        let (is_stored, options) = (options.is_stored, options.set);
        let start = Start { options, is_stored, tags, kept, plan };
        Ok(match self.attempt(run, start).await {
            Ok(made) => {
                let value = made.value.clone();
                self.keep(key, made, plan, mark, right).await;
                Ok(value)
            }
            Err(error) => {
                self.give_up_load(key, &plan.terms, mark);
                if let Right::Leased(lease) = right {
                    lease.give_back().await;
                }
                Err(error)
            }
        })
    }

    /// Takes notice of what a load depends on: the tags, and what it replaces, if the loader asks.
    async fn prepare_load(
        &self,
        key: &K,
        tags: &[String],
        is_asking: bool,
        mark: &Mark,
    ) -> (Option<Arc<Tags>>, Option<Kept<V>>) {
        let tags = self.engine.capture_tags(tags).await;
        mark.rest_on(Basis { tags: tags.clone(), deadline: None, stamp: None });
        let kept = if is_asking { self.stale_anywhere(key).await } else { None };
        // After all that was seen: what is loaded is newer than that.
        mark.begin(self.engine.stamp());
        (tags, kept)
    }

    /// Puts off the next load of a key after one that failed.
    pub(super) fn give_up_load(&self, key: &K, terms: &Terms, mark: &Mark) {
        match mark.holds(&*self.engine.clock) {
            true => self.pause(key, terms),
            false => self.release_claim(key),
        }
    }

    /// Stores what was loaded, unless its key changed since the ticket. What cannot be stored is
    /// reported, not returned: the caller has its value.
    pub(super) async fn keep(
        &self,
        key: &K,
        made: Made<V>,
        plan: &Plan,
        mark: &Mark,
        right: Right,
    ) {
        let filling = self.keep_under(key, made, plan, mark, &right).await;
        if filling == Filling::Lost {
            // Another process changed the key, or loaded it later.
            self.count_fenced();
            mark.ticket.fill(|| self.forget(key, RemovalReason::Invalidated));
        }
        match right {
            Right::Leased(lease) if filling == Filling::NotStored => lease.give_back().await,
            Right::Leased(lease) => lease.use_up(),
            Right::Free | Right::Unshared => {}
        }
    }

    async fn keep_under(
        &self,
        key: &K,
        made: Made<V>,
        plan: &Plan,
        mark: &Mark,
        right: &Right,
    ) -> Filling {
        let Made { value, options, tags, is_stored, is_renewed, is_outdated } = made;
        if !is_stored {
            return Filling::NotStored;
        }
        let text = key.text();
        let Some(lives) = self.lives(|| key, value.as_ref(), &options) else {
            self.drop_old(key, plan, mark).await;
            return Filling::NotStored;
        };
        // A tag that was invalidated during the load makes the value old before it is stored.
        let is_wanted = mark.holds(&*self.engine.clock) && !is_outdated;
        let stored = stored_with(value, tags, options.etag);
        let payloads = self.encode(&text, &stored).inspect_err(|error| {
            let first = self.engine.tiers.first().map_or(Tier::L1, |tier| tier.tier);
            self.warn_unstored(first, error);
        });
        let Ok(payloads) = payloads else { return Filling::NotStored };
        let mut meta = self.engine.meta(&lives, stored.tags(), stored.value().is_none());
        meta.stamp = mark.stamp().unwrap_or(meta.stamp);
        let insert = self.prepare(|| key, &stored, lives, options.weight, payloads.len());
        let is_wanted = is_wanted
            && match options.skip.has(Tier::L1) {
                true => mark.ticket.holds(),
                false => self.fill_loaded(key, stored, insert, mark),
            };
        if !is_wanted {
            self.count_fenced();
            self.release_claim(key);
            return Filling::NotStored;
        }
        let (engine, payloads) = (&self.engine, payloads.without(options.skip));
        let lease = match right {
            // Whoever has the lease stores the key in the tiers.
            Right::Unshared => return Filling::NotStored,
            Right::Leased(lease) => Some(&lease.granted),
            Right::Free => None,
        };
        if is_renewed && options.tags.is_empty() {
            let life = (&meta, &lives);
            return engine.renew_loaded(&text, payloads, life, &mark.ticket, lease).await;
        }
        engine.put_loaded(&text, payloads, &meta, &mark.ticket, lease).await
    }

    /// Puts what was loaded into the store, unless its key changed; whether it did not.
    fn fill_loaded(&self, key: &K, stored: Stored<V>, insert: Insert, mark: &Mark) -> bool {
        let filled = self.fill_store(key.clone(), stored, insert, &mark.ticket);
        if let Some(Err(full)) = &filled {
            self.warn_unstored(Tier::L1, &self.full(*full));
        }
        filled.is_some()
    }

    /// There is no value any more, so that of before is none to serve or to fall back on.
    async fn drop_old(&self, key: &K, plan: &Plan, mark: &Mark) {
        let is_old = plan.purpose == Purpose::Refresh || plan.terms.keep_stale();
        if !is_old && self.kept(key).is_none() {
            return;
        }
        let forget = || self.forget(key, RemovalReason::Invalidated);
        if mark.ticket.fill(forget).is_some() {
            self.engine.remove_loaded(&key.text(), &mark.ticket).await;
        }
    }

    /// A loaded value is not stored, for its key changed meanwhile.
    pub(in crate::core) fn count_fenced(&self) {
        count(&self.engine.counters.fenced);
        tracing::debug!(
            target: telemetry::TARGET, cache = %self.engine.name, "{}", telemetry::LOAD_FENCED
        );
    }

    /// Reports that a loaded value cannot be stored in a tier.
    pub(in crate::core) fn warn_unstored(&self, tier: Tier, error: &CacheError) {
        tracing::warn!(
            target: telemetry::TARGET,
            cache = %self.engine.name, %tier, %error, "{}", telemetry::STORE_FAILED
        );
    }
}
