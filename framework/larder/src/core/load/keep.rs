//! Loads of caches with byte tiers: what the tiers have, and storing what was loaded.

use larder_core::{Tier, telemetry};

use super::attempt::{Made, Purpose, Start};
use super::{Basis, Loader, Mark, Outcome};
use crate::core::lookup::Answer;
use crate::core::{CacheValue, Core, Key};
use crate::engine::{Found, Look};
use crate::settings::{Lives, Terms};
use crate::stats::MissCause;
use crate::stored::{Content, stored_with};
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

    /// Runs the loader and stores what came of it.
    pub(super) async fn load_into_tiers(
        &self,
        key: &K,
        loader: Loader<'_, V>,
        terms: &Terms,
        mark: &Mark,
        purpose: Purpose,
    ) -> Outcome<V> {
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
                self.keep(key, made, terms, mark).await;
                Ok(value)
            }
            Err(error) => {
                if mark.holds(&*self.engine.clock) {
                    self.pause(key, terms);
                }
                Err(error)
            }
        }
    }

    /// Stores what was loaded, unless its key changed since the ticket. What cannot be stored is
    /// reported, not returned: the caller has its value.
    async fn keep(&self, key: &K, made: Made<V>, terms: &Terms, mark: &Mark) {
        let Made { value, options, tags, is_stored, is_renewed, is_outdated } = made;
        if !is_stored {
            return;
        }
        let text = key.text();
        let Some(lives) = self.lives(|| key, value.as_ref(), &options) else {
            return self.drop_stale(key, terms, mark).await;
        };
        // A tag that was invalidated during the load makes the value old before it is stored.
        let is_wanted = mark.holds(&*self.engine.clock) && !is_outdated;
        let stored = stored_with(value, tags, options.etag);
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
        if is_renewed && options.tags.is_empty() {
            self.engine.renew_loaded(&text, payloads, &meta, &lives, &mark.ticket).await;
        } else {
            self.engine.put_loaded(&text, payloads, &meta, &mark.ticket).await;
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
