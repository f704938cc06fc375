//! `arc`: two lists, of what was asked for once and more often, that share the room as pays off.
//!
//! Megiddo and Modha, "ARC: a self-tuning, low overhead replacement cache" (FAST 2003). What
//! leaves a list is remembered; when it comes back that list was too short, and gets room of the
//! other one. There is nothing to set. The store asks who has to go before it says who comes, so
//! the room moves one entry later than in the paper.

use larder_core::policy::{Capacity, HitMode, Policy, SlotId, Slots};
use larder_core::{Descriptor, PolicyConfig, descriptor, register};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::history::History;
use crate::lists::Lists;

/// Options of `arc`: none, it adapts itself.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ArcConfig {}

impl PolicyConfig for ArcConfig {
    const KIND: &'static str = "arc";
    const SUMMARY: &'static str = "evicts by recency or by frequency, whichever pays off";
    type Policy = Arc;

    fn build(&self, _: Capacity) -> Arc {
        Arc { lists: Lists::new(2), ghosts: History::new(2), once_room: 0.0 }
    }
}

/// What was asked for once, `T1` of the paper; among the ghosts `B1`.
const ONCE: u8 = 0;
/// What was asked for more often, `T2` of the paper; among the ghosts `B2`.
const OFTEN: u8 = 1;

/// The policy of one shard. It remembers at most as many ghosts as there are entries.
#[derive(Debug)]
pub struct Arc {
    lists: Lists,
    ghosts: History,
    /// How many entries the list `ONCE` should have, `p` of the paper.
    once_room: f64,
}

impl Arc {
    /// Gives room to the list that a key has left that comes back. The rarer its ghosts, the more
    /// one of them tells.
    fn learn(&mut self, list: u8, capacity: usize) {
        // The ghost that was found has left already, and counts.
        let own = self.ghosts.len_of(list) as f64 + 1.0;
        let other = self.ghosts.len_of(if list == ONCE { OFTEN } else { ONCE }) as f64;
        let step = (other / own).max(1.0);
        let moved = if list == ONCE { self.once_room + step } else { self.once_room - step };
        self.once_room = moved.clamp(0.0, capacity as f64);
    }

    /// Forgets ghosts until `ONCE` with its ghosts has no more than the capacity, and all together
    /// no more than twice that.
    fn forget(&mut self, capacity: usize) {
        self.ghosts.keep_last(ONCE, capacity.saturating_sub(self.lists.len_of(ONCE)));
        let known = self.lists.len() + self.ghosts.len_of(ONCE);
        self.ghosts.keep_last(OFTEN, (2 * capacity).saturating_sub(known));
    }
}

impl Policy for Arc {
    fn hit_mode(&self) -> HitMode {
        HitMode::Record
    }

    fn on_insert(&mut self, slot: SlotId, slots: &mut dyn Slots) {
        let capacity = self.lists.len() + 1;
        let ghost = self.ghosts.take(slots.hash(slot));
        if let Some(list) = ghost {
            self.learn(list, capacity);
        }
        self.lists.push_front(if ghost.is_some() { OFTEN } else { ONCE }, slot);
        self.forget(capacity);
    }

    fn on_remove(&mut self, slot: SlotId, evicted: bool, slots: &mut dyn Slots) {
        let capacity = self.lists.len();
        if let Some(list) = self.lists.list_of(slot)
            && evicted
        {
            self.ghosts.add(list, slots.hash(slot));
        }
        self.lists.remove(slot);
        self.forget(capacity);
    }

    fn on_hits(&mut self, hits: &[SlotId], _: &mut dyn Slots) {
        for slot in hits {
            if self.lists.list_of(*slot).is_some() {
                self.lists.push_front(OFTEN, *slot);
            }
        }
    }

