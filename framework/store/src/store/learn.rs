//! What a store learns from its requests: which policy suits it, and what others would answer.

use super::Store;
use crate::keep::Keep;
use crate::shadow::{Estimates, Full, Note, Use};
use crate::shard::Writing;

use larder_core::policy::Policy;

impl<K, V, M: Keep<V>> Store<K, V, M> {
    /// What this store would answer under other policies and with other capacities; `None` for one
    /// that was never full, and for one whose policy leaves no
    /// [choice](larder_core::policy::PolicyFactory::candidates).
    #[must_use]
    pub fn estimates(&self) -> Option<Estimates> {
        self.shadows.as_ref()?.estimates()
    }

    /// Tells the shadows of a use of a key of their sample.
    #[cold]
    pub(super) fn note(&self, hash: u64, what: Use, weight: u32) {
        if let Some(shadows) = &self.shadows {
            shadows.note(&self.sampling, Note { hash, what, weight }, || self.stripes.hits());
        }
    }

    /// Tells the shadows of a write, if the key is of their sample. No lock may be held.
    #[inline]
    pub(super) fn note_write(&self, hash: u64, what: Use, weight: u32) {
        if self.sampling.takes_write(hash) {
            self.note(hash, what, weight);
        }
    }

    /// Tells the shadows that the store is full.
    #[inline]
    pub(super) fn note_eviction(&self) {
        if let Some(shadows) = &self.shadows {
            shadows.evicts();
        }
    }

    /// Lets the shadows begin if the store has become full. No lock may be held.
    #[inline]
    pub(super) fn begin_learning(&self) {
        if let Some(shadows) = &self.shadows
            && shadows.should_begin()
        {
            let (capacity, entries) = (self.capacity(), self.len() as u64);
            let full = Full { capacity, entries, hits: self.stripes.hits() };
            shadows.begin(&self.sampling, full, |show| self.show_all(show));
        }
    }

    /// Shows hash and weight of every entry, and whether it was hit.
    fn show_all(&self, show: &mut dyn FnMut(u32, u32, bool)) {
        for shard in &self.shards {
            let table = shard.write();
            for (_, found) in table.iter_from(0) {
                let (hash, weight) = (table.hash(found.slot), table.weight_of(found.slot));
                show(hash, weight, found.place.hits() > 0);
            }
        }
    }

    /// Lets the shadows begin anew when the store is full again, as its capacity has changed.
    pub(super) fn learn_anew(&self) {
        if let Some(shadows) = &self.shadows {
            shadows.forget(&self.sampling);
        }
    }

    /// Gives a locked shard the policy that the shadows have chosen.
    #[inline]
    pub(super) fn follow_choice(&self, table: &mut Writing<'_, K, V, M>) {
        if let Some(shadows) = &self.shadows
            && shadows.choice() != table.choice
        {
            self.change_policy(table);
        }
    }

    #[cold]
    fn change_policy(&self, table: &mut Writing<'_, K, V, M>) {
        let (choice, policy) = self.present_policy();
        drop(table.change_policy(choice, policy));
    }

    /// A new policy of the kind that is in use, and its number.
    pub(super) fn present_policy(&self) -> (usize, Box<dyn Policy>) {
        let choice = self.shadows.as_ref().map_or(0, |shadows| shadows.choice());
        let chosen = self.shadows.as_ref().and_then(|shadows| shadows.policy(choice));
        (choice, chosen.unwrap_or(&*self.policy).policy(self.share()))
    }
}
