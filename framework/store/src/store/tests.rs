//! Tests of [`Store`](super::Store) as a whole.

mod age;
mod budget;
mod learn;
mod life;
mod listener;
mod many;
mod model;
mod reads;
mod room;
mod split;
mod strange_policy;
mod threads;
mod user_panics;

use std::hash::Hash;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use larder_core::backend::InProcess;
use larder_core::clock::{Clock, ManualClock, Moment};
use larder_core::plugin::{Descriptor, Factory};
use larder_core::policy::{Capacity, PolicyFactory};
use larder_core::serde_json::{Value, json};

use super::Store;
use crate::options::{Insert, StoreOptions};
use crate::outcome::{Inserted, Lookup, MissCause};

pub(super) const POLICIES: [&Descriptor; 15] = [
    &larder_policies::ARC,
    &larder_policies::AUTO,
    &larder_policies::CLOCK,
    &larder_policies::FIFO,
    &larder_policies::GDSF,
    &larder_policies::LFU,
    &larder_policies::LIRS,
    &larder_policies::LRU,
    &larder_policies::RANDOM,
    &larder_policies::S3_FIFO,
    &larder_policies::SIEVE,
    &larder_policies::SLRU,
    &larder_policies::TTL,
    &larder_policies::TWO_Q,
    &larder_policies::W_TINYLFU,
];

pub(super) fn policy(descriptor: &Descriptor, options: Value) -> Arc<dyn PolicyFactory> {
    let Factory::Policy(factory) = descriptor.factory else {
        panic!("{descriptor:?} is not a policy");
    };
    factory.build(options).unwrap()
}

pub(super) const fn entries(count: u64) -> Capacity {
    Capacity { entries: Some(count), weight: None }
}

pub(super) const fn weight(sum: u64) -> Capacity {
    Capacity { entries: None, weight: Some(sum) }
}

/// How often a random test does something: less under Miri, which is some hundred times slower.
pub(super) const fn steps(count: u32) -> u32 {
    if cfg!(miri) { count.div_ceil(50) } else { count }
}

/// A store, its clock, and a check of all invariants when the test is over.
pub(super) struct Fixture<K, V> {
    pub(super) store: Store<K, V>,
    pub(super) clock: ManualClock,
}

impl<K, V> Deref for Fixture<K, V> {
    type Target = Store<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.store
    }
}

impl<K, V> Drop for Fixture<K, V> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.store.check();
        }
    }
}

impl<K, V> Fixture<K, V> {
    pub(super) fn in_seconds(&self, seconds: u64) -> Option<Moment> {
        Some(self.clock.now().after(Duration::from_secs(seconds)))
    }
}

pub(super) fn fixture<K, V>(in_process: InProcess) -> Fixture<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    let clock = ManualClock::new();
    // Which keys share a place in the table of recent removals must not vary between runs.
    let options = StoreOptions::new(in_process, Arc::new(clock.clone())).seed(1);
    Fixture { store: Store::new(options), clock }
}

pub(super) fn lru<K, V>(capacity: Capacity) -> Fixture<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    let policy = policy(&larder_policies::LRU, json!({}));
    fixture(InProcess::new(capacity, policy))
}

#[test]
fn what_was_inserted_is_found_until_it_is_removed() {
    let store = lru::<String, u32>(entries(10));
    let key = "one".to_string();
    assert_eq!(store.get("one"), Lookup::Miss(MissCause::Cold));
    assert_eq!(store.insert(key.clone(), 1, Insert::default()), Ok(Inserted::New));
    assert_eq!(store.get("one"), Lookup::Hit(1));
    assert_eq!(store.insert(key, 2, Insert::default()), Ok(Inserted::Replaced));
    assert_eq!(store.peek("one"), Some(2));
    assert_eq!(store.remove("one"), Some(2));
    assert_eq!(store.remove("one"), None);
    assert_eq!(store.get("one"), Lookup::Miss(MissCause::Deleted));
    assert!(store.is_empty());
}

#[test]
fn a_small_store_evicts_in_exact_order() {
    let store = lru::<u32, u32>(entries(3));
    for key in 0..3 {
        store.insert(key, key, Insert::default()).unwrap();
    }
    assert_eq!(store.get(&0), Lookup::Hit(0));
    store.insert(3, 3, Insert::default()).unwrap();
    assert_eq!(store.get(&1), Lookup::Miss(MissCause::Evicted));
    assert!(store.contains(&0) && store.contains(&2) && store.contains(&3));
}

