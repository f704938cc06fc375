//! `s3-fifo`: three queues; new entries must be asked for again to stay.
//!
//! Yang, Zhang, Qiu, Yue and Rashmi, "FIFO queues are all you need for cache eviction" (SOSP 2023).
//! A small queue takes what is new; what was hit there more than once moves on to the main queue,
//! the rest leaves, remembered as a ghost that goes straight to the main queue when it comes back.
//! One-time keys, most of real traffic, so never push out what is popular. A hit only counts in a
//! byte, up to 3.

use larder_core::policy::{Capacity, HitMode, Policy, SlotId, Slots};
use larder_core::{Descriptor, KeyPath, PolicyConfig, Problem, Problems, Share};
use larder_core::{descriptor, register};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::ghosts::Ghosts;
use crate::part::Part;
use crate::queues::Queues;

/// Options of `s3-fifo`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct S3FifoConfig {
    /// The part of the entries that the queue of new entries may have. Default `10%`.
    pub small_ratio: Share,
    /// How many evicted keys are remembered, as a part of the entries. Default `90%`.
    pub ghost_ratio: Share,
}

impl Default for S3FifoConfig {
    fn default() -> Self {
        let share = |share| Share::new(share).expect("it is from 0 to 1");
        Self { small_ratio: share(0.1), ghost_ratio: share(0.9) }
    }
}

impl PolicyConfig for S3FifoConfig {
    const KIND: &'static str = "s3-fifo";
    const SUMMARY: &'static str = "evicts what was not asked for again soon after it came in";
    type Policy = S3Fifo;

    fn validate(&self, at: &KeyPath) -> Result<(), Problems> {
        let share = self.small_ratio.get();
        if share > 0.0 && share < 1.0 {
            return Ok(());
        }
        let message = format!("`{}` leaves one of the two queues empty", self.small_ratio);
        let problem = Problem::new(at.join("small_ratio"), message);
        Err(problem.help("write a share between 1% and 99%; `10%` suits most caches").into())
    }

    fn build(&self, _: Capacity) -> S3Fifo {
        S3Fifo {
            queues: Queues::new(),
            ghosts: Ghosts::default(),
            small: Part::new(self.small_ratio.get()),
            remembered: Part::new(self.ghost_ratio.get()),
        }
    }
}

/// The queue of new entries.
const SMALL: u8 = 1;
/// The queue of entries that were asked for again.
const MAIN: u8 = 2;

/// The policy of one shard. It sizes its queues by what the shard holds when it is full, so it
/// needs no capacity, and works as well for stores that are limited by weight.
#[derive(Debug)]
pub struct S3Fifo {
    queues: Queues<()>,
    ghosts: Ghosts,
    /// How many entries may be in the small queue.
    small: Part,
    /// How many keys are remembered.
    remembered: Part,
}

impl S3Fifo {
    /// The entry of the small queue that goes; those that were hit more than once move on, and so
    /// do those that have to stay.
    fn small_victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
        while let Some((slot, ())) = self.queues.oldest(SMALL) {
            if slots.hits(slot) > 1 {
                slots.set_hits(slot, 0);
            } else if !slots.is_pinned(slot) {
                return Some(slot);
            }
            self.queues.push(MAIN, slot, ());
        }
        None
    }

    /// The entry of the main queue that goes; every hit is worth another round.
    fn main_victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
        // Counters go up to 3, so a fourth round finds one at 0.
        for _ in 0..=4 * self.queues.len_of(MAIN) {
            let (slot, ()) = self.queues.oldest(MAIN)?;
            let hits = slots.hits(slot);
            if hits > 0 {
                slots.set_hits(slot, hits - 1);
            } else if !slots.is_pinned(slot) {
                return Some(slot);
            }
            self.queues.push(MAIN, slot, ());
        }
        // Hits have come in meanwhile, or all are pinned.
        self.queues.slots().find(|slot| !slots.is_pinned(*slot))
    }
}

impl Policy for S3Fifo {
    fn hit_mode(&self) -> HitMode {
        HitMode::Counter { max: 3 }
    }

    fn on_insert(&mut self, slot: SlotId, slots: &mut dyn Slots) {
        let known = self.ghosts.recall(slots.hash(slot));
        self.queues.push(if known { MAIN } else { SMALL }, slot, ());
    }

    fn on_remove(&mut self, slot: SlotId, evicted: bool, slots: &mut dyn Slots) {
        let total = self.queues.len();
        if evicted && self.queues.kind_of(slot) == Some(SMALL) {
            let ghosts = self.remembered.of(total, |total, share| total * share);
            self.ghosts.remember(slots.hash(slot), ghosts);
        }
        self.queues.remove(slot);
    }

    fn victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
        let room = self.small.of(self.queues.len(), |total, share| (total * share).ceil());
        let is_over = self.queues.len_of(SMALL) >= room;
        let first = is_over.then(|| self.small_victim(slots)).flatten();
        first.or_else(|| self.main_victim(slots)).or_else(|| self.small_victim(slots))
    }

    fn resize(&mut self, _: Capacity) {}

    fn len(&self) -> usize {
        self.queues.len()
    }
}

/// `s3-fifo` for explicit registration.
pub const S3_FIFO: Descriptor = descriptor!(policy: S3FifoConfig);

register!(policy: S3FifoConfig);

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::simulation::{Reference, compare};

    #[derive(Default)]
    struct Model {
        small: VecDeque<(SlotId, u64, u8)>,
        main: VecDeque<(SlotId, u64, u8)>,
        ghosts: Ghosts,
    }

    impl Reference for Model {
        fn insert(&mut self, slot: SlotId, hash: u64) {
            if self.ghosts.recall(hash) {
                self.main.push_back((slot, hash, 0));
            } else {
                self.small.push_back((slot, hash, 0));
            }
        }

        fn hit(&mut self, slot: SlotId) {
            let mut entries = self.small.iter_mut().chain(&mut self.main);
            let entry = entries.find(|entry| entry.0 == slot).unwrap();
            entry.2 = (entry.2 + 1).min(3);
        }

        fn remove(&mut self, slot: SlotId, evicted: bool) {
            let total = self.small.len() + self.main.len();
            if let Some(entry) = self.small.iter().find(|entry| entry.0 == slot)
                && evicted
            {
                self.ghosts.remember(entry.1, total * 9 / 10);
            }
            self.small.retain(|entry| entry.0 != slot);
            self.main.retain(|entry| entry.0 != slot);
        }

        fn victim(&mut self) -> SlotId {
            let total = self.small.len() + self.main.len();
            if self.small.len() * 10 >= total {
                while let Some(entry) = self.small.front().copied() {
                    if entry.2 <= 1 {
                        return entry.0;
                    }
                    self.small.pop_front();
                    self.main.push_back((entry.0, entry.1, 0));
                }
            }
            while let Some(entry) = self.main.front().copied() {
                if entry.2 == 0 {
                    return entry.0;
                }
                self.main.pop_front();
                self.main.push_back((entry.0, entry.1, entry.2 - 1));
            }
            self.small[0].0
        }
    }

    #[test]
    fn victims_are_those_of_the_paper() {
        compare(&S3FifoConfig::default(), Model::default);
    }

    #[test]
    fn a_ratio_that_leaves_a_queue_empty_is_a_problem() {
        for (ratio, is_good) in [(0.0, false), (0.25, true), (1.0, false)] {
            let config =
                S3FifoConfig { small_ratio: Share::new(ratio).unwrap(), ..S3FifoConfig::default() };
            assert_eq!(config.validate(&KeyPath::root()).is_ok(), is_good);
        }
    }
}
