//! One load per key among all processes that share a tier.

use std::time::Duration;

use larder_core::{CacheError, ErrorKind};
use tokio::runtime::Handle;

use super::attempt::Purpose;
use super::{Basis, Mark, Outcome};
use crate::core::{CacheValue, Core, Key};
use crate::engine::{Granted, LeaseAnswer};
use crate::settings::Terms;

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
    /// This process, with a lease or, where there is none to have, without.
    Ours(Option<Granted>),
    /// Another process holds the lease for too long: this one loads for itself, and leaves the
    /// tiers alone.
    Unshared,
}

/// Whether an error says that another process loads the key.
pub(super) fn is_elsewhere(error: &CacheError) -> bool {
    error.context(LEASED).is_some()
}

impl<K: Key, V: CacheValue> Core<K, V> {
    /// Waits until it is clear who loads a key: this process or another one.
    pub(super) async fn turn(
        &self,
        key: &K,
        terms: &Terms,
        mark: &Mark,
        purpose: Purpose,
    ) -> Turn<V> {
        // Without a runtime there is no timer to wait with.
        if !terms.lease || self.engine.lease_tier().is_none() || Handle::try_current().is_err() {
            return Turn::Ours(None);
        }
        let (clock, text) = (&*self.engine.clock, key.text());
        let mut end = None;
        loop {
            let remaining = match self.engine.lease(&text, terms.hard_timeout).await {
                LeaseAnswer::Granted(lease) => return self.begin(key, lease, mark, purpose).await,
                LeaseAnswer::Unavailable => return Turn::Ours(None),
                LeaseAnswer::Held(remaining) => remaining,
            };
            let is_spared =
                purpose == Purpose::Refresh || (terms.keep_stale() && self.has_stale(key));
            if is_spared {
                self.pause_for(key, remaining.min(LONGEST_PAUSE));
                return Turn::Done(Err(self.elsewhere()));
            }
            let longest = terms.hard_timeout.map_or(remaining, |limit| remaining.min(limit));
            if *end.get_or_insert_with(|| clock.now().after(longest)) <= clock.now() {
                return Turn::Unshared;
            }
            clock.sleep(Duration::from_millis(fastrand::u64(POLL))).await;
            if let Some(answer) = self.look_below_again(key, mark).await {
                return Turn::Done(Ok(answer));
            }
        }
    }

    /// Looks once more, now that nobody else can begin to load.
    async fn begin(&self, key: &K, lease: Granted, mark: &Mark, purpose: Purpose) -> Turn<V> {
        if purpose == Purpose::Miss
            && let Some(answer) = self.look_below_again(key, mark).await
        {
            self.engine.release(&key.text(), &lease).await;
            return Turn::Done(Ok(answer));
        }
        Turn::Ours(Some(lease))
    }

    /// What another process stored since this one looked.
    async fn look_below_again(&self, key: &K, mark: &Mark) -> Option<Option<V>> {
        let found = self.engine.find(&key.text()).await.ok()?;
        // Before anything is waited for, such as the end of the lease.
        mark.rest_on(Basis::of(&found));
        self.take_up(key, found, &mark.ticket).await.ok()
    }

    fn has_stale(&self, key: &K) -> bool {
        self.kept(key).is_some()
    }

    fn elsewhere(&self) -> CacheError {
        CacheError::new(ErrorKind::Load, "another process loads the key")
            .with("cache", &self.engine.name)
            .with(LEASED, "held")
    }
}
