//! `2q`: a queue for what is new, a list for what came back after it had left that queue.
//!
//! Johnson and Shasha, "2Q: a low overhead high performance buffer management replacement
//! algorithm" (VLDB 1994), the full version. New entries pass through a first-in first-out queue,
//! where hits do not count, as several in a row are often one use. What leaves it is remembered;
//! if it comes back it goes to the main list, least recently used. Like `s3-fifo`, its
//! descendant, but strict about recency, and a hit has to be written down.

use larder_core::policy::{Capacity, HitMode, Policy, SlotId, Slots};
use larder_core::{Descriptor, KeyPath, PolicyConfig, Problem, Problems, Share};
use larder_core::{descriptor, register};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::ghosts::Ghosts;
use crate::lists::Lists;

/// Options of `2q`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct TwoQConfig {
    /// The part of the entries that the queue of new entries may have. Default `25%`.
    pub in_ratio: Share,
    /// How many keys that left that queue are remembered, as a part of the entries. Default `50%`.
    pub out_ratio: Share,
}

impl Default for TwoQConfig {
    fn default() -> Self {
        let share = |share| Share::new(share).expect("it is from 0 to 1");
        Self { in_ratio: share(0.25), out_ratio: share(0.5) }
    }
}

impl PolicyConfig for TwoQConfig {
    const KIND: &'static str = "2q";
    const SUMMARY: &'static str = "evicts what did not come back soon after it had left a queue";
    type Policy = TwoQ;

    fn validate(&self, at: &KeyPath) -> Result<(), Problems> {
        let share = self.in_ratio.get();
        if share > 0.0 && share < 1.0 {
            return Ok(());
        }
        let message = format!("`{}` leaves the queue or the list empty", self.in_ratio);
        let problem = Problem::new(at.join("in_ratio"), message);
        Err(problem.help("write a share between 1% and 99%; `25%` suits most caches").into())
    }

    fn build(&self, _: Capacity) -> TwoQ {
        TwoQ {
            lists: Lists::new(2),
            ghosts: Ghosts::default(),
            in_ratio: self.in_ratio.get(),
            out_ratio: self.out_ratio.get(),
        }
    }
}

/// The queue of new entries, `A1in` of the paper.
const IN: u8 = 0;
/// The list of entries that came back, `Am` of the paper.
const MAIN: u8 = 1;

/// The policy of one shard.
#[derive(Debug)]
pub struct TwoQ {
    lists: Lists,
    /// What left the queue of new entries, `A1out` of the paper.
    ghosts: Ghosts,
    in_ratio: f64,
    out_ratio: f64,
}

impl Policy for TwoQ {
    fn hit_mode(&self) -> HitMode {
        HitMode::Record
    }

    fn on_insert(&mut self, slot: SlotId, slots: &mut dyn Slots) {
        let came_back = self.ghosts.recall(slots.hash(slot));
        self.lists.push_front(if came_back { MAIN } else { IN }, slot);
    }

    fn on_remove(&mut self, slot: SlotId, evicted: bool, slots: &mut dyn Slots) {
        if evicted && self.lists.list_of(slot) == Some(IN) {
            let ghosts = self.lists.len() as f64 * self.out_ratio;
            self.ghosts.remember(slots.hash(slot), ghosts as usize);
        }
        self.lists.remove(slot);
    }

    fn on_hits(&mut self, hits: &[SlotId], _: &mut dyn Slots) {
        for slot in hits {
            if self.lists.list_of(*slot) == Some(MAIN) {
                self.lists.move_to_front(*slot);
            }
        }
    }

    fn victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
        let queued = self.lists.len_of(IN) as f64;
        let is_over = queued >= self.lists.len() as f64 * self.in_ratio;
        let (first, second) = if is_over { (IN, MAIN) } else { (MAIN, IN) };
        let slot = self.lists.oldest_unpinned(first, slots);
        slot.or_else(|| self.lists.oldest_unpinned(second, slots))
    }

    fn resize(&mut self, _: Capacity) {}

    fn len(&self) -> usize {
        self.lists.len()
    }
}

/// `2q` for explicit registration.
pub const TWO_Q: Descriptor = descriptor!(policy: TwoQConfig);

register!(policy: TwoQConfig);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::{Reference, compare};

    /// The queue and the list, oldest first.
    #[derive(Default)]
    struct Model {
        queue: Vec<(SlotId, u64)>,
        main: Vec<SlotId>,
        ghosts: Ghosts,
    }

    impl Reference for Model {
        fn insert(&mut self, slot: SlotId, hash: u64) {
            if self.ghosts.recall(hash) {
                self.main.push(slot);
            } else {
                self.queue.push((slot, hash));
            }
        }

        fn hit(&mut self, slot: SlotId) {
            if let Some(at) = self.main.iter().position(|other| *other == slot) {
                self.main.remove(at);
                self.main.push(slot);
            }
        }

        fn remove(&mut self, slot: SlotId, evicted: bool) {
            let total = self.queue.len() + self.main.len();
            if let Some((_, hash)) = self.queue.iter().find(|entry| entry.0 == slot)
                && evicted
            {
                self.ghosts.remember(*hash, total / 2);
            }
            self.queue.retain(|entry| entry.0 != slot);
            self.main.retain(|other| *other != slot);
        }

        fn victim(&mut self) -> SlotId {
            let total = self.queue.len() + self.main.len();
            let is_over = self.queue.len() * 4 >= total;
            if is_over || self.main.is_empty() { self.queue[0].0 } else { self.main[0] }
        }
    }

    #[test]
    fn victims_are_those_of_the_paper() {
        compare(&TwoQConfig::default(), Model::default);
    }

    #[test]
    fn a_ratio_that_leaves_a_list_empty_is_a_problem() {
        for (ratio, is_good) in [(0.0, false), (0.25, true), (1.0, false)] {
            let config = TwoQConfig { in_ratio: Share::new(ratio).unwrap(), ..Default::default() };
            assert_eq!(config.validate(&KeyPath::root()).is_ok(), is_good);
        }
    }
}
