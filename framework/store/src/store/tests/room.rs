//! Changing the capacity, and entries that must stay.

use larder_core::backend::{InProcess, OnFull};
use larder_core::policy::Capacity;
use larder_core::serde_json::json;

use super::{POLICIES, entries, fixture, lru, policy, weight};
use crate::options::Insert;
use crate::outcome::{Inserted, Lookup, MissCause};

#[test]
fn a_store_that_shrinks_evicts_and_one_that_grows_holds_more_with_every_policy() {
    for descriptor in POLICIES {
        let in_process = InProcess::new(entries(400), policy(descriptor, json!({})));
        let store = fixture::<u32, u32>(in_process.shards(Some(4)));
        for key in 0..400 {
            store.insert(key, key, Insert::default()).unwrap();
        }
        for capacity in [100, 7, 1, 300] {
            store.resize(entries(capacity));
            assert_eq!(store.capacity(), entries(capacity));
            assert!(store.len() <= usize::try_from(capacity).unwrap());
            store.check();
            for key in 1000..1600 {
                store.insert(key, key, Insert::default()).unwrap();
            }
            store.check();
        }
        assert!(store.len() > 280, "{descriptor:?} uses the room it got: {}", store.len());
    }
}

#[test]
fn a_limit_may_come_and_go() {
    let store = lru::<u32, u32>(entries(10));
    for key in 0..10 {
        store.insert(key, key, Insert::default().weight(key)).unwrap();
    }
    store.resize(weight(17));
    assert_eq!((store.peek(&9), store.peek(&8), store.peek(&7)), (Some(9), Some(8), None));
    store.resize(Capacity { entries: None, weight: None });
    for key in 100..200 {
        store.insert(key, key, Insert::default()).unwrap();
    }
    assert_eq!(store.len(), 102);
    store.resize(entries(50));
    assert_eq!(store.len(), 50);
}

#[test]
fn a_store_that_refuses_evicts_only_when_it_shrinks() {
    let policy = policy(&larder_policies::FIFO, json!({}));
    let store = fixture::<u32, u32>(InProcess::new(entries(3), policy).on_full(OnFull::Reject));
    for key in 0..3 {
        store.insert(key, key, Insert::default()).unwrap();
    }
    store.resize(entries(2));
    assert_eq!(store.peek(&0), None);
    assert_eq!(store.insert(3, 3, Insert::default()).unwrap_err().max_size, 2);
}

#[test]
fn a_pinned_entry_stays_whatever_comes_with_every_policy() {
    for descriptor in POLICIES {
        let in_process = InProcess::new(entries(64), policy(descriptor, json!({})));
        let store = fixture::<u32, u32>(in_process);
        store.insert(1, 1, Insert::default()).unwrap();
        assert!(store.pin(&1, true) && !store.pin(&2, true));
        // A new value stays pinned.
        store.insert(1, 2, Insert::default()).unwrap();
        for key in 100..2000 {
            store.insert(key, key, Insert::default()).unwrap();
        }
        assert_eq!(store.get(&1), Lookup::Hit(2), "{descriptor:?}");
        store.pin(&1, false);
        store.check();
        assert_eq!(store.remove(&1), Some(2), "a pin does not keep it from being removed");
    }
}

#[test]
fn when_everything_is_pinned_what_comes_is_refused_and_the_capacity_holds() {
    for shards in [1, 4] {
        let policy = policy(&larder_policies::LRU, json!({}));
        let store = fixture::<u32, u32>(InProcess::new(entries(8), policy).shards(Some(shards)));
        for key in 0..8 {
            store.insert(key, key, Insert::default()).unwrap();
            store.pin(&key, true);
        }
        for key in 10..30 {
            let inserted = store.insert(key, key, Insert::default());
            assert_eq!(inserted, Ok(Inserted::Rejected));
            assert_eq!(store.get(&key), Lookup::Miss(MissCause::Evicted));
            store.check();
        }
        assert_eq!(store.stats().rejections, 20);
        store.resize(entries(4));
        assert_eq!(store.len(), 8, "pinned entries stay");
        store.resize(entries(8));
        store.pin(&3, false);
        assert_eq!(store.insert(99, 99, Insert::default()), Ok(Inserted::New));
        assert!(store.contains(&99) && !store.contains(&3));
    }
}
