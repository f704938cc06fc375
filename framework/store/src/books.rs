//! [`Books`], what only the writers of a shard need, under its lock.

use std::sync::{Mutex, PoisonError};

use fastrand::Rng;
use larder_core::policy::Policy;

use crate::columns::Columns;
use crate::grace::Grace;
use crate::index::IndexBooks;
use crate::life::NEVER;
use crate::stats::Tally;

/// The books of a shard: what is known of its slots, and who may be put where.
pub(crate) struct Books {
    pub(crate) index: IndexBooks,
    pub(crate) columns: Columns,
    pub(crate) tally: Tally,
    pub(crate) expiry: Expiry,
    /// Which of the policies of the store this is: 0 for the one to begin with.
    pub(crate) choice: usize,
    /// In a mutex only because a policy need not be `Sync`; it is never locked.
    policy: Mutex<Box<dyn Policy>>,
    weight: u64,
    /// Slots that nobody has seen since they were emptied.
    pub(crate) free: Vec<u32>,
    /// Slots that somebody may be looking at.
    pub(crate) retired: Grace<u32>,
    /// As soon as so many are retired in the open period, it is time to have them back.
    pub(crate) reclaim_at: usize,
    pub(crate) cleared: Option<Cleared>,
}

/// Where the search for expired entries stands.
pub(crate) struct Expiry {
    /// No entry ends before this.
    pub(crate) soonest: u64,
    /// The same for the entries that the present pass has seen.
    pub(crate) soonest_seen: u64,
    /// The number of the entry at which the pass goes on.
    pub(crate) cursor: u32,
}

impl Expiry {
    pub(crate) const NEW: Self = Self { soonest: NEVER, soonest_seen: NEVER, cursor: 0 };

    pub(crate) fn note(&mut self, end: u64) {
        self.soonest = self.soonest.min(end);
        self.soonest_seen = self.soonest_seen.min(end);
    }
}

/// Slots with entries that a clear left behind, to be emptied little by little.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cleared {
    /// The next slot to empty.
    pub(crate) next: u32,
    /// The first slot that the clear did not concern.
    pub(crate) end: u32,
    /// When those who read before the clear are done.
    pub(crate) stamp: Option<u64>,
}

impl Books {
    /// The books of a shard that is expected to hold so many entries; 0 if nobody knows.
    pub(crate) fn new(policy: Box<dyn Policy>, seed: u64, expected: u64) -> Self {
        Self {
            index: IndexBooks::new(expected),
            columns: Columns::new(Rng::with_seed(seed)),
            tally: Tally::default(),
            expiry: Expiry::NEW,
            choice: 0,
            policy: Mutex::new(policy),
            weight: 0,
            free: Vec::new(),
            retired: Grace::new(),
            reclaim_at: 1,
            cleared: None,
        }
    }

    /// How many entries there are.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.index.len()
    }

    /// The sum of the weights.
    #[inline]
    pub(crate) const fn weight(&self) -> u64 {
        self.weight
    }

    /// How many slots were ever in use.
    #[inline]
    pub(crate) const fn used(&self) -> u32 {
        self.columns.used()
    }

    #[inline]
    pub(crate) fn policy(&mut self) -> &mut dyn Policy {
        &mut **self.policy.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// The policy, and what it may ask for.
    #[inline]
    pub(crate) fn policy_and_columns(&mut self) -> (&mut dyn Policy, &mut Columns) {
        let policy = self.policy.get_mut().unwrap_or_else(PoisonError::into_inner);
        (&mut **policy, &mut self.columns)
    }

    /// Puts another policy in the place of the present one.
    pub(crate) fn set_policy(&mut self, policy: Box<dyn Policy>) -> Box<dyn Policy> {
        let before = std::mem::replace(&mut self.policy, Mutex::new(policy));
        before.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// What adding to the index needs.
    #[inline]
    pub(crate) fn index_and_hashes(&mut self) -> (&mut IndexBooks, &[u32]) {
        (&mut self.index, self.columns.hashes())
    }

    #[inline]
    pub(crate) fn hash(&self, slot: u32) -> u32 {
        self.columns.hash(slot)
    }

    #[inline]
    pub(crate) fn weight_of(&self, slot: u32) -> u32 {
        self.columns.weight(slot)
    }

    /// Notes what came into a slot.
    #[inline]
    pub(crate) fn enter(&mut self, slot: u32, hash: u32, weight: u32) {
        self.columns.enter(slot, hash, weight);
        self.weight += u64::from(weight);
    }

    /// Notes that the entry of a slot counts no more.
    #[inline]
    pub(crate) fn leave(&mut self, slot: u32) {
        self.weight -= u64::from(self.weight_of(slot));
    }

    /// Notes that all entries count no more.
    pub(crate) const fn leave_all(&mut self) {
        self.weight = 0;
    }

    /// Forgets all slots, as none is in use.
    pub(crate) fn forget(&mut self) {
        self.columns.forget();
        self.free = Vec::new();
        self.expiry = Expiry::NEW;
    }

    /// Whether a slot holds an entry that a clear left behind.
    #[inline]
    pub(crate) const fn is_cleared(&self, slot: u32) -> bool {
        matches!(&self.cleared, Some(left) if left.next <= slot && slot < left.end)
    }
}
