//! What `acme.lru-k` evicts.

use larder_core::Moment;

use super::*;

/// A shard of which only the hashes matter: an entry's hash is its slot plus `offset`.
#[derive(Default)]
struct Shard {
    offset: u64,
    pinned: Option<SlotId>,
}

impl Slots for Shard {
    fn hits(&self, _: SlotId) -> u8 {
        0
    }

    fn set_hits(&mut self, _: SlotId, _: u8) {}

    fn hash(&self, slot: SlotId) -> u64 {
        u64::from(slot.get()) + self.offset
    }

    fn weight(&self, _: SlotId) -> u32 {
        1
    }

    fn deadline(&self, _: SlotId) -> Option<Moment> {
        None
    }

    fn is_pinned(&self, slot: SlotId) -> bool {
        self.pinned == Some(slot)
    }

    fn random(&mut self, _: u32) -> u32 {
        0
    }
}

const A: SlotId = SlotId::new(0);
const B: SlotId = SlotId::new(1);
const C: SlotId = SlotId::new(2);

fn policy(k: u8, entries: u64) -> LruK {
    let config = LruKConfig { k, ..LruKConfig::default() };
    config.build(Capacity { entries: Some(entries), weight: None })
}

fn filled(k: u8, shard: &mut Shard) -> LruK {
    let mut policy = policy(k, 3);
    for slot in [A, B, C] {
        policy.on_insert(slot, shard);
    }
    policy
}

/// All entries in the order in which they would be evicted.
fn evict_all(mut policy: LruK, shard: &mut Shard) -> Vec<SlotId> {
    let next = || {
        let victim = policy.victim(shard)?;
        policy.on_remove(victim, true, shard);
        Some(victim)
    };
    std::iter::from_fn(next).collect()
}

#[test]
fn an_entry_that_was_used_once_goes_before_one_that_was_used_twice() {
    let mut shard = Shard::default();
    let mut policy = filled(2, &mut shard);
    policy.on_hits(&[A, B], &mut shard);
    assert_eq!(evict_all(policy, &mut shard), [C, A, B]);
}

#[test]
fn the_second_last_use_decides_and_not_the_last() {
    let mut shard = Shard::default();
    let mut policy = filled(2, &mut shard);
    // Second last uses afterwards: A at 1, B at 5, C at 4.
    policy.on_hits(&[C, B, B, C, A], &mut shard);
    assert_eq!(evict_all(policy, &mut shard), [A, C, B]);
}

#[test]
fn with_k_of_one_the_last_use_decides() {
    let mut shard = Shard::default();
    let mut policy = filled(1, &mut shard);
    policy.on_hits(&[A, C, B], &mut shard);
    assert_eq!(evict_all(policy, &mut shard), [A, C, B]);
}

#[test]
fn an_entry_that_comes_back_has_its_old_uses() {
    let mut shard = Shard::default();
    let mut policy = filled(2, &mut shard);
    policy.on_hits(&[B, C], &mut shard);
    policy.on_remove(A, true, &mut shard);
    policy.on_insert(A, &mut shard);
    assert_eq!(policy.victim(&mut shard), Some(A), "its second last use is the oldest");
    policy.on_hits(&[A], &mut shard);
    assert_eq!(policy.victim(&mut shard), Some(B), "an entry that was new would have one use");
}

#[test]
fn a_deleted_entry_is_not_remembered() {
    let mut shard = Shard::default();
    let mut policy = filled(2, &mut shard);
    policy.on_remove(A, false, &mut shard);
    assert!(policy.ghosts.histories.is_empty());
}

#[test]
fn a_pinned_entry_is_no_victim() {
    let mut shard = Shard { pinned: Some(A), ..Shard::default() };
    let mut policy = filled(2, &mut shard);
    assert_eq!(policy.victim(&mut shard), Some(B));
}

#[test]
fn memory_is_bounded_by_the_entries_and_the_ghosts() {
    let mut shard = Shard::default();
    let mut policy = policy(2, 3);
    for round in 0..100 {
        shard.offset = round;
        policy.on_insert(A, &mut shard);
        policy.on_hits(&[A, B], &mut shard);
        policy.on_remove(A, true, &mut shard);
    }
    assert!(policy.is_empty());
    assert!(policy.order.is_empty());
    assert_eq!((policy.ghosts.histories.len(), policy.ghosts.order.len()), (3, 3));
    policy.resize(Capacity { entries: Some(1), weight: None });
    assert_eq!(policy.ghosts.histories.len(), 1);
}

#[test]
fn a_k_of_none_and_of_many_is_refused() {
    for k in [0, MAX_K + 1] {
        let config = LruKConfig { k, ..LruKConfig::default() };
        let problems = config.validate(&KeyPath::root().join("policy")).unwrap_err();
        assert!(problems.to_string().starts_with("`policy.k`: "), "{problems}");
    }
    assert!(LruKConfig::default().validate(&KeyPath::root()).is_ok());
}
