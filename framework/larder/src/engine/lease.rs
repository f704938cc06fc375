//! Leases: the right to load a key, among all processes that share a tier.
//!
//! A lease saves work; it is not what keeps the cache right. A tier that fails, or a load that
//! takes longer than its lease, costs a second load somewhere and nothing else.

use std::time::Duration;

use larder_core::Capabilities;
use larder_core::backend::Lease;

use super::Engine;

/// How many times the usual load a lease lasts.
const FACTOR: u32 = 4;
/// The shortest lease, and that of who does not know how long loads take. However short the loads
/// are, the process may be busy.
const SHORTEST: Duration = Duration::from_secs(2);
/// The longest lease, unless loads may take longer.
const LONGEST: Duration = Duration::from_secs(10);

/// A lease that was granted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Granted {
    /// Index into the byte tiers.
    pub(crate) tier: usize,
    pub(crate) token: u64,
}

/// The answer to a request for a lease.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Granted(Granted),
    /// Somebody else loads the key, for so long at most.
    Held(Duration),
    /// No tier grants any, or not now.
    Unavailable,
}

impl Engine {
    /// The tier that grants leases: the last one that processes share, if it can.
    pub(crate) fn lease_tier(&self) -> Option<usize> {
        let last = self.tiers.iter().rposition(|tier| tier.can(Capabilities::SHARED))?;
        self.tiers[last].can(Capabilities::LEASE).then_some(last)
    }

    /// How long a lease lasts. There is no way to make one longer, so one that may take long is
    /// long from the start: what outlives its lease is stored nowhere.
    fn lease_time(&self, hard_timeout: Option<Duration>) -> Duration {
        let usual = self.load_time();
        let longest = hard_timeout.unwrap_or_default().max(usual.saturating_mul(2)).max(LONGEST);
        usual.saturating_mul(FACTOR).clamp(SHORTEST, longest)
    }

    /// Asks for the right to load a key.
    pub(crate) async fn lease(&self, key: &str, hard_timeout: Option<Duration>) -> Answer {
        let Some(index) = self.lease_tier() else {
            return Answer::Unavailable;
        };
        let (tier, time) = (&self.tiers[index], self.lease_time(hard_timeout));
        match tier.bounded("lease", tier.backend.lease(key, time)).await {
            Ok(Lease::Granted { token }) => Answer::Granted(Granted { tier: index, token }),
            Ok(Lease::Held { remaining }) => Answer::Held(remaining.unwrap_or(time)),
            // The failure was reported; what a later version of a backend answers is no lease.
            _ => Answer::Unavailable,
        }
    }

    /// Gives a lease back, so that another process may load at once.
    pub(crate) async fn release(&self, key: &str, lease: &Granted) {
        let tier = &self.tiers[lease.tier];
        tier.bounded("release", tier.backend.release(key, lease.token)).await.ok();
    }
}