    fn victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
        let is_over = self.lists.len_of(ONCE) as f64 > self.once_room;
        let (first, second) = if is_over { (ONCE, OFTEN) } else { (OFTEN, ONCE) };
        let slot = self.lists.oldest_unpinned(first, slots);
        slot.or_else(|| self.lists.oldest_unpinned(second, slots))
    }

    fn resize(&mut self, _: Capacity) {}

    fn len(&self) -> usize {
        self.lists.len()
    }
}

/// `arc` for explicit registration.
pub const ARC: Descriptor = descriptor!(policy: ArcConfig);

register!(policy: ArcConfig);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::{Reference, churn, compare};

    /// The four lists of the paper, oldest first.
    #[derive(Default)]
    struct Model {
        t1: Vec<(SlotId, u64)>,
        t2: Vec<(SlotId, u64)>,
        b1: Vec<u64>,
        b2: Vec<u64>,
        p: f64,
    }

    impl Model {
        fn trim(&mut self, c: usize) {
            while !self.b1.is_empty() && self.t1.len() + self.b1.len() > c {
                self.b1.remove(0);
            }
            let resident = self.t1.len() + self.t2.len();
            while !self.b2.is_empty() && resident + self.b1.len() + self.b2.len() > 2 * c {
                self.b2.remove(0);
            }
        }
    }

    impl Reference for Model {
        fn insert(&mut self, slot: SlotId, hash: u64) {
            let c = self.t1.len() + self.t2.len() + 1;
            let (b1, b2) = (self.b1.len() as f64, self.b2.len() as f64);
            if self.b1.contains(&hash) {
                self.p = (self.p + (b2 / b1).max(1.0)).clamp(0.0, c as f64);
                self.b1.retain(|ghost| *ghost != hash);
                self.t2.push((slot, hash));
            } else if self.b2.contains(&hash) {
                self.p = (self.p - (b1 / b2).max(1.0)).clamp(0.0, c as f64);
                self.b2.retain(|ghost| *ghost != hash);
                self.t2.push((slot, hash));
            } else {
                self.t1.push((slot, hash));
            }
            self.trim(c);
        }

        fn hit(&mut self, slot: SlotId) {
            let mut entries = self.t1.iter().chain(&self.t2);
            let entry = *entries.find(|entry| entry.0 == slot).unwrap();
            self.t1.retain(|other| *other != entry);
            self.t2.retain(|other| *other != entry);
            self.t2.push(entry);
        }

        fn remove(&mut self, slot: SlotId, evicted: bool) {
            let c = self.t1.len() + self.t2.len();
            let gone = self.t1.iter().chain(&self.t2).find(|entry| entry.0 == slot).unwrap().1;
            if evicted {
                // Slots of the same key come and go here; its ghost is the newest one then.
                self.b1.retain(|ghost| *ghost != gone);
                self.b2.retain(|ghost| *ghost != gone);
            }
            for (list, ghosts) in [(&mut self.t1, &mut self.b1), (&mut self.t2, &mut self.b2)] {
                if let Some(at) = list.iter().position(|entry| entry.0 == slot) {
                    let (_, hash) = list.remove(at);
                    if evicted {
                        ghosts.push(hash);
                    }
                }
            }
            self.trim(c);
        }

        fn victim(&mut self) -> SlotId {
            let from_t1 = self.t1.len() as f64 > self.p && !self.t1.is_empty();
            if from_t1 || self.t2.is_empty() { self.t1[0].0 } else { self.t2[0].0 }
        }
    }

    #[test]
    fn victims_are_those_of_the_paper() {
        compare(&ArcConfig::default(), Model::default);
    }

    #[test]
    fn there_are_no_more_ghosts_than_entries() {
        let mut arc = ArcConfig::default().build(Capacity { entries: Some(8), weight: None });
        for round in 1..100 {
            churn(&mut arc, 8, round * 50);
            let ghosts = arc.ghosts.len_of(ONCE) + arc.ghosts.len_of(OFTEN);
            assert!(ghosts <= 8, "{ghosts} ghosts of 8 entries");
        }
    }
}
