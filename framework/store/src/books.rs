//! [`Books`], what only the writers of a shard need, under its lock.

use std::sync::{Mutex, PoisonError};

use fastrand::Rng;
use larder_core::policy::Policy;

use crate::grace::Grace;
use crate::ids::Ids;
use crate::index::IndexBooks;
use crate::life::NEVER;
use crate::stats::Tally;

/// The books of a shard: columns beside its slots, and who may be put where.
pub(crate) struct Books {
    pub(crate) index: IndexBooks,
    pub(crate) ids: Ids,
    pub(crate) tally: Tally,
    pub(crate) expiry: Expiry,
    pub(crate) random: Rng,
    /// Which of the policies of the store this is: 0 for the one to begin with.
    pub(crate) choice: usize,
    /// In a mutex only because a policy need not be `Sync`; it is never locked.
    policy: Mutex<Box<dyn Policy>>,
    /// The low half of the hash of each slot, which is all that index and policy need.
    hashes: Vec<u32>,
    /// Empty until the first entry that does not weigh 1, then as long as `hashes`.
    weights: Vec<u32>,
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
    pub(crate) fn new(policy: Box<dyn Policy>, seed: u64) -> Self {
        Self {
            index: IndexBooks::new(),
            ids: Ids::new(),
            tally: Tally::default(),
            expiry: Expiry::NEW,
            random: Rng::with_seed(seed),
            choice: 0,
            policy: Mutex::new(policy),
            hashes: Vec::new(),
            weights: Vec::new(),
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
        // No chunk of slots goes beyond 32 bits.
        self.hashes.len() as u32
    }

    #[inline]
    pub(crate) fn policy(&mut self) -> &mut dyn Policy {
        &mut **self.policy.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    pub(crate) fn policy_and_view(&mut self) -> (&mut dyn Policy, BooksView<'_>) {
        let policy = self.policy.get_mut().unwrap_or_else(PoisonError::into_inner);
        let view = BooksView {
            ids: &self.ids,
            hashes: &self.hashes,
            weights: &self.weights,
            random: &mut self.random,
        };
        (&mut **policy, view)
    }

    /// Puts another policy in the place of the present one.
    pub(crate) fn set_policy(&mut self, policy: Box<dyn Policy>) -> Box<dyn Policy> {
        let before = std::mem::replace(&mut self.policy, Mutex::new(policy));
        before.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// What adding to the index needs.
    #[inline]
    pub(crate) fn index_and_hashes(&mut self) -> (&mut IndexBooks, &[u32]) {
        (&mut self.index, &self.hashes)
    }

    #[inline]
    pub(crate) fn hash(&self, slot: u32) -> u32 {
        self.hashes.get(slot as usize).copied().unwrap_or(0)
    }

    #[inline]
    pub(crate) fn weight_of(&self, slot: u32) -> u32 {
        self.weights.get(slot as usize).copied().unwrap_or(1)
    }

    /// Opens the columns of a slot that was never in use; its number.
    #[inline]
    pub(crate) fn extend(&mut self) -> u32 {
        let slot = self.used();
        self.hashes.push(0);
        if !self.weights.is_empty() {
            self.weights.push(1);
        }
        slot
    }

    /// Notes what came into a slot.
    #[inline]
    pub(crate) fn enter(&mut self, slot: u32, hash: u32, weight: u32) {
        self.hashes[slot as usize] = hash;
        if weight != 1 && self.weights.is_empty() {
            self.weights = vec![1; self.hashes.len()];
        }
        if let Some(place) = self.weights.get_mut(slot as usize) {
            *place = weight;
        }
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
        self.hashes = Vec::new();
        self.weights = Vec::new();
        self.free = Vec::new();
        self.ids.forget();
        self.expiry = Expiry::NEW;
    }

    /// Whether a slot holds an entry that a clear left behind.
    #[inline]
    pub(crate) const fn is_cleared(&self, slot: u32) -> bool {
        matches!(&self.cleared, Some(left) if left.next <= slot && slot < left.end)
    }
}

/// What a policy may see of the books.
pub(crate) struct BooksView<'a> {
    pub(crate) ids: &'a Ids,
    hashes: &'a [u32],
    weights: &'a [u32],
    pub(crate) random: &'a mut Rng,
}

impl BooksView<'_> {
    #[inline]
    pub(crate) fn hash(&self, slot: u32) -> u32 {
        self.hashes.get(slot as usize).copied().unwrap_or(0)
    }

    #[inline]
    pub(crate) fn weight_of(&self, slot: u32) -> u32 {
        let unlisted = u32::from((slot as usize) < self.hashes.len());
        self.weights.get(slot as usize).copied().unwrap_or(unlisted)
    }
}
