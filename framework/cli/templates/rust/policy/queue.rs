//! `acme.queue`: the oldest entry goes, unless it was hit. Put what you came for in its place.

use std::collections::{BTreeMap, HashMap};

use larder_core::policy::{Capacity, HitMode, Policy, SlotId, Slots};
use larder_core::{KeyPath, PolicyConfig, Problem, Problems, Result};
use schemars::JsonSchema;
use serde::Deserialize;

/// How many hits of an entry are counted.
const MOST_HITS: u8 = 7;

/// Options of `acme.queue`. These comments are what an editor shows.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct QueueConfig {
    /// How often an entry that was hit is passed over before it goes, 0 to 7. Default 1.
    pub chances: u8,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self { chances: 1 }
    }
}

impl PolicyConfig for QueueConfig {
    const KIND: &'static str = "acme.queue";
    const SUMMARY: &'static str = "evicts the oldest entry that was not hit";
    type Policy = Queue;

    /// What the schema cannot say.
    fn validate(&self, at: &KeyPath) -> Result<(), Problems> {
        if self.chances <= MOST_HITS {
            return Ok(());
        }
        let message = format!("`{}` chances are more than {MOST_HITS}", self.chances);
        Err(Problem::new(at.join("chances"), message).help("write `chances = 1`").into())
    }

    fn build(&self, _: Capacity) -> Queue {
        Queue { chances: self.chances, next: 0, order: BTreeMap::new(), turns: HashMap::new() }
    }
}

/// The policy of one shard. The store calls it under the lock of the shard.
#[derive(Debug)]
pub struct Queue {
    chances: u8,
    next: u64,
    /// The entries, oldest first.
    order: BTreeMap<u64, SlotId>,
    turns: HashMap<SlotId, u64>,
}

impl Queue {
    /// Puts an entry at the young end.
    fn push(&mut self, slot: SlotId) {
        self.remove(slot);
        self.order.insert(self.next, slot);
        self.turns.insert(slot, self.next);
        self.next += 1;
    }

    fn remove(&mut self, slot: SlotId) {
        if let Some(turn) = self.turns.remove(&slot) {
            self.order.remove(&turn);
        }
    }
}

impl Policy for Queue {
    /// The store counts hits by itself, so that none of this code runs on a hit.
    fn hit_mode(&self) -> HitMode {
        HitMode::Counter { max: MOST_HITS }
    }

    fn on_insert(&mut self, slot: SlotId, _: &mut dyn Slots) {
        self.push(slot);
    }

    fn on_remove(&mut self, slot: SlotId, _: bool, _: &mut dyn Slots) {
        self.remove(slot);
    }

    fn victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
        // Every round takes a chance from each entry, so the search ends.
        for _ in 0..(usize::from(self.chances) + 1) * self.order.len() {
            let (_, slot) = self.order.first_key_value()?;
            let slot = *slot;
            let hits = slots.hits(slot).min(self.chances);
            if hits == 0 && !slots.is_pinned(slot) {
                return Some(slot);
            }
            slots.set_hits(slot, hits.saturating_sub(1));
            self.push(slot);
        }
        self.order.values().copied().find(|slot| !slots.is_pinned(*slot))
    }

    fn resize(&mut self, _: Capacity) {}

    fn len(&self) -> usize {
        self.order.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_chances_than_are_counted_are_refused() {
        let problems = QueueConfig { chances: 8 }.validate(&KeyPath::root());
        let problems = problems.expect_err("only 7 hits are counted");
        assert_eq!(problems.iter().map(|one| one.path.to_string()).collect::<String>(), "chances");
    }
}
