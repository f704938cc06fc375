//! Loads of caches with byte tiers: what the tiers have, and storing what was loaded.

use larder_core::{Tier, telemetry};

use super::attempt::{Made, Purpose, Start};
use super::lease::Turn;
use super::{Basis, Loader, Mark, Outcome};
use crate::core::lookup::Answer;
use crate::core::{CacheValue, Core, Key};
use crate::engine::{Found, Granted, Look};
use crate::settings::{Lives, Terms};
use crate::stats::MissCause;
use crate::stored::{Content, stored_with};
use crate::tier::count;

/// Another process has the lease of a key that is loaded here all the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoLease;

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

    /// Runs the loader and stores what came of it.
    pub(super) async fn load_into_tiers(
        &self,
        key: &K,
        loader: Loader<'_, V>,
        terms: &Terms,
        mark: &Mark,
        purpose: Purpose,
    ) -> Outcome<V> {
        let lease = match self.turn(key, terms, mark, purpose).await {
            Turn::Done(outcome) => return outcome,
            Turn::Ours(lease) => lease.map(Ok),
            Turn::Unshared => Some(Err(NoLease)),
        };
        let Loader { run, options, .. } = loader;
        let tags = self.engine.capture_tags(&options.set.tags).await;
        mark.rest_on(Basis { tags: tags.clone(), deadline: None });
        count(&self.engine.counters.loads);
        let kept = match run {
            super::Run::Asking(_) => self.stale_anywhere(key).await,
            super::Run::Plain(_) => None,
        };
        let (is_stored, options) = (options.is_stored, options.set);
        let start = Start { options, is_stored, tags, kept, terms, purpose };
        match self.attempt(run, start).await {
            Ok(made) => {
                let value = made.value.clone();
                self.keep(key, made, terms, mark, lease.as_ref()).await;
                Ok(value)
            }
            Err(error) => {
                self.give_up_load(key, terms, mark).await;
                if let Some(Ok(lease)) = &lease {
                    self.engine.release(&key.text(), lease).await;
                }
                Err(error)
            }
        }
    }

    /// Puts off the next load of a key after one that failed.
    pub(super) async fn give_up_load(&self, key: &K, terms: &Terms, mark: &Mark) {
        if mark.holds(&*self.engine.clock) {
            self.pause(key, terms);
        }
    }

    /// Stores what was loaded, unless its key changed since the ticket. What cannot be stored is
    /// reported, not returned: the caller has its value.
    pub(super) async fn keep(
        &self,
        key: &K,
        made: Made<V>,
        terms: &Terms,
        mark: &Mark,
        lease: Option<&Result<Granted, NoLease>>,
    ) {
        let held = lease.and_then(|lease| lease.as_ref().ok());
        if !self.keep_under(key, made, terms, mark, lease).await
            && let Some(lease) = held
        {
            self.engine.release(&key.text(), lease).await;
        }
    }

    /// The same; whether the lease, if there is one, is used up.
    async fn keep_under(
        &self,
        key: &K,
        made: Made<V>,
        terms: &Terms,
        mark: &Mark,
        lease: Option<&Result<Granted, NoLease>>,
    ) -> bool {
        let Made { value, options, tags, is_stored, is_renewed, is_outdated } = made;
        if !is_stored {
            return false;
        }
        let text = key.text();
        let Some(lives) = self.lives(|| key, value.as_ref(), &options) else {
            self.drop_stale(key, terms, mark).await;
            return false;
        };
        // A tag that was invalidated during the load makes the value old before it is stored.
        let is_wanted = mark.holds(&*self.engine.clock) && !is_outdated;
        let stored = stored_with(value, tags, options.etag);
        let payloads = self.encode(&text, &stored).inspect_err(|error| self.warn_unstored(error));
        let Ok(payloads) = payloads else { return false };
        let meta = self.engine.meta(&lives, stored.tags(), stored.value().is_none());
        let insert = self.prepare(|| key, &stored, lives, options.weight, payloads.len());
        let is_wanted = is_wanted
            && match options.skip.has(Tier::L1) {
                true => mark.ticket.holds(),
                false => self.fill_store(key.clone(), stored, insert, &mark.ticket),
            };
        if !is_wanted {
            self.count_fenced();
            return false;
        }
        let lease = match lease {
            // Whoever has the lease stores the key in the tiers.
            Some(Err(NoLease)) => return false,
            Some(Ok(lease)) => Some(lease),
            None => None,
        };
        let engine = &self.engine;
        let payloads = payloads.without(options.skip);
        if is_renewed && options.tags.is_empty() {
            engine.renew_loaded(&text, payloads, (&meta, &lives), &mark.ticket, lease).await;
            return false;
        }
        let has_held = engine.put_loaded(&text, payloads, &meta, &mark.ticket, lease).await;
        let Some(lease) = lease else { return true };
        if !has_held {
            self.lose(key, lease, mark);
            return true;
        }
        // Where nothing was stored the lease is still ours.
        mark.ticket.holds() && !options.skip.has(engine.tiers[lease.tier].tier)
    }

    /// What was loaded under a lease that did not hold is not in the tiers. If its time was not
    /// over yet, the key was changed by another process, and what was loaded is old.
    fn lose(&self, key: &K, lease: &Granted, mark: &Mark) {
        self.count_fenced();
        if self.engine.clock.now() < lease.end {
            mark.ticket.fill(|| self.forget(key, larder_store::RemovalReason::Invalidated));
        }
    }

    /// There is no value any more, so the stale one is none to fall back on.
    async fn drop_stale(&self, key: &K, terms: &Terms, mark: &Mark) {
        if !terms.keep_stale() {
            return;
        }
        let forget = || self.forget(key, larder_store::RemovalReason::Invalidated);
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

    /// A loaded value cannot be stored.
    pub(in crate::core) fn warn_unstored(&self, error: &larder_core::CacheError) {
        tracing::warn!(
            target: telemetry::TARGET,
            cache = %self.engine.name, %error, "{}", telemetry::STORE_FAILED
        );
    }
}
