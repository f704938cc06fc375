//! One load per key among all processes that share a tier.

use std::sync::Arc;
use std::time::Duration;

use larder_core::{CacheError, ErrorKind};
use tokio::runtime::Handle;

use super::attempt::{Plan, Purpose};
use super::{Basis, Mark, Outcome};
use crate::core::{CacheValue, Core, Key};
use crate::engine::{Engine, Granted, LeaseAnswer};

/// In milliseconds: the shortest and the longest wait between two looks at what another process
/// does.
const POLL: std::ops::RangeInclusive<u64> = 10..=50;

/// The longest time for which nobody asks for a lease again while there is a stale value.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Of which context an error speaks that says that another process loads.
const LEASED: &str = "lease";

/// Who loads.
pub(super) enum Turn<V> {
    /// Somebody else did.
    Done(Outcome<V>),
    /// Another process does, and nobody here has to wait for it.
    Elsewhere,
    /// This process.
    Ours(Right),
}

/// By what right a key is loaded.
#[derive(Debug)]
pub(super) enum Right {
    /// Nobody has to be asked, or nobody could be.
    Free,
    /// No other process loads it meanwhile.
    Leased(Lease),
    /// Another process has the lease for too long. It alone stores the key in the tiers.
    Unshared,
}

/// A lease that goes back when it is not used up, whatever becomes of the load.
#[derive(Debug)]
pub(super) struct Lease {
    engine: Arc<Engine>,
    key: String,
    pub(super) granted: Granted,
    is_held: bool,
}

impl Lease {
    /// The lease ended by what was done under it.
    pub(super) fn use_up(mut self) {
        self.is_held = false;
    }

    /// Lets another process load at once. Whoever waits for this load does not wait for a tier that
    /// is slow as well.
    pub(super) async fn give_back(mut self) {
        if !self.engine.tiers[self.granted.tier].is_slow() {
            self.engine.release(&self.key, &self.granted).await;
            self.is_held = false;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Without a runtime it ends by itself.
        if let (true, Ok(runtime)) = (self.is_held, Handle::try_current()) {
            let (engine, granted) = (Arc::clone(&self.engine), self.granted);
            let key = std::mem::take(&mut self.key);
            runtime.spawn(async move { engine.release(&key, &granted).await });
        }
    }
}

/// Whether an error says that another process loads the key.
pub(super) fn is_elsewhere(error: &CacheError) -> bool {
    error.context(LEASED).is_some()
}

impl<K: Key, V: CacheValue> Core<K, V> {
    /// Waits until it is clear who loads a key: this process or another one.
    pub(super) async fn turn(&self, key: &K, plan: &Plan, mark: &Mark) -> Turn<V> {
        let turn = self.take_turn(key, plan, mark).await;
        mark.elsewhere.set(false);
        turn
    }

    async fn take_turn(&self, key: &K, plan: &Plan, mark: &Mark) -> Turn<V> {
        let terms = &plan.terms;
        // Without a runtime there is no timer to wait with.
        if !terms.lease || self.engine.lease_tier().is_none() || Handle::try_current().is_err() {
            return Turn::Ours(Right::Free);
        }
        let (clock, text) = (&*self.engine.clock, key.text());
        let mut end = None;
        loop {
            let remaining = match self.engine.lease(&text, terms.hard_timeout).await {
                LeaseAnswer::Granted(granted) => {
                    let (engine, key_text) = (Arc::clone(&self.engine), text.into_owned());
                    let lease = Lease { engine, key: key_text, granted, is_held: true };
                    return self.begin(key, lease, plan, mark).await;
                }
                LeaseAnswer::Unavailable => return Turn::Ours(Right::Free),
                LeaseAnswer::Held(remaining) => remaining,
            };
            let is_spared = terms.keep_stale() && !plan.is_patient && self.kept(key).is_some();
            if plan.purpose == Purpose::Refresh || is_spared {
                self.pause_for(key, remaining.min(LONGEST_PAUSE));
                return Turn::Elsewhere;
            }
            mark.elsewhere.set(true);
            let longest = terms.hard_timeout.map_or(remaining, |limit| remaining.min(limit));
            let now = clock.now();
            let left = end.get_or_insert_with(|| now.after(longest)).since(now);
            if left.is_zero() {
                return Turn::Ours(Right::Unshared);
            }
            clock.sleep(Duration::from_millis(fastrand::u64(POLL)).min(left)).await;
            if let Some(answer) = self.look_below_again(key, plan, mark).await {
                return Turn::Done(Ok(answer));
            }
        }
    }

    /// Looks once more, now that nobody else can begin to load.
    async fn begin(&self, key: &K, lease: Lease, plan: &Plan, mark: &Mark) -> Turn<V> {
        if plan.purpose == Purpose::Miss
            && let Some(answer) = self.look_below_again(key, plan, mark).await
        {
            lease.give_back().await;
            return Turn::Done(Ok(answer));
        }
        Turn::Ours(Right::Leased(lease))
    }

    /// What another process stored since this one looked, if it is an answer.
    async fn look_below_again(&self, key: &K, plan: &Plan, mark: &Mark) -> Option<Option<V>> {
        let found = self.engine.find(&key.text()).await.ok()?;
        // Before anything is waited for, such as the end of the lease.
        mark.rest_on(Basis::of(&found));
        let answer = self.take_up(key, found, &mark.ticket).await.ok()?;
        (answer.is_some() || plan.takes_negative).then_some(answer)
    }

    /// What those hear who waited for a load that was left to another process. Whoever has nothing
    /// to fall back on goes on waiting.
    pub(super) fn elsewhere(&self) -> CacheError {
        CacheError::new(ErrorKind::Load, "another process loads the key")
            .with("cache", &self.engine.name)
            .with(LEASED, "held")
    }
}
