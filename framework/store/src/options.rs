//! What a [`Store`](crate::Store) and a single insert can be told.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use larder_core::backend::InProcess;
use larder_core::clock::{Clock, Moment};

use crate::age::NewAge;

/// How a [`Store`](crate::Store) is built.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreOptions {
    /// Capacity, policy, what to do when full, number of shards.
    pub in_process: InProcess,
    /// The time that deadlines are compared with.
    pub clock: Arc<dyn Clock>,
    /// How long an entry may go without a hit; `None` is for ever. An insert can say otherwise.
    pub idle_ttl: Option<Duration>,
    /// What key hashes and random choices derive from. Random by default, so that nobody outside
    /// can choose keys that collide.
    pub seed: u64,
}

impl StoreOptions {
    /// A store with these settings, no idle life and a random seed.
    #[must_use]
    pub fn new(in_process: InProcess, clock: Arc<dyn Clock>) -> Self {
        Self { in_process, clock, idle_ttl: None, seed: RandomState::new().hash_one(0_u8) }
    }

    /// Sets how long an entry may go without a hit.
    #[must_use]
    pub const fn idle_ttl(mut self, idle_ttl: Option<Duration>) -> Self {
        self.idle_ttl = idle_ttl;
        self
    }

    /// Sets the seed, so that a test runs the same way twice.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

/// What is known about an entry that comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Insert {
    /// From when on the entry must not be served; `None` is never.
    pub deadline: Option<Moment>,
    /// How long it may go without a hit; `None` is what the store says.
    pub idle_ttl: Option<Duration>,
    /// What it counts against [`Capacity::weight`](larder_core::policy::Capacity). Default 1.
    pub weight: u32,
    /// Whether it is kept past its deadline, and more that only an entry with a deadline has.
    pub ageing: Option<NewAge>,
}

impl Default for Insert {
    fn default() -> Self {
        Self { deadline: None, idle_ttl: None, weight: 1, ageing: None }
    }
}

impl Insert {
    /// Sets from when on the entry must not be served.
    #[must_use]
    pub const fn deadline(mut self, deadline: Option<Moment>) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets how long it may go without a hit.
    #[must_use]
    pub const fn idle_ttl(mut self, idle_ttl: Option<Duration>) -> Self {
        self.idle_ttl = idle_ttl;
        self
    }

    /// Keeps it past its deadline, out of sight of all but
    /// [`peek_stale`](crate::Store::peek_stale).
    #[must_use]
    pub const fn ageing(mut self, ageing: Option<NewAge>) -> Self {
        self.ageing = ageing;
        self
    }

    /// Sets its weight.
    #[must_use]
    pub const fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }
}
