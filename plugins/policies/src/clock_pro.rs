//! `clock-pro`: keeps what comes back after a short time, as `lirs` does, and a hit only counts.
//!
//! Jiang, Chen and Zhang, "CLOCK-Pro: an effective improvement of the CLOCK replacement" (USENIX
//! 2005). Most room is for *hot* entries, those that came back soon. New entries are *cold*: they
//! pass through the small rest, and for a *test period* it is remembered that they did. One that is
//! asked for again in that time becomes hot, and the hot entry that was not hit for longest gives
//! up its place. A test ends when the hot entry that is up next is younger, so keys only get in if
//! they come back sooner than what they replace.
//!
//! How much room cold entries have is learned as in Li, "CLOCK-Pro+: improving CLOCK-Pro cache
//! replacement with utility-driven adaptation" (SYSTOR 2019): more if keys come back that were
//! evicted too soon, less if entries are hit that were hot before.
//!
//! The one ring of the paper, where hot and cold entries stand in the order of time, is kept as two
//! queues here, and each entry has the time at which it came to its place.

use larder_core::policy::{Capacity, HitMode, Policy, SlotId, Slots};
use larder_core::{Descriptor, KeyPath, PolicyConfig, Problem, Problems, Share};
use larder_core::{descriptor, register};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::ghosts::Ghosts;
use crate::part::Part;
use crate::queues::Queues;

/// Options of `clock-pro`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ClockProConfig {
    /// The part of the entries that new ones pass through, at first if it is adaptive. Default
    /// `3%`.
    pub cold_ratio: Share,
    /// How many evicted keys are remembered, as a part of the entries. Default `90%`.
    pub ghost_ratio: Share,
    /// Learns from the keys that come back how much room new entries need. Default `true`.
    pub adaptive: bool,
}

impl Default for ClockProConfig {
    fn default() -> Self {
        let share = |share| Share::new(share).expect("it is from 0 to 1");
        Self { cold_ratio: share(0.03), ghost_ratio: share(0.9), adaptive: true }
    }
}

impl PolicyConfig for ClockProConfig {
    const KIND: &'static str = "clock-pro";
    const SUMMARY: &'static str = "evicts what does not come back soon, and learns what soon is";
    type Policy = ClockPro;

    fn validate(&self, at: &KeyPath) -> Result<(), Problems> {
        if self.cold_ratio.get() < 1.0 {
            return Ok(());
        }
        let message = format!("`{}` leaves no room for entries that stay", self.cold_ratio);
        let problem = Problem::new(at.join("cold_ratio"), message);
        Err(problem.help("write a share below 100%; `3%` suits most caches").into())
    }

    fn build(&self, capacity: Capacity) -> ClockPro {
        ClockPro {
            queues: Queues::new(),
            ghosts: Ghosts::default(),
            cold: Part::new(self.cold_ratio.get()),
            remembered: Part::new(self.ghost_ratio.get()),
            step: if self.adaptive { STEP } else { 0.0 },
            full: entries_of(capacity),
        }
    }
}

/// Entries that came back soon.
const HOT: u8 = 1;
/// Entries that came in lately, or were asked for again too late.
const COLD: u8 = 2;
/// Entries that were hot; they stand among the cold ones.
const DEMOTED: u8 = 3;

/// Entries by which the room of cold entries changes.
const STEP: f64 = 0.5;
/// The greatest part of the entries that may be cold.
const MOST: f64 = 0.99;
/// Where the counter of hits stops.
const MAX_HITS: u8 = 3;

/// When an entry came to its place in a queue.
type Time = [u8; 4];

/// The policy of one shard.
#[derive(Debug)]
pub struct ClockPro {
    queues: Queues<Time>,
    /// Evicted cold keys. Its clock is that of the queues too.
    ghosts: Ghosts,
    /// How many entries may be hot: all but the cold ones, whose share is kept.
    cold: Part,
    /// How many keys are remembered.
    remembered: Part,
    /// 0 if the part stays as it is.
    step: f64,
    /// How many entries there are when the shard is full; 0 if that is not known yet.
    full: usize,
}

impl ClockPro {
    /// How many of so many entries may be hot.
    fn hot_room(&mut self, entries: usize) -> usize {
        self.cold.of(entries, |entries, share| entries - (entries * share).max(1.0))
    }

    /// Lets so many more of so many entries be cold.
    fn learn(&mut self, more: f64, entries: usize) {
        let change = self.step * more / entries.max(1) as f64;
        self.cold.set_share((self.cold.share() + change).clamp(0.0, MOST));
    }

