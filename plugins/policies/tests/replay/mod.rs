//! Replays requests through a policy, as a store of one shard would that is asked for a key and
//! takes it in if it does not have it.

use larder_core::clock::Moment;
use larder_core::policy::{Capacity, HitMode, Policy, SlotId, Slots};

/// Asks the policies that decide by chance, so that each run is the same.
const SEED: u64 = 0x1a2d_e200;

struct Entry {
    key: u32,
    hits: u8,
}

struct Entries {
    entries: Vec<Entry>,
    random: fastrand::Rng,
}

impl Slots for Entries {
    fn hits(&self, slot: SlotId) -> u8 {
        self.entries[slot.index()].hits
    }

    fn set_hits(&mut self, slot: SlotId, hits: u8) {
        self.entries[slot.index()].hits = hits;
    }

    fn hash(&self, slot: SlotId) -> u64 {
        hash(self.entries[slot.index()].key)
    }

    fn weight(&self, _: SlotId) -> u32 {
        1
    }

    fn deadline(&self, _: SlotId) -> Option<Moment> {
        None
    }

    fn is_pinned(&self, _: SlotId) -> bool {
        false
    }

    fn random(&mut self, bound: u32) -> u32 {
        self.random.u32(..bound)
    }
}

/// Numbers that follow each other become hashes that do not.
const fn hash(key: u32) -> u64 {
    let mixed = (key as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^ mixed >> 32
}

/// The part of the requests that a cache of `capacity` entries under this policy can answer.
pub(crate) fn hit_ratio(
    make: &dyn Fn(Capacity) -> Box<dyn Policy>,
    capacity: usize,
    requests: &[u32],
) -> f64 {
    let mut policy = make(Capacity { entries: Some(capacity as u64), weight: None });
    let random = fastrand::Rng::with_seed(SEED);
    let mut entries = Entries { entries: Vec::new(), random };
    let keys = requests.iter().max().map_or(0, |key| *key as usize + 1);
    let mut places: Vec<Option<SlotId>> = vec![None; keys];
    let mut hits = 0_usize;
    for key in requests {
        if let Some(slot) = places[*key as usize] {
            hits += 1;
            hit(&mut *policy, slot, &mut entries);
            continue;
        }
        let slot = if entries.entries.len() < capacity {
            entries.entries.push(Entry { key: *key, hits: 0 });
            SlotId::new(u32::try_from(entries.entries.len() - 1).expect("it is small"))
        } else {
            let victim = policy.victim(&mut entries).expect("there are entries");
            if !policy.admit(hash(*key), 1, victim, &mut entries) {
                continue;
            }
            policy.on_remove(victim, true, &mut entries);
            places[entries.entries[victim.index()].key as usize] = None;
            entries.entries[victim.index()] = Entry { key: *key, hits: 0 };
            victim
        };
        policy.on_insert(slot, &mut entries);
        places[*key as usize] = Some(slot);
    }
    assert_eq!(policy.len(), entries.entries.len(), "the policy counts other entries");
    hits as f64 / requests.len() as f64
}

fn hit(policy: &mut dyn Policy, slot: SlotId, entries: &mut Entries) {
    let hits = entries.hits(slot);
    match policy.hit_mode() {
        HitMode::None => {}
        HitMode::Bit => entries.set_hits(slot, 1),
        HitMode::Counter { max } => entries.set_hits(slot, hits.saturating_add(1).min(max)),
        _ => policy.on_hits(&[slot], entries),
    }
}
