//! Loading many keys with few calls of a loader.
//!
//! Every key has a flight of its own, so that loads of single keys and of other batches join it.
//! The flights that this call opened are loaded together, some keys at a time.

use std::any::Any;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use larder_core::{CacheError, Result};
use tokio::runtime::Handle;
use tracing::Instrument;

use super::attempt::{Made, Purpose};
use super::attend::Caller;
use super::{BoxError, Ended, Mark, Outcome};
use crate::core::local::SharedLead;
use crate::core::{CacheValue, Core, Key, place};
use crate::flight::{Join, Lead, Wait};
use crate::loaded::Loaded;
use crate::options::LoadOptions;
use crate::settings::Terms;
use crate::stored::Content;
use crate::tags::Tags;
use crate::tier::{count, limit};

/// What a loader of many keys found.
pub(crate) type Found<K, V> = Vec<(K, V)>;

/// A loader of many keys.
pub(crate) type LoadMany<K, V> =
    Arc<dyn Fn(Vec<K>) -> BoxFuture<'static, Result<Found<K, V>, BoxError>> + Send + Sync>;

/// The right to load one of the keys.
enum AnyLead<K: Key, V: CacheValue> {
    Local(SharedLead<K, V>),
    Tiers(Lead<K, Outcome<V>, Mark>),
}

/// A key that this call loads.
struct Task<K: Key, V: CacheValue> {
    key: K,
    lead: AnyLead<K, V>,
    tags: Option<Arc<Tags>>,
}

/// Where the batches are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Batches {
    /// On tasks of their own, where there is a runtime.
    OnTasks,
    /// By the caller, one after the other.
    Here,
}

impl<K: Key, V: CacheValue> Core<K, V> {
    /// Loads keys that are not in the store; what came of each, in their order.
    pub(crate) async fn load_many(
        self: &Arc<Self>,
        keys: Vec<K>,
        mut options: LoadOptions<V>,
        loader: LoadMany<K, V>,
        batches: Batches,
    ) -> Vec<Outcome<V>> {
        let mut tasks = Vec::new();
        let mut waits = Vec::with_capacity(keys.len());
        let default = options.default.take();
        for key in &keys {
            let mut caller = Caller::new(&mut options, self.settings_for(key));
            caller.default = default.clone();
            let answer = self.known(key).or_else(|| self.throttled(key, &caller).map(Some));
            if let Some(answer) = answer {
                waits.push((caller, Err(answer)));
                continue;
            }
            let (task, wait) = self.board(key, &options).await;
            tasks.extend(task);
            waits.push((caller, Ok(wait)));
        }
        let size = options.batch;
        while !tasks.is_empty() {
            let rest = tasks.split_off(size.min(tasks.len()));
            let batch = Arc::clone(self).load_batch(tasks, options.clone(), Arc::clone(&loader));
            match Handle::try_current() {
                Ok(runtime) if batches == Batches::OnTasks => drop(runtime.spawn(batch)),
                _ => batch.await,
            }
            tasks = rest;
        }
        let attend = async |(key, (mut caller, wait)): (&K, (Caller<V>, Result<Wait<_>, _>))| {
            let wait = match wait {
                Ok(wait) => wait,
                Err(answer) => return Ok(answer),
            };
            let outcome = self.attend(key, &mut caller, async { wait.await.ok() }).await;
            outcome.unwrap_or_else(|| Err(self.stranded()))
        };
        join_all(keys.iter().zip(waits).map(attend)).await
    }

    /// What the store knows of a key: a value that came in since, or that there is none.
    fn known(&self, key: &K) -> Option<Option<V>> {
        self.store.as_ref()?.table.peek(key)?.read()
    }

    /// Joins the flight of a key, or opens one; then there is a task to do.
    async fn board(
        &self,
        key: &K,
        options: &LoadOptions<V>,
    ) -> (Option<Task<K, V>>, Wait<Outcome<V>>) {
        let names = &options.set.tags;
        let mut task = None;
        loop {
            if let Some(local) = self.local() {
                let tags = self.engine.local_tags(names);
                match self.lead_for_many(&local, key, tags.clone()) {
                    Ok(lead) => {
                        let lead = AnyLead::Local(lead);
                        task = Some(Task { key: key.clone(), lead, tags });
                    }
                    Err(wait) => return (task, wait),
                }
                continue;
            }
            let mark = || Mark::new(self.engine.fence.ticket(place(key)));
            let holds = |mark: &Mark| mark.holds(&*self.engine.clock);
            match self.flights.join(key, holds, mark) {
                Join::Follow(wait) => return (task, wait),
                Join::Lead(lead) => {
                    let tags = self.engine.capture_tags(names).await;
                    lead.mark().rest_on(super::Basis { tags: tags.clone(), deadline: None });
                    count(&self.engine.counters.loads);
                    let lead = AnyLead::Tiers(lead);
                    task = Some(Task { key: key.clone(), lead, tags });
                }
            }
        }
    }

    /// Loads some keys with one call of the loader.
    async fn load_batch(
        self: Arc<Self>,
        tasks: Vec<Task<K, V>>,
        options: LoadOptions<V>,
        loader: LoadMany<K, V>,
    ) {
        let Some(first) = tasks.first() else { return };
        let terms = options.terms(self.settings_for(&first.key));
        let keys: Vec<K> = tasks.iter().map(|task| task.key.clone()).collect();
        let clock = &*self.engine.clock;
        let begun = clock.now();
        let running = AssertUnwindSafe(async move { loader(keys).await }).catch_unwind();
        let running = running.instrument(self.load_span());
        let ended: Option<Result<_, Box<dyn Any + Send>>> = match terms.load_limit() {
            None => Some(running.await),
            Some(longest) => limit(clock, longest, running).await,
        };
        let took = clock.now().since(begun);
        let is_late = terms.background && terms.is_late(took);
        if is_late {
            self.count_late(matches!(ended, Some(Ok(Ok(_)))));
        }
        let made = match ended {
            Some(Ok(Ok(found))) => Ok(found),
            failed => {
                let failed: Option<Ended<V>> =
                    failed.map(|ended| ended.map(|ended| ended.map(|_| Loaded::none())));
                Err(self.judge(failed, terms.load_limit(), Purpose::Miss, is_late).err())
            }
        };
        self.land_batch(tasks, made, &options, &terms, took).await;
    }

    async fn land_batch(
        &self,
        tasks: Vec<Task<K, V>>,
        made: Result<Found<K, V>, Option<CacheError>>,
        options: &LoadOptions<V>,
        terms: &Terms,
        cost: Duration,
    ) {
        let (mut found, error) = match made {
            Ok(found) => (found.into_iter().collect::<HashMap<K, V>>(), None),
            Err(error) => (HashMap::new(), error),
        };
        for Task { key, lead, tags } in tasks {
            let mut options = options.clone();
            options.set.cost = cost;
            let value = found.remove(&key);
            let made = match &error {
                Some(error) => Err(error.clone()),
                None => Ok(Made::of_call(value, options, tags)),
            };
            match lead {
                AnyLead::Local(lead) => self.land_locally(&key, lead, made, terms),
                AnyLead::Tiers(lead) => {
                    let outcome = made.as_ref().map(|made| made.value.clone());
                    let outcome = outcome.map_err(CacheError::clone);
                    match made {
                        Ok(made) => self.keep(&key, made, terms, lead.mark(), None).await,
                        Err(_) => self.give_up_load(&key, terms, lead.mark()).await,
                    }
                    lead.land(outcome);
                }
            }
        }
    }
}
