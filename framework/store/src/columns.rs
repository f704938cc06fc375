//! [`Columns`], what is known of each slot beside its entry.

use fastrand::Rng;

use crate::ids::Ids;

/// Columns beside the slots of a shard, and all that its policy may ask for.
pub(crate) struct Columns {
    pub(crate) ids: Ids,
    pub(crate) random: Rng,
    /// The low half of the hash of each slot, which is all that index and policy need.
    hashes: Vec<u32>,
    /// Empty until the first entry that does not weigh 1, then as long as `hashes`.
    weights: Vec<u32>,
}

impl Columns {
    pub(crate) const fn new(random: Rng) -> Self {
        Self { ids: Ids::new(), random, hashes: Vec::new(), weights: Vec::new() }
    }

    /// How many slots were ever in use.
    #[inline]
    pub(crate) const fn used(&self) -> u32 {
        // No chunk of slots goes beyond 32 bits.
        self.hashes.len() as u32
    }

    /// The hashes of all slots that were ever in use.
    #[inline]
    pub(crate) fn hashes(&self) -> &[u32] {
        &self.hashes
    }

    #[inline]
    pub(crate) fn hash(&self, slot: u32) -> u32 {
        self.hashes.get(slot as usize).copied().unwrap_or(0)
    }

    /// The weight of a slot that was in use; of any other 1.
    #[inline]
    pub(crate) fn weight(&self, slot: u32) -> u32 {
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
    }

    /// Forgets all slots, as none is in use.
    pub(crate) fn forget(&mut self) {
        self.hashes = Vec::new();
        self.weights = Vec::new();
        self.ids.forget();
    }
}