#[test]
fn peek_and_contains_leave_no_trace() {
    let store = lru::<u32, u32>(entries(2));
    store.insert(0, 0, Insert::default()).unwrap();
    store.insert(1, 1, Insert::default()).unwrap();
    assert_eq!(store.peek(&0), Some(0));
    assert!(store.contains(&0));
    store.insert(2, 2, Insert::default()).unwrap();
    assert!(!store.contains(&0), "peek must not count as a use");
    assert_eq!(store.stats().hits + store.stats().misses(), 0);
}

#[test]
fn misses_are_counted_by_cause() {
    let store = lru::<u32, u32>(entries(2));
    for key in 0..3 {
        let deadline = Insert::default().deadline(store.in_seconds(5));
        store.insert(key, key, deadline).unwrap();
    }
    store.invalidate(&2);
    store.clock.advance(Duration::from_secs(5));
    let causes = [
        (9, MissCause::Cold),
        (0, MissCause::Evicted),
        (1, MissCause::Expired),
        (2, MissCause::Invalidated),
    ];
    for (key, cause) in causes {
        assert_eq!(store.get(&key), Lookup::Miss(cause));
    }
    let stats = store.stats();
    let by_cause =
        (stats.misses_cold, stats.misses_evicted, stats.misses_expired, stats.misses_invalidated);
    assert_eq!(by_cause, (1, 1, 1, 1));
    assert_eq!((stats.inserts, stats.evictions, stats.expirations), (3, 1, 1));
    store.reset_stats();
    assert_eq!(store.stats().misses(), 0);
}

#[test]
fn remove_if_and_clear_remove_what_they_should() {
    let store = lru::<u32, u32>(entries(1000));
    for key in 0..500 {
        store.insert(key, key, Insert::default()).unwrap();
    }
    assert_eq!(store.remove_if(|key, _| key % 5 == 0), 100);
    assert_eq!(store.len(), 400);
    let by_invalidation = |key: &u32| store.get(key) == Lookup::Miss(MissCause::Invalidated);
    // A few may have lost their place in the table of recent removals.
    assert!((0..500).step_by(5).filter(by_invalidation).count() > 80);
    store.check();
    store.clear();
    assert!(store.is_empty());
    let by_clear = |key: &u32| store.get(key) == Lookup::Miss(MissCause::Cleared);
    assert!((0..500).filter(by_clear).count() > 300);
    store.insert(11, 1, Insert::default()).unwrap();
    assert_eq!(store.keys(), [11]);
}

#[test]
fn remove_if_neither_counts_nor_sees_what_has_expired() {
    let store = lru::<u32, u32>(entries(10));
    let insert = Insert::default().deadline(store.in_seconds(1));
    store.insert(1, 1, insert).unwrap();
    store.insert(2, 2, Insert::default()).unwrap();
    store.clock.advance(Duration::from_secs(1));
    assert_eq!(store.remove_if(|key, _| *key == 2 || panic!("it is dead")), 1);
    assert_eq!(store.get(&1), Lookup::Miss(MissCause::Expired));
    assert_eq!(store.stats().expirations, 1);
}

#[test]
fn scan_lists_every_key_that_stays_exactly_once() {
    let policy = policy(&larder_policies::LRU, json!({}));
    let in_process = InProcess::new(entries(1000), policy).shards(Some(4));
    let store = fixture::<u32, u32>(in_process);
    for key in 0..300 {
        store.insert(key, key, Insert::default()).unwrap();
    }
    let (mut seen, mut cursor, mut pages) = (Vec::new(), 0, 0);
    loop {
        let (keys, next) = store.scan(cursor, 7);
        assert!(keys.len() <= 7);
        seen.extend(keys);
        pages += 1;
        // What goes or is replaced meanwhile does not disturb the rest.
        store.remove(&(299 - pages));
        store.insert(pages, 0, Insert::default()).unwrap();
        let Some(next) = next else { break };
        cursor = next;
    }
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), count);
    assert!((0..200).all(|key| seen.binary_search(&key).is_ok()));
}

#[test]
fn many_shards_share_one_budget_and_fill_it() {
    let policy = policy(&larder_policies::S3_FIFO, json!({}));
    let in_process = InProcess::new(entries(1000), policy).shards(Some(16));
    let store = fixture::<u32, u32>(in_process);
    for key in 0..5000 {
        store.insert(key, key, Insert::default()).unwrap();
        assert!(store.len() <= 1000);
    }
    assert_eq!(store.len(), 1000);
    let even = store.shards.iter().all(|shard| shard.entries().abs_diff(62) < 40);
    assert!(even, "no shard is starved");
}
