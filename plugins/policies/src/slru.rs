//! `slru`: least recently used in two segments; only what was hit gets into the protected one.
//!
//! Segmented LRU: Karedla, Love and Wherry, "Caching strategies to improve disk system
//! performance" (IEEE Computer 27(3), 1994). New entries are on probation; a hit moves an entry to
//! the protected segment, and what that has too many of goes back on probation, for another
//! chance. Keys that are asked for once push out only each other.

use larder_core::policy::{Capacity, HitMode, Policy, SlotId, Slots};
use larder_core::{Descriptor, KeyPath, PolicyConfig, Problem, Problems, Share};
use larder_core::{descriptor, register};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::lists::Lists;

/// Options of `slru`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct SlruConfig {
    /// The part of the entries that may be protected, those that were hit. Default `80%`.
    pub protected_ratio: Share,
}

impl Default for SlruConfig {
    fn default() -> Self {
        Self { protected_ratio: Share::new(0.8).expect("it is from 0 to 1") }
    }
}

impl PolicyConfig for SlruConfig {
    const KIND: &'static str = "slru";
    const SUMMARY: &'static str = "evicts what was not hit for longest, first what never was";
    type Policy = Slru;

    fn validate(&self, at: &KeyPath) -> Result<(), Problems> {
        let share = self.protected_ratio.get();
        if share > 0.0 && share < 1.0 {
            return Ok(());
        }
        let message = format!("`{}` leaves one of the two segments empty", self.protected_ratio);
        let problem = Problem::new(at.join("protected_ratio"), message);
        Err(problem.help("write a share between 1% and 99%; `80%` suits most caches").into())
    }

    fn build(&self, _: Capacity) -> Slru {
        Slru { segments: Lists::new(2), protected_ratio: self.protected_ratio.get() }
    }
}

/// The segment of entries that were not hit lately.
const PROBATION: u8 = 0;
/// The segment of entries that were hit.
const PROTECTED: u8 = 1;

/// The policy of one shard: two lists in the order of the last hit.
#[derive(Debug)]
pub struct Slru {
    segments: Lists,
    protected_ratio: f64,
}

impl Policy for Slru {
    fn hit_mode(&self) -> HitMode {
        HitMode::Record
    }

    fn on_insert(&mut self, slot: SlotId, _: &mut dyn Slots) {
        self.segments.push_front(PROBATION, slot);
    }

    fn on_remove(&mut self, slot: SlotId, _: bool, _: &mut dyn Slots) {
        self.segments.remove(slot);
    }

    fn on_hits(&mut self, hits: &[SlotId], _: &mut dyn Slots) {
        for slot in hits {
            if self.segments.list_of(*slot).is_some() {
                self.segments.push_front(PROTECTED, *slot);
            }
        }
    }

    fn victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
        let most = (self.segments.len() as f64 * self.protected_ratio) as usize;
        while self.segments.len_of(PROTECTED) > most
            && let Some(slot) = self.segments.back(PROTECTED)
        {
            self.segments.push_front(PROBATION, slot);
        }
        let on_probation = self.segments.oldest_unpinned(PROBATION, slots);
        on_probation.or_else(|| self.segments.oldest_unpinned(PROTECTED, slots))
    }

    fn resize(&mut self, _: Capacity) {}

    fn len(&self) -> usize {
        self.segments.len()
    }
}

/// `slru` for explicit registration.
pub const SLRU: Descriptor = descriptor!(policy: SlruConfig);

register!(policy: SlruConfig);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::{Reference, compare};

    /// Both segments, oldest first.
    #[derive(Default)]
    struct Model {
        probation: Vec<SlotId>,
        protected: Vec<SlotId>,
    }

    impl Reference for Model {
        fn insert(&mut self, slot: SlotId, _: u64) {
            self.probation.push(slot);
        }

        fn hit(&mut self, slot: SlotId) {
            self.remove(slot, false);
            self.protected.push(slot);
        }

        fn remove(&mut self, slot: SlotId, _: bool) {
            self.probation.retain(|other| *other != slot);
            self.protected.retain(|other| *other != slot);
        }

        fn victim(&mut self) -> SlotId {
            let total = self.probation.len() + self.protected.len();
            while self.protected.len() > total * 8 / 10 {
                self.probation.push(self.protected.remove(0));
            }
            self.probation.first().copied().unwrap_or_else(|| self.protected[0])
        }
    }

    #[test]
    fn victims_are_those_of_the_paper() {
        compare(&SlruConfig::default(), Model::default);
    }

    #[test]
    fn a_ratio_that_leaves_a_segment_empty_is_a_problem() {
        for (ratio, is_good) in [(0.0, false), (0.5, true), (1.0, false)] {
            let config = SlruConfig { protected_ratio: Share::new(ratio).unwrap() };
            assert_eq!(config.validate(&KeyPath::root()).is_ok(), is_good);
        }
    }
}
