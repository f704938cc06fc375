//! Who hears of removals, and of which.

use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use larder_core::backend::{InProcess, OnFull};
use larder_core::clock::{Clock, ManualClock};
use larder_core::policy::Capacity;
use larder_core::serde_json::json;

use super::{policy, weight};
use crate::options::{Insert, StoreOptions};
use crate::outcome::{RemovalReason, Removed};
use crate::store::Store;

type Log = Arc<Mutex<Vec<(u32, u32, RemovalReason)>>>;

fn logged(capacity: Capacity, clock: &ManualClock) -> (Store<u32, u32>, Log) {
    let policy = policy(&larder_policies::FIFO, json!({}));
    let in_process = InProcess::new(capacity, policy).on_full(OnFull::Evict);
    let log = Log::default();
    let writer = Arc::clone(&log);
    let options = StoreOptions::new(in_process, Arc::new(clock.clone()));
    let store =
        Store::new(options).with_listener(Arc::new(move |removed: Removed<'_, u32, u32>| {
            let Removed { key, value, reason } = removed;
            writer.lock().unwrap().push((*key, *value, reason));
        }));
    (store, log)
}

#[test]
fn every_removal_is_told_with_its_reason() {
    let clock = ManualClock::new();
    let (store, log) = logged(weight(4), &clock);
    let soon = Some(clock.now().after(Duration::from_secs(1)));
    store.insert(1, 10, Insert::default().deadline(soon)).unwrap();
    store.insert(2, 20, Insert::default()).unwrap();
    store.insert(2, 21, Insert::default()).unwrap();
    store.remove(&2);
    store.insert(3, 30, Insert::default()).unwrap();
    store.invalidate(&3);
    clock.advance(Duration::from_secs(1));
    store.get(&1);
    store.insert(4, 40, Insert::default()).unwrap();
    store.insert(5, 50, Insert::default().weight(4)).unwrap();
    store.insert(5, 51, Insert::default().weight(5)).unwrap_err();
    store.insert(6, 60, Insert::default()).unwrap();
    store.clear();
    let expected = [
        (2, 20, RemovalReason::Replaced),
        (2, 21, RemovalReason::Deleted),
        (3, 30, RemovalReason::Invalidated),
        (1, 10, RemovalReason::Expired),
        (4, 40, RemovalReason::Evicted),
        (5, 50, RemovalReason::Replaced),
        (5, 51, RemovalReason::Rejected),
        (6, 60, RemovalReason::Cleared),
    ];
    assert_eq!(*log.lock().unwrap(), expected);
    store.check();
}

#[test]
fn a_listener_may_use_the_store() {
    let clock = ManualClock::new();
    let policy = policy(&larder_policies::LRU, json!({}));
    let in_process = InProcess::new(super::entries(2), policy);
    let options = StoreOptions::new(in_process, Arc::new(clock));
    let slot: Arc<OnceLock<Weak<Store<u32, u32>>>> = Arc::default();
    let inner = Arc::clone(&slot);
    let listener = move |removed: Removed<'_, u32, u32>| {
        let store = inner.get().and_then(Weak::upgrade).unwrap();
        assert_eq!(store.peek(removed.key), None);
        if removed.reason == RemovalReason::Evicted && *removed.key < 10 {
            // Comes back under another key, and evicts in turn.
            let insert = store.insert(removed.key + 10, *removed.value, Insert::default());
            insert.unwrap();
        }
    };
    let store = Arc::new(Store::new(options).with_listener(Arc::new(listener)));
    slot.set(Arc::downgrade(&store)).unwrap();
    for key in 0..3 {
        store.insert(key, key, Insert::default()).unwrap();
    }
    assert_eq!(store.len(), 2);
    store.check();
}
