//! `lirs`: keeps what comes back after a short time, however long ago it was asked for last.
//!
//! Jiang and Zhang, "LIRS: an efficient low inter-reference recency set replacement policy"
//! (SIGMETRICS 2002). Nearly all room is for entries of *low* inter-reference recency: few other
//! keys were asked for between their last two uses. The small rest is a queue that new entries
//! pass through; one that is asked for again sooner than the coldest low entry takes its place.
//!
//! The stack of the paper is not kept as a list here. An entry is in that stack exactly if its last
//! use is younger than that of the coldest low entry, so a number for the last use is enough, and
//! nothing has to be pruned.

use larder_core::policy::{Capacity, HitMode, Policy, SlotId, Slots};
use larder_core::{Descriptor, KeyPath, PolicyConfig, Problem, Problems, Share};
use larder_core::{descriptor, register};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::ghosts::Ghosts;
use crate::lists::Lists;
use crate::part::Part;

/// Options of `lirs`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct LirsConfig {
    /// The part of the entries that new ones pass through, at least one entry. Default `1%`.
    pub queue_ratio: Share,
    /// How many evicted keys are remembered at most, for each entry. They are needed to see that a
    /// key of a loop larger than the cache comes back. Default 2.
    pub ghosts_per_entry: u8,
}

impl Default for LirsConfig {
    fn default() -> Self {
        let queue_ratio = Share::new(0.01).expect("it is from 0 to 1");
        Self { queue_ratio, ghosts_per_entry: 2 }
    }
}

impl PolicyConfig for LirsConfig {
    const KIND: &'static str = "lirs";
    const SUMMARY: &'static str = "evicts what does not come back sooner than what stays";
    type Policy = Lirs;

    fn validate(&self, at: &KeyPath) -> Result<(), Problems> {
        if self.queue_ratio.get() < 1.0 {
            return Ok(());
        }
        let message = format!("`{}` leaves no room for entries that stay", self.queue_ratio);
        let problem = Problem::new(at.join("queue_ratio"), message);
        Err(problem.help("write a share below 50%; `1%` suits most caches").into())
    }

    fn build(&self, _: Capacity) -> Lirs {
        Lirs {
            lists: Lists::new(2),
            last_uses: Vec::new(),
            uses: 0,
            ghosts: Ghosts::default(),
            queue: Part::new(self.queue_ratio.get()),
            ghosts_per_entry: usize::from(self.ghosts_per_entry),
        }
    }
}

/// Entries of low inter-reference recency, in the order of their last use.
const LOW: u8 = 0;
/// The other entries, in the order in which they go.
const QUEUE: u8 = 1;

/// Where the number of the insert begins in that of a use.
const INSERT: u32 = 24;

/// The policy of one shard.
#[derive(Debug)]
pub struct Lirs {
    lists: Lists,
    /// The number of the last use of each slot.
    last_uses: Vec<u64>,
    /// The number of the last use of all: that of the last insert, and of the uses since in the
    /// lowest bits.
    uses: u64,
    /// Evicted keys of the stack, born when they were used last. Its clock counts inserts.
    ghosts: Ghosts,
    /// How many entries are queued.
    queue: Part,
    ghosts_per_entry: usize,
}

impl Lirs {
    /// How many of so many entries may be low.
    fn low_room(&mut self, entries: usize) -> usize {
        let queue = self.queue.of(entries, |entries, share| (entries * share).round());
        entries.saturating_sub(queue.max(1))
    }

    /// Whether something that was last used then is in the stack of the paper.
    fn is_in_stack(&self, last_use: u64) -> bool {
        let coldest = self.lists.back(LOW);
        coldest.is_some_and(|slot| self.last_uses[slot.index()] < last_use)
    }

    /// The same for a key that was last used so many inserts ago.
    fn was_in_stack(&self, age: u32) -> bool {
        let coldest = self.lists.back(LOW).map(|slot| self.last_uses[slot.index()]);
        coldest
            .is_some_and(|last_use| u64::from(age) < (self.uses >> INSERT) - (last_use >> INSERT))
    }

    fn note_use(&mut self, slot: SlotId) {
        if self.last_uses.len() <= slot.index() {
            self.last_uses.resize(slot.index() + 1, 0);
        }
        // Without an insert for so long that the bits do not suffice, the last uses count as one.
        if self.uses % (1 << INSERT) < (1 << INSERT) - 1 {
            self.uses += 1;
        }
        self.last_uses[slot.index()] = self.uses;
    }

    /// Sends the coldest low entries to the end of the queue until there are no more than fit.
    fn demote(&mut self, room: usize) {
        while self.lists.len_of(LOW) > room
            && let Some(coldest) = self.lists.back(LOW)
        {
            self.lists.push_front(QUEUE, coldest);
        }
    }
}

impl Policy for Lirs {
    fn hit_mode(&self) -> HitMode {
        HitMode::Record
    }

    fn on_insert(&mut self, slot: SlotId, slots: &mut dyn Slots) {
        self.ghosts.tick();
        self.uses = ((self.uses >> INSERT) + 1) << INSERT;
        let ghost = self.ghosts.take(slots.hash(slot));
        let came_back = ghost.is_some_and(|age| self.was_in_stack(age));
        let room = self.low_room(self.lists.len() + 1);
        let is_low = came_back || self.lists.len_of(LOW) < room;
        self.note_use(slot);
        self.lists.push_front(if is_low { LOW } else { QUEUE }, slot);
        self.demote(room);
    }