    fn push(&mut self, kind: u8, slot: SlotId) {
        let now = self.ghosts.tick();
        self.queues.push(kind, slot, now.to_ne_bytes());
    }

    /// Whether the test period of something that is so old has not ended.
    fn is_in_test(&mut self, age: u32) -> bool {
        let now = self.ghosts.now();
        let next = self.queues.oldest(HOT);
        next.is_none_or(|(_, time)| age < now.wrapping_sub(u32::from_ne_bytes(time)))
    }

    /// Demotes hot entries that were not hit for longest until there are no more than fit.
    fn demote(&mut self, room: usize, slots: &mut dyn Slots) {
        // Each hit is worth a round. Hits that come in meanwhile do not keep this going for ever.
        let mut rounds = (usize::from(MAX_HITS) + 1) * self.queues.len_of(HOT);
        while self.queues.len_of(HOT) > room
            && let Some((slot, _)) = self.queues.oldest(HOT)
        {
            let hits = slots.hits(slot);
            if hits > 0 && rounds > 0 {
                slots.set_hits(slot, hits - 1);
                self.push(HOT, slot);
            } else {
                self.push(DEMOTED, slot);
            }
            rounds = rounds.saturating_sub(1);
        }
    }

    /// Moves a cold entry that was hit.
    fn promote(&mut self, slot: SlotId, time: Time, slots: &mut dyn Slots) {
        let entries = self.queues.len();
        if self.queues.kind_of(slot) == Some(DEMOTED) {
            // The fewer there are, the more one of them tells.
            let demoted = self.queues.len_of(DEMOTED);
            self.learn(-(entries as f64 / demoted as f64), entries);
        }
        slots.set_hits(slot, 0);
        let age = self.ghosts.now().wrapping_sub(u32::from_ne_bytes(time));
        let kind = if self.is_in_test(age) { HOT } else { COLD };
        self.push(kind, slot);
    }
}

impl Policy for ClockPro {
    fn hit_mode(&self) -> HitMode {
        HitMode::Counter { max: MAX_HITS }
    }

    fn on_insert(&mut self, slot: SlotId, slots: &mut dyn Slots) {
        let entries = self.queues.len() + 1;
        let ghost = self.ghosts.take(slots.hash(slot));
        let came_back = ghost.is_some_and(|age| self.is_in_test(age));
        if came_back {
            self.learn(1.0, entries);
        }
        // As long as there is room, nothing has to prove itself.
        let is_filling = entries < self.full || self.full == 0;
        let fits = is_filling && {
            let room = self.hot_room(self.full.max(entries));
            self.queues.len_of(HOT) < room
        };
        self.push(if came_back || fits { HOT } else { COLD }, slot);
    }

    fn on_remove(&mut self, slot: SlotId, evicted: bool, slots: &mut dyn Slots) {
        if evicted
            && let Some((oldest, time)) = self.queues.oldest(COLD)
            && oldest == slot
        {
            let entries = self.queues.len();
            let ghosts = self.remembered.of(entries, |entries, share| entries * share);
            self.ghosts.remember_last(ghosts);
            self.ghosts.add(slots.hash(slot), u32::from_ne_bytes(time));
        }
        self.queues.remove(slot);
    }

    fn victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
        self.full = self.queues.len();
        // Long enough to look at every entry after it was promoted and demoted.
        for _ in 0..=2 * self.full {
            let room = self.hot_room(self.full);
            self.demote(room, slots);
            let (slot, time) = self.queues.oldest(COLD)?;
            if slots.is_pinned(slot) {
                self.push(HOT, slot);
            } else if slots.hits(slot) == 0 {
                return Some(slot);
            } else {
                self.promote(slot, time, slots);
            }
        }
        self.queues.slots().find(|slot| !slots.is_pinned(*slot))
    }

    fn resize(&mut self, capacity: Capacity) {
        self.full = entries_of(capacity);
    }

    fn len(&self) -> usize {
        self.queues.len()
    }
}

/// How many entries a shard may have; 0 if only its weight is limited.
fn entries_of(capacity: Capacity) -> usize {
    capacity.entries.map_or(0, |entries| usize::try_from(entries).unwrap_or(usize::MAX))
}

/// `clock-pro` for explicit registration.
pub const CLOCK_PRO: Descriptor = descriptor!(policy: ClockProConfig);

register!(policy: ClockProConfig);

#[cfg(test)]
mod tests;
