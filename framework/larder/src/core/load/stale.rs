//! What there is to fall back on: values of a key past their end.

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::Duration;

use larder_core::telemetry;
use larder_store::Age;

use super::caller::Caller;
use crate::core::{CacheValue, Core, Key, KeyRef};
use crate::engine::Found;
use crate::settings::Terms;
use crate::stats::StaleReason;
use crate::stored::{Content, Shared};
use crate::tags::Tags;

/// A value that the store has of a key, past its end or not.
pub(in crate::core) struct Kept<V> {
    pub(in crate::core) value: V,
    pub(in crate::core) tags: Option<Arc<Tags>>,
    pub(in crate::core) etag: Option<Arc<str>>,
    pub(in crate::core) age: Option<Age>,
}

impl<K: Key, V: CacheValue> Core<K, V> {
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
    pub(super) fn serve(&self, kept: Kept<V>, reason: StaleReason) -> V {
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

    /// A load of a key ended and nothing came of it, for the key changed: an entry that is there
    /// may be loaded again by somebody else.
    pub(in crate::core) fn release_claim<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: KeyRef<K> + ?Sized,
    {
        if let Some(store) = &self.store {
            store.table.release(key);
        }
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