    fn on_remove(&mut self, slot: SlotId, evicted: bool, slots: &mut dyn Slots) {
        let last_use = self.last_uses.get(slot.index()).copied().unwrap_or(0);
        if evicted && self.lists.list_of(slot) == Some(QUEUE) && self.is_in_stack(last_use) {
            self.ghosts.remember_last(self.lists.len() * self.ghosts_per_entry);
            let age = (self.uses >> INSERT) - (last_use >> INSERT);
            self.ghosts.add(slots.hash(slot), self.ghosts.now().wrapping_sub(age as u32));
        }
        self.lists.remove(slot);
        if self.lists.len() == 0 {
            self.last_uses = Vec::new();
        }
    }

    fn on_hits(&mut self, hits: &[SlotId], _: &mut dyn Slots) {
        for slot in hits.iter().copied() {
            let Some(list) = self.lists.list_of(slot) else {
                continue;
            };
            let came_back = self.is_in_stack(self.last_uses[slot.index()]);
            self.note_use(slot);
            self.lists.push_front(if came_back { LOW } else { list }, slot);
            let room = self.low_room(self.lists.len());
            self.demote(room);
        }
    }

    fn victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
        let room = self.low_room(self.lists.len());
        self.demote(room);
        let queued = self.lists.oldest_unpinned(QUEUE, slots);
        queued.or_else(|| self.lists.oldest_unpinned(LOW, slots))
    }

    fn resize(&mut self, _: Capacity) {}

    fn len(&self) -> usize {
        self.lists.len()
    }
}

/// `lirs` for explicit registration.
pub const LIRS: Descriptor = descriptor!(policy: LirsConfig);

register!(policy: LirsConfig);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::{Reference, compare};

    /// An entry of the stack, with the number of inserts at its last use.
    #[derive(Clone, Copy)]
    struct Page {
        slot: SlotId,
        hash: u64,
        is_low: bool,
        time: u32,
    }

    /// The stack and the queue as the paper draws them; the last is the top. Keys that are gone
    /// are not in the stack but kept as the policy keeps them.
    #[derive(Default)]
    struct Model {
        stack: Vec<Page>,
        queue: Vec<(SlotId, u64)>,
        ghosts: Ghosts,
    }

    impl Model {
        fn low(&self) -> usize {
            self.stack.iter().filter(|page| page.is_low).count()
        }

        fn entries(&self) -> usize {
            self.low() + self.queue.len()
        }

        fn room(entries: usize) -> usize {
            entries.saturating_sub(((entries as f64 * 0.01).round() as usize).max(1))
        }

        fn prune(&mut self) {
            while self.stack.first().is_some_and(|page| !page.is_low) {
                self.stack.remove(0);
            }
        }

        fn demote(&mut self, room: usize) {
            while self.low() > room {
                let coldest = self.stack.remove(0);
                self.queue.push((coldest.slot, coldest.hash));
                self.prune();
            }
        }
    }

    impl Reference for Model {
        fn insert(&mut self, slot: SlotId, hash: u64) {
            let time = self.ghosts.tick();
            let age = self.ghosts.take(hash);
            let coldest = self.stack.first().map(|page| time.wrapping_sub(page.time));
            let came_back = age.zip(coldest).is_some_and(|(age, coldest)| age < coldest);
            let room = Self::room(self.entries() + 1);
            let is_low = came_back || self.low() < room;
            self.stack.push(Page { slot, hash, is_low, time });
            if !is_low {
                self.queue.push((slot, hash));
            }
            self.prune();
            self.demote(room);
        }

        fn hit(&mut self, slot: SlotId) {
            let time = self.ghosts.now();
            let in_stack = self.stack.iter().position(|page| page.slot == slot);
            let old = in_stack.map(|at| self.stack.remove(at));
            if let Some(at) = self.queue.iter().position(|entry| entry.0 == slot) {
                let (_, hash) = self.queue.remove(at);
                let is_low = old.is_some();
                if !is_low {
                    self.queue.push((slot, hash));
                }
                self.stack.push(Page { slot, hash, is_low, time });
            } else {
                self.stack.push(Page { time, ..old.unwrap() });
            }
            self.prune();
            self.demote(Self::room(self.entries()));
        }

        fn remove(&mut self, slot: SlotId, evicted: bool) {
            let entries = self.entries();
            if let Some(at) = self.stack.iter().position(|page| page.slot == slot) {
                let page = self.stack.remove(at);
                if evicted && !page.is_low {
                    self.ghosts.remember_last(2 * entries);
                    self.ghosts.add(page.hash, page.time);
                }
            }
            self.queue.retain(|entry| entry.0 != slot);
            self.prune();
        }

        fn victim(&mut self) -> SlotId {
            self.demote(Self::room(self.entries()));
            self.queue[0].0
        }
    }

    #[test]
    fn victims_are_those_of_the_paper() {
        compare(&LirsConfig::default(), Model::default);
    }

    #[test]
    fn a_queue_that_takes_all_room_is_a_problem() {
        for (ratio, is_good) in [(0.0, true), (0.25, true), (1.0, false)] {
            let queue_ratio = Share::new(ratio).unwrap();
            let config = LirsConfig { queue_ratio, ..LirsConfig::default() };
            assert_eq!(config.validate(&KeyPath::root()).is_ok(), is_good);
        }
    }
}
