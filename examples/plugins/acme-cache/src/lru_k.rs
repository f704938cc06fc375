//! `acme.lru-k`: evicts the entry whose K-th last use is longest ago.
//!
//! O'Neil, O'Neil and Weikum, "The LRU-K page replacement algorithm for database disk buffering"
//! (SIGMOD 1993). An entry with fewer than K uses counts as never used K times, so it goes before
//! any other: one pass over many keys, each read once, does not push out what is read again and
//! again. The paper's correlated reference period is left out, as the store already reports hits
//! in batches.
//!
//! Cost: a hit moves the entry in an ordered set, so `O(log n)` where the lists of `lru` need
//! `O(1)`.

use std::collections::{BTreeSet, HashMap, VecDeque};

use larder_core::policy::{Capacity, HitMode, Policy, SlotId, Slots};
use larder_core::{
    Descriptor, KeyPath, PolicyConfig, Problem, Problems, Share, descriptor, register,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// What an entry is taken to weigh when only the weight of a shard is limited.
const AVERAGE_WEIGHT: u64 = 1024;

/// Beyond this the order hardly changes any more, but every entry pays for its memory.
const MAX_K: u8 = 8;

/// Options of `acme.lru-k`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct LruKConfig {
    /// How many uses of an entry count, 1 to 8; with 1 it is `lru`. Default 2.
    #[schemars(extend("x-aliases" = ["depth", "history"]))]
    pub k: u8,
    /// For how many evicted entries their uses are remembered, as a share of the capacity, so
    /// that one that comes back soon is not taken for new. Default `100%`.
    #[schemars(extend("x-aliases" = ["ghosts", "retained"]))]
    pub remembered: Share,
}

impl Default for LruKConfig {
    fn default() -> Self {
        Self { k: 2, remembered: Share::new(1.0).expect("1 is a share") }
    }
}

impl PolicyConfig for LruKConfig {
    const KIND: &'static str = "acme.lru-k";
    const SUMMARY: &'static str = "evicts what was used for the k-th last time longest ago";
    type Policy = LruK;

    fn validate(&self, at: &KeyPath) -> Result<(), Problems> {
        if (1..=MAX_K).contains(&self.k) {
            return Ok(());
        }
        let message = format!("`{}` uses are not between 1 and {MAX_K}", self.k);
        Err(Problem::new(at.join("k"), message)
            .help("write `k = 2`, which the paper recommends")
            .into())
    }

    fn build(&self, capacity: Capacity) -> LruK {
        let mut policy = LruK {
            k: usize::from(self.k.max(1)),
            remembered: self.remembered,
            uses: 0,
            histories: HashMap::new(),
            order: BTreeSet::new(),
            ghosts: Ghosts::default(),
        };
        policy.resize(capacity);
        policy
    }
}

/// When an entry was used, oldest first, at most K times; in uses of the shard, not in seconds.
type History = VecDeque<u64>;

/// The K-th last use, or 0; the last use; the entry. The least goes first.
type Rank = (u64, u64, SlotId);

/// The policy of one shard.
#[derive(Debug)]
pub struct LruK {
    k: usize,
    remembered: Share,
    /// How many uses there were: the clock of the policy.
    uses: u64,
    histories: HashMap<SlotId, History>,
    order: BTreeSet<Rank>,
    ghosts: Ghosts,
}

impl LruK {
    fn rank(&self, slot: SlotId, history: &History) -> Rank {
        let is_full = history.len() == self.k;
        let kth = history.front().filter(|_| is_full);
        let last = history.back();
        (kth.copied().unwrap_or(0), last.copied().unwrap_or(0), slot)
    }

    /// Writes down a use and puts the entry where it now belongs.
    fn place(&mut self, slot: SlotId, mut history: History) {
        self.uses += 1;
        history.push_back(self.uses);
        if history.len() > self.k {
            history.pop_front();
        }
        self.order.insert(self.rank(slot, &history));
        self.histories.insert(slot, history);
    }

    fn take(&mut self, slot: SlotId) -> Option<History> {
        let history = self.histories.remove(&slot)?;
        self.order.remove(&self.rank(slot, &history));
        Some(history)
    }
}

impl Policy for LruK {
    fn hit_mode(&self) -> HitMode {
        HitMode::Record
    }

    fn on_insert(&mut self, slot: SlotId, slots: &mut dyn Slots) {
        let history = self.ghosts.take(slots.hash(slot)).unwrap_or_default();
        self.place(slot, history);
    }

    fn on_remove(&mut self, slot: SlotId, evicted: bool, slots: &mut dyn Slots) {
        // What the application deleted is not expected back, so only victims are remembered.
        if let Some(history) = self.take(slot).filter(|_| evicted) {
            self.ghosts.remember(slots.hash(slot), history);
        }
    }

    fn on_hits(&mut self, hits: &[SlotId], _: &mut dyn Slots) {
        for slot in hits {
            // The entry may have gone since it was hit.
            if let Some(history) = self.take(*slot) {
                self.place(*slot, history);
            }
        }
    }

    fn victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
        let mut slots_in_order = self.order.iter().map(|(_, _, slot)| *slot);
        slots_in_order.find(|slot| !slots.is_pinned(*slot))
    }

    fn resize(&mut self, capacity: Capacity) {
        let expected = capacity.expected_entries(AVERAGE_WEIGHT) as f64;
        self.ghosts.resize((expected * self.remembered.get()) as usize);
    }

    fn len(&self) -> usize {
        self.histories.len()
    }
}

/// The histories of entries that were evicted last, by the hash of their keys.
#[derive(Debug, Default)]
struct Ghosts {
    most: usize,
    histories: HashMap<u64, History>,
    /// In the order of eviction; may name some that came back since.
    order: VecDeque<u64>,
}

impl Ghosts {
    fn remember(&mut self, hash: u64, history: History) {
        self.histories.insert(hash, history);
        self.order.push_back(hash);
        self.forget();
    }

    fn take(&mut self, hash: u64) -> Option<History> {
        self.histories.remove(&hash)
    }

    fn resize(&mut self, most: usize) {
        self.most = most;
        self.forget();
    }

    fn forget(&mut self) {
        while self.order.len() > self.most {
            if let Some(hash) = self.order.pop_front() {
                self.histories.remove(&hash);
            }
        }
    }
}

/// The policy, for explicit registration.
pub const LRU_K: Descriptor = descriptor!(policy: LruKConfig);

register!(policy: LruKConfig);

#[cfg(test)]
mod tests;
