//! Runs a policy as a store would, and next to a simple model of it.

use fastrand::Rng;
use larder_core::PolicyConfig;
use larder_core::clock::Moment;
use larder_core::policy::{Capacity, HitMode, Policy, SlotId, Slots};

/// The deadline that the simulation gives to the entry of a hash: some never expire.
pub(crate) fn deadline_of_hash(hash: u64) -> Option<Moment> {
    (!hash.is_multiple_of(7)).then(|| Moment::from_nanos(hash % 1000))
}

/// The weight that the simulation gives to the entry of a hash.
pub(crate) const fn weight_of_hash(hash: u64) -> u32 {
    1 + (hash >> 40) as u32 % 9
}

/// A policy in its simplest form.
pub(crate) trait Reference {
    fn insert(&mut self, slot: SlotId, hash: u64);
    fn hit(&mut self, slot: SlotId);
    fn remove(&mut self, slot: SlotId, evicted: bool);
    fn victim(&mut self) -> SlotId;
}

#[derive(Clone, Default)]
struct FakeSlot {
    live: bool,
    hits: u8,
    hash: u64,
    deadline: Option<Moment>,
}

struct FakeSlots {
    slots: Vec<FakeSlot>,
    pinned: Option<SlotId>,
    random: Rng,
}

impl Slots for FakeSlots {
    fn hits(&self, slot: SlotId) -> u8 {
        self.slots[slot.index()].hits
    }

    fn set_hits(&mut self, slot: SlotId, hits: u8) {
        self.slots[slot.index()].hits = hits;
    }

    fn hash(&self, slot: SlotId) -> u64 {
        self.slots[slot.index()].hash
    }

    fn weight(&self, slot: SlotId) -> u32 {
        weight_of_hash(self.hash(slot))
    }

    fn deadline(&self, slot: SlotId) -> Option<Moment> {
        self.slots[slot.index()].deadline
    }

    fn is_pinned(&self, slot: SlotId) -> bool {
        self.pinned == Some(slot)
    }

    fn random(&mut self, bound: u32) -> u32 {
        self.random.u32(..bound)
    }
}

/// A policy and the slots it decides about.
pub(crate) struct Simulation {
    policy: Box<dyn Policy>,
    slots: FakeSlots,
}

impl Simulation {
    pub(crate) fn new<C: PolicyConfig>(config: &C, seed: u64) -> Self {
        let capacity = Capacity { entries: Some(20), weight: None };
        Self {
            policy: Box::new(config.build(capacity)),
            slots: FakeSlots { slots: Vec::new(), pinned: None, random: Rng::with_seed(seed) },
        }
    }

    pub(crate) fn insert(&mut self, hash: u64) -> SlotId {
        let free = self.slots.slots.iter().position(|slot| !slot.live);
        let at = free.unwrap_or(self.slots.slots.len());
        if free.is_none() {
            self.slots.slots.push(FakeSlot::default());
        }
        self.slots.slots[at] =
            FakeSlot { live: true, hits: 0, hash, deadline: deadline_of_hash(hash) };
        let slot = SlotId::new(u32::try_from(at).unwrap());
        self.policy.on_insert(slot, &mut self.slots);
        slot
    }

    pub(crate) fn hit(&mut self, slot: SlotId) {
        let hits = self.slots.hits(slot);
        match self.policy.hit_mode() {
            HitMode::None => {}
            HitMode::Bit => self.slots.set_hits(slot, 1),
            HitMode::Counter { max } => self.slots.set_hits(slot, hits.saturating_add(1).min(max)),
            _ => self.policy.on_hits(&[slot], &mut self.slots),
        }
    }

    pub(crate) fn update_deadline(&mut self, slot: SlotId, deadline: Option<Moment>) {
        self.slots.slots[slot.index()].deadline = deadline;
        self.policy.on_hits(&[slot], &mut self.slots);
    }

    pub(crate) fn remove(&mut self, slot: SlotId, evicted: bool) {
        self.policy.on_remove(slot, evicted, &mut self.slots);
        self.slots.slots[slot.index()].live = false;
    }

    pub(crate) fn victim(&mut self) -> Option<SlotId> {
        self.policy.victim(&mut self.slots)
    }

    /// Whether a key of this hash may take the place of the next victim.
    pub(crate) fn admit(&mut self, hash: u64) -> bool {
        let victim = self.victim().expect("there are entries");
        self.policy.admit(hash, weight_of_hash(hash), victim, &mut self.slots)
    }

