//! Stores that choose their policy themselves.

use std::sync::Arc;

use larder_core::backend::InProcess;
use larder_core::serde_json::json;

use super::{Fixture, entries, fixture, policy, weight};
use crate::options::Insert;
use crate::outcome::Lookup;

fn auto(candidates: &[&str], capacity: u64, shards: usize) -> Fixture<u64, Arc<u64>> {
    let policy = policy(&larder_policies::AUTO, json!({ "candidates": candidates }));
    fixture(InProcess::new(entries(capacity), policy).shards(Some(shards)))
}

/// Asks for a key and lets it come in if it is not there; whether it was.
fn ask(store: &Fixture<u64, Arc<u64>>, key: u64) -> bool {
    match store.get(&key) {
        Lookup::Hit(value) => {
            assert_eq!(*value, key);
            true
        }
        Lookup::Miss(_) => {
            store.insert(key, Arc::new(key), Insert::default()).unwrap();
            false
        }
    }
}

fn chosen(store: &Fixture<u64, Arc<u64>>) -> String {
    store.estimates().expect("it has been full").policy
}

#[test]
fn a_store_that_was_never_full_learns_nothing() {
    let store = auto(&["lru", "lirs"], 1000, 1);
    for key in (0..1000).cycle().take(10_000) {
        ask(&store, key);
    }
    assert_eq!(store.estimates(), None);
    ask(&store, 1000);
    ask(&store, 1001);
    assert!(store.estimates().is_some());
}

#[test]
fn a_policy_without_candidates_learns_nothing() {
    let store = super::lru::<u64, ()>(entries(10));
    for key in 0..100 {
        store.insert(key, (), Insert::default()).unwrap();
    }
    assert_eq!(store.estimates(), None);
}

#[test]
fn a_loop_that_does_not_fit_makes_the_store_leave_lru() {
    for shards in [1, 4] {
        let store = auto(&["lru", "lirs"], 1000, shards);
        let hits = (0..1100).cycle().take(80_000).filter(|key| ask(&store, *key)).count();
        assert_eq!(chosen(&store), "lirs");
        assert!(hits > 55_000, "{hits} hits with {shards} shards");
        store.check();
    }
}

#[test]
fn a_store_that_is_only_written_to_keeps_the_policy_that_keeps_most() {
    let store = auto(&["lirs", "lru"], 500, 1);
    for key in (0..600).cycle().take(60_000) {
        store.insert(key, Arc::new(key), Insert::default()).unwrap();
        assert_eq!(store.estimates().map_or("lirs".into(), |estimates| estimates.policy), "lirs");
    }
    let estimates = store.estimates().expect("it has been full");
    let [lirs, lru] = &estimates.policies[..] else { panic!("there are two") };
    assert!(lirs.hit_ratio > 0.7 && lru.hit_ratio < 0.1, "{estimates:?}");
}

#[test]
fn auto_answers_about_as_much_as_the_best_of_its_candidates() {
    let mut random = fastrand::Rng::with_seed(7);
    // Popular keys are small numbers, as the product of chances is mostly small.
    let mut popular = || (random.f64() * random.f64() * random.f64() * 20_000.0) as u64;
    let popular: Vec<u64> = (0..60_000).map(|_| popular()).collect();
    let scans = popular.chunks(500).zip(1..);
    let scans = scans
        .flat_map(|(keys, scan)| keys.iter().copied().chain(scan * 100_000..scan * 100_000 + 500));
    let recent = (400..15_400_u64).flat_map(|key| [key, key - 5, key - 30, key - 50]);
    let looping = (0..550_u64).cycle().take(60_000);
    let works = [popular.clone(), scans.collect(), recent.collect(), looping.collect()];
    for (number, work) in works.iter().enumerate() {
        let hits = |candidates: &[&str]| {
            let store = auto(candidates, 500, 1);
            work.iter().filter(|key| ask(&store, **key)).count() as f64 / work.len() as f64
        };
        let names = ["lirs", "clock-pro", "w-tinylfu", "lru"];
        let best = names.map(|name| hits(&[name])).into_iter().fold(0.0, f64::max);
        let auto = hits(&names);
        assert!(auto > best - 0.02, "{auto:.3} instead of {best:.3} in work {number}");
    }
}

#[test]
fn a_change_of_the_policy_keeps_all_entries() {
    let names = ["lru", "clock-pro", "s3-fifo", "fifo", "w-tinylfu", "lirs", "arc", "2q"];
    for first in names {
        let store = auto(&[first, "lirs"], 500, 1);
        for key in 0..500 {
            ask(&store, key);
        }
        let before = store.stats();
        // The entry that makes the store full, and the next insert, which changes the policy.
        ask(&store, 500);
        let keys = store.keys();
        ask(&store, 501);
        store.check();
        let gone = keys.iter().filter(|key| !store.contains(*key)).count();
        assert_eq!(gone, 1, "only the victim of the insert went, with {first}");
        assert_eq!(store.stats().evictions - before.evictions, 2);
        assert_eq!(store.len(), 500);
    }
}

#[test]
fn the_choice_outlasts_a_clear_and_a_change_of_the_capacity() {
    let store = auto(&["lru", "lirs"], 500, 2);
    for key in (0..550).cycle().take(40_000) {
        ask(&store, key);
    }
    assert_eq!(chosen(&store), "lirs");
    store.clear();
    store.check();
    for key in (0..550).cycle().take(5_500) {
        ask(&store, key);
    }
    assert_eq!(chosen(&store), "lirs");
    store.resize(entries(300));
    assert_eq!(store.estimates(), None, "what was learnt holds for another capacity");
    store.check();
    let hits = (0..330).cycle().take(33_000).filter(|key| ask(&store, *key)).count();
    assert_eq!(chosen(&store), "lirs");
    assert!(hits > 22_000, "{hits} hits");
}

#[test]
fn weights_limit_miniatures_too() {
    let policy = policy(&larder_policies::AUTO, json!({ "candidates": ["lru", "lirs"] }));
    let store = fixture::<u64, ()>(InProcess::new(weight(1000), policy).shards(Some(1)));
    let mut hits = 0;
    for key in (0..220_u64).cycle().take(40_000) {
        if store.get(&key) == Lookup::Hit(()) {
            hits += 1;
        } else {
            let options = Insert { weight: 5, ..Insert::default() };
            store.insert(key, (), options).unwrap();
        }
    }
    let estimates = store.estimates().expect("it has been full");
    assert_eq!(estimates.policy, "lirs");
    assert!(hits > 25_000, "{hits} hits");
    assert_eq!((estimates.sizes[2].entries, estimates.sizes[2].weight), (None, Some(2000)));
    assert!(estimates.sizes[2].hit_ratio > 0.95, "{estimates:?}");
}

#[test]
fn threads_that_hit_and_insert_while_the_policy_changes_lose_nothing() {
    let store = auto(&["lru", "clock-pro", "lirs", "w-tinylfu"], 400, 4);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let store = &store;
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(thread);
                for step in 0..30_000_u64 {
                    // Loops and chance in turns, so that no candidate stays the best.
                    let in_loop = step / 5000 % 2 == 0;
                    let key = if in_loop { step % 450 } else { random.u64(..2000) };
                    ask(store, key);
                    if step % 97 == 0 {
                        store.remove(&key);
                    }
                    if step % 7001 == 0 {
                        store.clear();
                    }
                }
            });
        }
    });
    assert!(store.len() <= 404, "{} entries", store.len());
    assert!(store.estimates().is_some());
}
