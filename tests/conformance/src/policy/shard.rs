//! [`Shard`], a policy at work as a store would have it, with everything checked that it does.

use std::cell::Cell;

use fastrand::Rng;
use larder_core::policy::{Capacity, HitMode, Policy, SlotId, Slots};
use larder_core::{Moment, PolicyFactory};

/// One entry, as far as a policy may ask for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resident {
    hash: u64,
    weight: u32,
    deadline: Option<Moment>,
    hits: u8,
    pub(super) is_pinned: bool,
}

/// What the policy asks of the store.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) residents: Vec<Option<Resident>>,
    free: Vec<u32>,
    random: Rng,
    /// How often the policy asked for anything: what its work is measured by.
    pub(super) asked: Cell<u64>,
}

impl Table {
    fn resident(&self, slot: SlotId) -> Resident {
        self.asked.set(self.asked.get() + 1);
        let found = self.residents.get(slot.index()).copied().flatten();
        // A slot of an old record may be empty; a store answers with what was there last.
        found.unwrap_or(Resident { hash: 0, weight: 1, deadline: None, hits: 0, is_pinned: false })
    }
}

impl Slots for Table {
    fn hits(&self, slot: SlotId) -> u8 {
        self.resident(slot).hits
    }

    fn set_hits(&mut self, slot: SlotId, hits: u8) {
        self.asked.set(self.asked.get() + 1);
        if let Some(Some(resident)) = self.residents.get_mut(slot.index()) {
            resident.hits = hits;
        }
    }

    fn hash(&self, slot: SlotId) -> u64 {
        self.resident(slot).hash
    }

    fn weight(&self, slot: SlotId) -> u32 {
        self.resident(slot).weight
    }

    fn deadline(&self, slot: SlotId) -> Option<Moment> {
        self.resident(slot).deadline
    }

    fn is_pinned(&self, slot: SlotId) -> bool {
        self.resident(slot).is_pinned
    }

    fn random(&mut self, bound: u32) -> u32 {
        self.asked.set(self.asked.get() + 1);
        assert_ne!(bound, 0, "a random number below 0");
        self.random.u32(..bound)
    }
}

/// A policy and the entries it decides about.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) policy: Box<dyn Policy>,
    pub(super) table: Table,
    capacity: usize,
    mode: HitMode,
    recorded: Vec<SlotId>,
    /// The hashes of all that was evicted, in order.
    pub(super) evicted: Vec<u64>,
}

impl Shard {
    pub(super) fn new(factory: &dyn PolicyFactory, capacity: usize, seed: u64) -> Self {
        let policy = factory.policy(Capacity { entries: Some(capacity as u64), weight: None });
        let mode = policy.hit_mode();
        let random = Rng::with_seed(seed);
        let free = (0..capacity as u32).rev().collect();
        let residents = vec![None; capacity];
        let table = Table { residents, free, random, asked: Cell::new(0) };
        Self { policy, table, capacity, mode, recorded: Vec::new(), evicted: Vec::new() }
    }

    pub(super) fn live(&self) -> Vec<SlotId> {
        let slots = self.table.residents.iter().enumerate();
        slots.filter(|(_, resident)| resident.is_some()).map(|(at, _)| slot(at)).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.capacity - self.table.free.len()
    }

    /// A slot of the entry of this hash, if it is there.
    fn find(&self, hash: u64) -> Option<SlotId> {
        let slots = self.table.residents.iter();
        let found =
            slots.enumerate().find(|(_, resident)| resident.is_some_and(|r| r.hash == hash));
        found.map(|(at, _)| slot(at))
    }

    /// A request for a key: a hit, or an insert that may have to evict.
    pub(super) fn request(&mut self, key: u64) {
        let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        match self.find(hash) {
            Some(slot) => self.hit(slot),
            None => self.insert(hash),
        }
    }

    /// A request that knows whether the key is there, for shards too large to search.
    pub(super) fn insert(&mut self, hash: u64) {
        self.deliver();
        if self.table.free.is_empty() {
            let Some(victim) = self.victim() else { return };
            if !self.policy.admit(hash, 1, victim, &mut self.table) {
                return;
            }
            self.remove(victim, true);
        }
        let index = self.table.free.pop().expect("there is room by now");
        let deadline = (!hash.is_multiple_of(7)).then(|| Moment::from_nanos(hash % 1000));
        let weight = 1 + (hash >> 40) as u32 % 9;
        let resident = Resident { hash, weight, deadline, hits: 0, is_pinned: false };
        self.table.residents[index as usize] = Some(resident);
        self.policy.on_insert(SlotId::new(index), &mut self.table);
    }

    pub(super) fn hit(&mut self, slot: SlotId) {
        let resident = self.table.residents[slot.index()].as_mut().expect("it was just found");
        match self.mode {
            HitMode::Bit => resident.hits = 1,
            HitMode::Counter { max } => resident.hits = resident.hits.saturating_add(1).min(max),
            HitMode::Record => self.recorded.push(slot),
            HitMode::Exclusive => self.policy.on_hits(&[slot], &mut self.table),
            _ => {}
        }
    }

    /// Hands over the hits that were written down.
    pub(super) fn deliver(&mut self) {
        let recorded = std::mem::take(&mut self.recorded);
        if !recorded.is_empty() {
            self.policy.on_hits(&recorded, &mut self.table);
        }
    }

    /// Hands over hits of any slots, as from an old record.
    pub(super) fn deliver_old(&mut self, slots: &[SlotId]) {
        if self.mode == HitMode::Record {
            self.policy.on_hits(slots, &mut self.table);
        }
    }

    /// The victim, which must be one that can go.
    pub(super) fn victim(&mut self) -> Option<SlotId> {
        let before = self.policy.len();
        let victim = self.policy.victim(&mut self.table);
        assert_eq!(self.policy.len(), before, "`victim` changed the books");
        if let Some(victim) = victim {
            let resident = self.table.residents.get(victim.index()).copied().flatten();
            let resident = resident.unwrap_or_else(|| panic!("{victim:?} is not in the shard"));
            assert!(!resident.is_pinned, "{victim:?} is pinned");
        }
        victim
    }

    pub(super) fn remove(&mut self, slot: SlotId, evicted: bool) {
        self.policy.on_remove(slot, evicted, &mut self.table);
        let gone = self.table.residents[slot.index()].take().expect("it was there");
        self.table.free.push(slot.get());
        if evicted {
            self.evicted.push(gone.hash);
        }
    }

    pub(super) fn pin(&mut self, slot: SlotId, is_pinned: bool) {
        let resident = self.table.residents[slot.index()].as_mut().expect("it is there");
        resident.is_pinned = is_pinned;
    }
}

fn slot(at: usize) -> SlotId {
    SlotId::new(u32::try_from(at).expect("shards of the cases are small"))
}
