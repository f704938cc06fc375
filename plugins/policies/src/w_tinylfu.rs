//! `w-tinylfu`: a new entry stays only if it was asked for more often than the one it replaces.
//!
//! Einziger, Friedman and Manes, "TinyLFU: a highly efficient cache admission policy" (ACM
//! Transactions on Storage 13(4), 2017), and with Eytan, "Adaptive software cache management"
//! (Middleware 2018). New entries come into a window, least recently used. What leaves the window
//! has to beat the entry that the main part would evict, by a sketch of how often keys were asked
//! for lately, whether they were in the cache or not. The main part is a segmented LRU. The window
//! grows or shrinks as long as that raises the hit ratio, as in the Caffeine library.

use larder_core::policy::{Capacity, HitMode, Policy, SlotId, Slots};
use larder_core::{Descriptor, KeyPath, PolicyConfig, Problem, Problems, Share};
use larder_core::{descriptor, register};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::hill_climber::HillClimber;
use crate::lists::Lists;
use crate::sketch::Sketch;

/// Options of `w-tinylfu`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct WTinyLfuConfig {
    /// The part of the entries that the window of new entries has, at first if it is adaptive.
    /// Default `1%`.
    pub window_ratio: Share,
    /// The part of the main entries that may be protected, those that were hit there. Default
    /// `80%`.
    pub protected_ratio: Share,
    /// Changes the size of the window as long as that raises the hit ratio. Default `true`.
    pub adaptive: bool,
}

impl Default for WTinyLfuConfig {
    fn default() -> Self {
        let share = |share| Share::new(share).expect("it is from 0 to 1");
        Self { window_ratio: share(0.01), protected_ratio: share(0.8), adaptive: true }
    }
}

impl PolicyConfig for WTinyLfuConfig {
    const KIND: &'static str = "w-tinylfu";
    const SUMMARY: &'static str = "keeps out what was asked for less often than what is there";
    type Policy = WTinyLfu;

    fn validate(&self, at: &KeyPath) -> Result<(), Problems> {
        let mut problems = Problems::new();
        if self.window_ratio.get() >= 1.0 {
            let message = format!("`{}` leaves no room for the main part", self.window_ratio);
            let problem = Problem::new(at.join("window_ratio"), message);
            problems.push(problem.help("write a share below 100%; `1%` suits most caches"));
        }
        let protected = self.protected_ratio.get();
        if protected <= 0.0 || protected >= 1.0 {
            let message = format!("`{}` leaves a segment empty", self.protected_ratio);
            let problem = Problem::new(at.join("protected_ratio"), message);
            problems.push(problem.help("write a share between 1% and 99%"));
        }
        problems.into_result()
    }

    fn build(&self, _: Capacity) -> WTinyLfu {
        WTinyLfu {
            lists: Lists::new(3),
            sketch: Sketch::default(),
            window_ratio: self.window_ratio.get(),
            protected_ratio: self.protected_ratio.get(),
            climber: self.adaptive.then(HillClimber::default),
            luck: LUCK,
        }
    }
}

/// New entries.
const WINDOW: u8 = 0;
/// Main entries that were not hit there lately.
const PROBATION: u8 = 1;
/// Main entries that were hit.
const PROTECTED: u8 = 2;

/// From which estimate on a key is let in now and then although it lost, so that nobody can keep
/// all others out by keys that collide with an entry.
const WARM: u8 = 6;
/// How seldom that happens.
const LUCK: u32 = 128;

/// The policy of one shard.
#[derive(Debug)]
pub struct WTinyLfu {
    lists: Lists,
    sketch: Sketch,
    window_ratio: f64,
    protected_ratio: f64,
    climber: Option<HillClimber>,
    /// One in so many warm keys that lose is let in all the same; 0 for none.
    luck: u32,
}

impl WTinyLfu {
    fn note(&mut self, hash: u64, was_hit: bool) {
        self.sketch.add(hash);
        let entries = self.lists.len();
        if let Some(climber) = &mut self.climber {
            let change = climber.note(was_hit, entries);
            self.window_ratio = (self.window_ratio + change).clamp(0.0, 0.99);
        }
    }

    /// Makes the lists as short as they have to be.
    fn balance(&mut self) -> usize {
        let entries = self.lists.len() as f64;
        let window = (entries * self.window_ratio).round().max(1.0);
        while self.lists.len_of(WINDOW) > window as usize
            && let Some(oldest) = self.lists.back(WINDOW)
        {
            self.lists.push_front(PROBATION, oldest);
        }
        let protected = (entries - window) * self.protected_ratio;
        while self.lists.len_of(PROTECTED) > protected as usize
            && let Some(oldest) = self.lists.back(PROTECTED)
        {
            self.lists.push_front(PROBATION, oldest);
        }
        window as usize
    }

    fn main_victim(&self, slots: &dyn Slots) -> Option<SlotId> {
        let on_probation = self.lists.oldest_unpinned(PROBATION, slots);
        on_probation.or_else(|| self.lists.oldest_unpinned(PROTECTED, slots))
    }

    /// Whether an entry that leaves the window may take the place of a main entry.
    fn beats(&self, candidate: SlotId, victim: SlotId, slots: &mut dyn Slots) -> bool {
        let uses = self.sketch.estimate(slots.hash(candidate));
        let least = self.sketch.estimate(slots.hash(victim));
        uses > least || (uses >= WARM && self.luck > 0 && slots.random(self.luck) == 0)
    }
}

impl Policy for WTinyLfu {
    fn hit_mode(&self) -> HitMode {
        HitMode::Record
    }

    fn on_insert(&mut self, slot: SlotId, slots: &mut dyn Slots) {
        self.lists.push_front(WINDOW, slot);
        self.sketch.fit(self.lists.len());
        self.note(slots.hash(slot), false);
    }

    fn on_remove(&mut self, slot: SlotId, _: bool, _: &mut dyn Slots) {
        self.lists.remove(slot);
    }

    fn on_hits(&mut self, hits: &[SlotId], slots: &mut dyn Slots) {
        for slot in hits {
            let Some(list) = self.lists.list_of(*slot) else {
                continue;
            };
            self.lists.push_front(if list == WINDOW { WINDOW } else { PROTECTED }, *slot);
            self.note(slots.hash(*slot), true);
        }
    }

    fn victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
        let window = self.balance();
        let oldest = self.lists.oldest_unpinned(WINDOW, slots);
        let Some(victim) = self.main_victim(slots) else {
            return oldest;
        };
        // Until the window is full, the main part makes room for it.
        let is_full = self.lists.len_of(WINDOW) >= window;
        let Some(candidate) = oldest.filter(|_| is_full) else {
            return Some(victim);
        };
        if !self.beats(candidate, victim, slots) {
            return Some(candidate);
        }
        self.lists.push_front(PROBATION, candidate);
        Some(victim)
    }

    fn resize(&mut self, _: Capacity) {}

    fn len(&self) -> usize {
        self.lists.len()
    }
}

/// `w-tinylfu` for explicit registration.
pub const W_TINYLFU: Descriptor = descriptor!(policy: WTinyLfuConfig);

register!(policy: WTinyLfuConfig);

#[cfg(test)]
mod tests;
