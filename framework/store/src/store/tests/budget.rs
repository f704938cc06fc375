//! The capacity is a budget of the whole store.

use larder_core::backend::{InProcess, OnFull};
use larder_core::serde_json::json;

use super::{Fixture, entries, fixture, lru, policy, weight};
use crate::options::Insert;
use crate::outcome::{Inserted, Lookup, MissCause};

fn rejecting(capacity: larder_core::policy::Capacity) -> Fixture<u32, u32> {
    let policy = policy(&larder_policies::FIFO, json!({}));
    fixture(InProcess::new(capacity, policy).on_full(OnFull::Reject))
}

#[test]
fn an_entry_of_a_third_of_the_weight_fits_whatever_its_shard() {
    let policy = policy(&larder_policies::LRU, json!({}));
    let in_process = InProcess::new(weight(1000), policy).shards(Some(16));
    let store = fixture::<u32, u32>(in_process);
    for key in 0..1000 {
        store.insert(key, key, Insert::default()).unwrap();
    }
    for key in 2000..2003 {
        let heavy = Insert::default().weight(300);
        assert_eq!(store.insert(key, 0, heavy), Ok(Inserted::New));
        assert!(store.contains(&key), "key {key}");
        assert!(store.weight() <= 1000);
        store.check();
    }
    assert!(store.weight() > 900, "no more was evicted than needed");
    assert!((2000..2003).all(|key| store.contains(&key)));
}

#[test]
fn an_entry_heavier_than_the_store_is_refused_and_takes_the_old_value_along() {
    for on_full in [OnFull::Evict, OnFull::Reject] {
        let policy = policy(&larder_policies::LRU, json!({}));
        let store = fixture::<u32, u32>(InProcess::new(weight(100), policy).on_full(on_full));
        store.insert(1, 1, Insert::default()).unwrap();
        store.insert(2, 2, Insert::default()).unwrap();
        let full = store.insert(1, 9, Insert::default().weight(101));
        let full = full.unwrap_err();
        assert_eq!((full.max_size, full.current_size), (100, 2));
        assert_eq!(store.get(&1), Lookup::Miss(MissCause::Evicted));
        assert_eq!(store.get(&2), Lookup::Hit(2));
        assert_eq!(store.stats().rejections, 1);
    }
}

#[test]
fn a_full_store_that_rejects_keeps_what_it_has() {
    let store = rejecting(entries(2));
    store.insert(1, 1, Insert::default()).unwrap();
    store.insert(2, 2, Insert::default()).unwrap();
    let full = store.insert(3, 3, Insert::default()).unwrap_err();
    assert_eq!((full.max_size, full.current_size), (2, 2));
    assert_eq!(store.insert(2, 4, Insert::default()), Ok(Inserted::Replaced));
    assert_eq!(store.peek(&1), Some(1));
    store.remove(&1);
    assert_eq!(store.insert(3, 3, Insert::default()), Ok(Inserted::New));
}

#[test]
fn an_overwrite_that_does_not_fit_does_not_leave_the_old_value() {
    let store = rejecting(weight(10));
    store.insert(1, 1, Insert::default().weight(5)).unwrap();
    store.insert(2, 2, Insert::default().weight(5)).unwrap();
    assert!(store.insert(1, 9, Insert::default().weight(6)).is_err());
    assert_eq!(store.get(&1), Lookup::Miss(MissCause::Evicted));
    assert_eq!(store.weight(), 5);
    assert_eq!(store.insert(2, 2, Insert::default().weight(1)), Ok(Inserted::Replaced));
    assert_eq!(store.weight(), 1);
}

#[test]
fn expired_entries_do_not_keep_others_out() {
    let store = rejecting(entries(2));
    for key in 0..2 {
        let insert = Insert::default().deadline(store.in_seconds(1));
        store.insert(key, 0, insert).unwrap();
    }
    assert!(store.insert(2, 0, Insert::default()).is_err());
    store.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(store.insert(2, 0, Insert::default()), Ok(Inserted::New));
    assert_eq!(store.len(), 1);
}

#[test]
fn a_replacement_that_grows_evicts_others_and_stays() {
    let store = lru::<u32, u32>(weight(10));
    for key in 0..10 {
        store.insert(key, key, Insert::default()).unwrap();
    }
    let grown = store.insert(0, 100, Insert::default().weight(8));
    assert_eq!(grown, Ok(Inserted::Replaced));
    assert_eq!(store.peek(&0), Some(100));
    assert_eq!((store.weight(), store.len()), (10, 3));
}

#[test]
fn a_store_without_limits_keeps_everything() {
    let store = lru::<u32, u32>(larder_core::policy::Capacity { entries: None, weight: None });
    for key in 0..10_000 {
        store.insert(key, key, Insert::default()).unwrap();
    }
    assert_eq!(store.len(), 10_000);
    assert!((0..10_000).all(|key| store.peek(&key) == Some(key)));
}

#[test]
fn a_store_of_no_entries_refuses_all() {
    let store = lru::<u32, u32>(entries(0));
    assert!(store.insert(1, 1, Insert::default()).is_err());
    assert!(store.is_empty());
}
