//! The cases.

use larder_core::PolicyFactory;
use larder_core::policy::{Capacity, SlotId};

use super::entries;
use super::shard::Shard;
use crate::seed;

const CAPACITY: usize = 50;
const STEPS: usize = 10_000;

/// The policy counts what is in the shard, after every step of a long random run with hits,
/// evictions, removals and pins.
pub fn the_books_agree_with_the_shard(factory: &dyn PolicyFactory) {
    let mut random = seed::random();
    let mut shard = Shard::new(factory, CAPACITY, random.u64(..));
    for step in 0..STEPS {
        match random.u8(..20) {
            0..=16 => shard.request(random.u64(..150)),
            17 if shard.len() > 0 => {
                let live = shard.live();
                shard.remove(live[random.usize(..live.len())], false);
            }
            18 if shard.len() > 0 => {
                let live = shard.live();
                shard.pin(live[random.usize(..live.len())], random.u8(..3) == 0);
            }
            _ => shard.deliver(),
        }
        assert_eq!(shard.policy.len(), shard.len(), "after step {step}");
        assert_eq!(shard.policy.is_empty(), shard.len() == 0, "after step {step}");
    }
}

/// The store may decide otherwise after it asked.
pub fn naming_a_victim_removes_nothing(factory: &dyn PolicyFactory) {
    let mut random = seed::random();
    let mut shard = Shard::new(factory, CAPACITY, random.u64(..));
    for _ in 0..STEPS / 10 {
        shard.request(random.u64(..150));
        for _ in 0..3 {
            assert!(shard.victim().is_some(), "there are entries");
        }
        assert_eq!(shard.policy.len(), shard.len());
    }
    let mut left = shard.len();
    while let Some(victim) = shard.victim() {
        shard.remove(victim, true);
        left -= 1;
    }
    assert_eq!(left, 0, "entries that no victim ever was");
}

/// `None` only when there is nothing that can go.
pub fn it_finds_a_victim_unless_all_are_pinned(factory: &dyn PolicyFactory) {
    let mut random = seed::random();
    let mut shard = Shard::new(factory, CAPACITY, random.u64(..));
    assert_eq!(shard.victim(), None, "there is nothing yet");
    for _ in 0..STEPS / 10 {
        shard.request(random.u64(..150));
    }
    let live = shard.live();
    for &slot in &live {
        shard.pin(slot, true);
    }
    assert_eq!(shard.victim(), None, "all are pinned");
    for &slot in &live {
        shard.pin(slot, false);
        assert_eq!(shard.victim(), Some(slot), "all others are pinned");
        shard.pin(slot, true);
    }
    for &slot in &live {
        shard.pin(slot, false);
    }
    assert!(shard.victim().is_some());
}

/// What is gone is out of the books, and the shard can be filled again.
pub fn a_policy_that_was_emptied_starts_again(factory: &dyn PolicyFactory) {
    let mut random = seed::random();
    let mut shard = Shard::new(factory, CAPACITY, random.u64(..));
    for round in 0..10 {
        for _ in 0..STEPS / 10 {
            shard.request(random.u64(..150));
        }
        for slot in shard.live() {
            shard.remove(slot, random.bool());
        }
        assert_eq!(shard.policy.len(), 0, "after round {round}");
        assert_eq!(shard.victim(), None, "after round {round}");
    }
}

/// A record is handed over later, when its slots may be empty or others'.
pub fn old_hits_do_no_harm(factory: &dyn PolicyFactory) {
    let mut random = seed::random();
    let mut shard = Shard::new(factory, CAPACITY, random.u64(..));
    for _ in 0..STEPS / 2 {
        shard.request(random.u64(..150));
        if random.u8(..4) == 0 && shard.len() > 0 {
            let live = shard.live();
            shard.remove(live[random.usize(..live.len())], false);
        }
        let old: Vec<SlotId> = (0..8).map(|_| SlotId::new(random.u32(..CAPACITY as u32))).collect();
        shard.deliver_old(&old);
        assert_eq!(shard.policy.len(), shard.len());
    }
}

/// Nothing, one, more than there is memory for, no limit; and changes between them.
pub fn a_policy_takes_any_capacity(factory: &dyn PolicyFactory) {
    let limits = [Some(0), Some(1), Some(2), Some(1000), None];
    for entries in limits {
        for weight in limits {
            let mut policy = factory.policy(Capacity { entries, weight });
            assert_eq!(policy.len(), 0);
            for (entries, weight) in limits.into_iter().zip(limits.into_iter().rev()) {
                policy.resize(Capacity { entries, weight });
            }
        }
    }
    let mut random = seed::random();
    let mut shard = Shard::new(factory, CAPACITY, random.u64(..));
    for _ in 0..STEPS / 4 {
        shard.request(random.u64(..150));
        if random.u8(..10) == 0 {
            shard.policy.resize(entries(random.u64(..2 * CAPACITY as u64)));
        }
        assert_eq!(shard.policy.len(), shard.len());
    }
}

/// All chance comes from the store, so that a run can be repeated.
pub fn the_same_seed_names_the_same_victims(factory: &dyn PolicyFactory) {
    let seed = seed::random().u64(..);
    let run = || {
        let mut keys = fastrand::Rng::with_seed(seed);
        let mut shard = Shard::new(factory, CAPACITY, seed);
        for _ in 0..STEPS {
            shard.request(keys.u64(..150));
        }
        shard.evicted
    };
    assert_eq!(run(), run());
}

/// The store reads it once.
pub fn the_hit_mode_stays(factory: &dyn PolicyFactory) {
    let mut random = seed::random();
    let mut shard = Shard::new(factory, CAPACITY, random.u64(..));
    let mode = shard.policy.hit_mode();
    for _ in 0..STEPS / 4 {
        shard.request(random.u64(..150));
        assert_eq!(shard.policy.hit_mode(), mode);
    }
    assert_eq!(factory.policy(entries(1)).hit_mode(), mode, "of another capacity");
}

/// Constant time a call, amortised: a shard fifty times as large asks the store at most
/// three times as often.
pub fn the_work_does_not_grow_with_the_shard(factory: &dyn PolicyFactory) {
    let work = |capacity: usize| {
        let mut shard = Shard::new(factory, capacity, 1);
        let mut keys = fastrand::Rng::with_seed(1);
        for number in 0..3 * capacity as u64 {
            shard.insert(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            shard.hit(SlotId::new(keys.u32(..u32::try_from(shard.len()).expect("it is small"))));
        }
        shard.table.asked.get() as f64 / (3 * capacity) as f64
    };
    let (small, large) = (work(100), work(5_000));
    assert!(large <= 3.0 * small + 8.0, "{small:.1} questions a request, then {large:.1}");
}

/// At most eight are looked at, each by a kind of its own.
pub fn there_are_few_candidates(factory: &dyn PolicyFactory) {
    let candidates = factory.candidates();
    assert!(candidates.len() <= 8, "{} candidates", candidates.len());
    let mut kinds: Vec<&str> = candidates.iter().map(|candidate| candidate.kind()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), candidates.len(), "two candidates of one kind");
    assert!(!factory.kind().is_empty());
}