    pub(crate) fn len(&self) -> usize {
        self.policy.len()
    }

    pub(crate) fn hashes(&self) -> Vec<u64> {
        self.live().into_iter().map(|slot| self.slots.hash(slot)).collect()
    }

    fn live(&self) -> Vec<SlotId> {
        let slots = (0_u32..).zip(&self.slots.slots);
        let live = slots.filter(|(_, slot)| slot.live);
        live.map(|(number, _)| SlotId::new(number)).collect()
    }
}

/// Runs a policy next to its model; both must name the same victims.
pub(crate) fn compare<C: PolicyConfig, R: Reference>(config: &C, model: impl Fn() -> R) {
    compare_by(config, model, |_, named, expected| named == expected);
}

/// Like [`compare`], for policies that have a choice.
pub(crate) fn compare_by<C: PolicyConfig, R: Reference>(
    config: &C,
    model: impl Fn() -> R,
    agree: impl Fn(&R, SlotId, SlotId) -> bool,
) {
    let first = fastrand::u64(..);
    for seed in (0..20).map(|run| first.wrapping_add(run)) {
        println!("seed {seed} of {}", C::KIND);
        run(seed, Simulation::new(config, seed), model(), &agree);
        pinned_entries_stay(Simulation::new(config, seed));
    }
}

fn run<R: Reference>(
    seed: u64,
    mut simulation: Simulation,
    mut model: R,
    agree: &impl Fn(&R, SlotId, SlotId) -> bool,
) {
    let mut random = Rng::with_seed(seed);
    let capacity = random.usize(1..60);
    for step in 0..2000 {
        let live = simulation.live();
        assert_eq!(simulation.len(), live.len(), "at step {step}");
        match random.u32(..10) {
            0..=4 => {
                if live.len() == capacity {
                    let expected = model.victim();
                    let named = simulation.victim().expect("there are entries");
                    assert!(
                        agree(&model, named, expected),
                        "{named:?} instead of {expected:?} at step {step}"
                    );
                    simulation.remove(named, true);
                    model.remove(named, true);
                }
                // Few hashes, so that evicted ones come back.
                let hash = random.u64(..200).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let slot = simulation.insert(hash);
                model.insert(slot, hash);
            }
            5..=8 if !live.is_empty() => {
                let slot = live[random.usize(..live.len())];
                simulation.hit(slot);
                model.hit(slot);
            }
            _ if !live.is_empty() => {
                let slot = live[random.usize(..live.len())];
                simulation.remove(slot, false);
                model.remove(slot, false);
            }
            _ => {}
        }
    }
}

/// Takes entries of new keys in and evicts as many, down to none. Some are hit, and some keys come
/// back. What the policy holds afterwards is what it remembers.
pub(crate) fn churn<P: Policy>(policy: &mut P, capacity: usize, first_key: u64) {
    let random = Rng::with_seed(first_key);
    let mut slots = FakeSlots { slots: vec![FakeSlot::default(); capacity], pinned: None, random };
    let evict = |policy: &mut P, slots: &mut FakeSlots| {
        let victim = policy.victim(slots).expect("there are entries");
        policy.on_remove(victim, true, slots);
        victim
    };
    for step in 0..10 * capacity as u64 {
        let key = first_key + if step % 4 == 3 { step / 2 } else { step };
        let slot = if policy.len() < capacity {
            SlotId::new(u32::try_from(policy.len()).expect("it is small"))
        } else {
            evict(policy, &mut slots)
        };
        let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        slots.slots[slot.index()] = FakeSlot { live: true, hits: 0, hash, deadline: None };
        policy.on_insert(slot, &mut slots);
        if step % 3 == 0 {
            policy.on_hits(&[slot], &mut slots);
        }
    }
    while !policy.is_empty() {
        evict(policy, &mut slots);
    }
}

fn pinned_entries_stay(mut simulation: Simulation) {
    assert_eq!(simulation.victim(), None);
    for hash in 0..10 {
        let slot = simulation.insert(hash);
        simulation.hit(slot);
    }
    for slot in simulation.live() {
        simulation.slots.pinned = Some(slot);
        let victim = simulation.victim();
        assert!(victim.is_some_and(|victim| victim != slot), "{victim:?}");
    }
    for slot in simulation.live().split_off(1) {
        simulation.remove(slot, false);
    }
    simulation.slots.pinned = Some(simulation.live()[0]);
    assert_eq!(simulation.victim(), None);
}
