//! [`Miniature`], a small cache without values that a policy is tried in.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use fastrand::Rng;
use larder_core::clock::Moment;
use larder_core::policy::{Capacity, HitMode, Policy, SlotId, Slots};

use crate::handover::hand_over;

/// A cache of hashes. Every key that it does not have comes in.
#[derive(Debug)]
pub(crate) struct Miniature {
    policy: Box<dyn Policy>,
    mode: HitMode,
    capacity: Capacity,
    places: HashMap<u64, SlotId, BuildHasherDefault<AlreadyHashed>>,
    entries: Entries,
}

#[derive(Debug)]
struct Entries {
    slots: Vec<Entry>,
    free: Vec<SlotId>,
    weight: u64,
    random: Rng,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    weight: u32,
    hits: u8,
}

impl Miniature {
    pub(crate) fn new(policy: Box<dyn Policy>, capacity: Capacity, seed: u64) -> Self {
        let random = Rng::with_seed(seed);
        Self {
            mode: policy.hit_mode(),
            policy,
            capacity,
            places: HashMap::default(),
            entries: Entries { slots: Vec::new(), free: Vec::new(), weight: 0, random },
        }
    }

    /// How much it may hold.
    pub(crate) const fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// Whether its policy makes hits dearer than those of others.
    pub(crate) const fn is_dear(&self) -> bool {
        !matches!(self.mode, HitMode::None | HitMode::Bit | HitMode::Counter { .. })
    }

    /// Asks for a key, which comes in if it is not there; whether it was.
    pub(crate) fn access(&mut self, hash: u64, weight: u32) -> bool {
        if let Some(slot) = self.places.get(&hash).copied() {
            self.hit(slot);
            return true;
        }
        if self.capacity.weight.is_some_and(|most| u64::from(weight) > most) {
            return false;
        }
        let mut asked = false;
        while self.is_over(weight)
            && let Some(victim) = self.victim()
        {
            if !asked && !self.policy.admit(hash, weight, victim, &mut self.entries) {
                return false;
            }
            asked = true;
            self.evict(victim);
        }
        let slot = self.entries.add(Entry { hash, weight, hits: 0 });
        self.places.insert(hash, slot);
        self.policy.on_insert(slot, &mut self.entries);
        false
    }

    fn hit(&mut self, slot: SlotId) {
        let Some(entry) = self.entries.slots.get_mut(slot.index()) else {
            return;
        };
        match self.mode {
            HitMode::None => {}
            HitMode::Bit => entry.hits = 1,
            HitMode::Counter { max } => entry.hits = entry.hits.saturating_add(1).min(max),
            _ => self.policy.on_hits(&[slot], &mut self.entries),
        }
    }

    /// Whether another entry of this weight is too much.
    fn is_over(&self, weight: u32) -> bool {
        let entries = self.places.len() as u64 + 1;
        let weight = self.entries.weight + u64::from(weight);
        self.capacity.entries.is_some_and(|most| entries > most)
            || self.capacity.weight.is_some_and(|most| weight > most)
    }

    /// The entry that the policy names, if it is there.
    fn victim(&mut self) -> Option<SlotId> {
        let victim = self.policy.victim(&mut self.entries)?;
        let entry = self.entries.slots.get(victim.index())?;
        (self.places.get(&entry.hash) == Some(&victim)).then_some(victim)
    }

    fn evict(&mut self, victim: SlotId) {
        self.policy.on_remove(victim, true, &mut self.entries);
        let entry = self.entries.slots[victim.index()];
        self.places.remove(&entry.hash);
        self.entries.weight -= u64::from(entry.weight);
        self.entries.free.push(victim);
    }

    /// Goes on with another policy and the same entries.
    pub(crate) fn change(&mut self, mut policy: Box<dyn Policy>) {
        let all: Vec<SlotId> = self.places.values().copied().collect();
        hand_over(&mut *self.policy, &mut *policy, &all, &mut self.entries);
        self.mode = policy.hit_mode();
        self.policy = policy;
    }
}

impl Entries {
    fn add(&mut self, entry: Entry) -> SlotId {
        self.weight += u64::from(entry.weight);
        if let Some(slot) = self.free.pop() {
            self.slots[slot.index()] = entry;
            return slot;
        }
        self.slots.push(entry);
        let number = u32::try_from(self.slots.len() - 1);
        SlotId::new(number.expect("a miniature has some thousand entries"))
    }
}

impl Slots for Entries {
    fn hits(&self, slot: SlotId) -> u8 {
        self.slots.get(slot.index()).map_or(0, |entry| entry.hits)
    }

    fn set_hits(&mut self, slot: SlotId, hits: u8) {
        if let Some(entry) = self.slots.get_mut(slot.index()) {
            entry.hits = hits;
        }
    }

    fn hash(&self, slot: SlotId) -> u64 {
        self.slots.get(slot.index()).map_or(0, |entry| entry.hash)
    }

    fn weight(&self, slot: SlotId) -> u32 {
        self.slots.get(slot.index()).map_or(0, |entry| entry.weight)
    }

    fn deadline(&self, _: SlotId) -> Option<Moment> {
        None
    }

    fn is_pinned(&self, _: SlotId) -> bool {
        false
    }

    fn random(&mut self, bound: u32) -> u32 {
        self.random.u32(..bound.max(1))
    }
}

/// Lets a hash be its own hash.
#[derive(Debug, Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 << 8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
