//! Deadlines, idle lives and the sweep.

use std::sync::Arc;
use std::time::Duration;

use larder_core::backend::InProcess;
use larder_core::clock::{Clock, ManualClock};
use larder_core::serde_json::json;

use super::{Fixture, entries, lru, policy};
use crate::options::{Insert, StoreOptions};
use crate::outcome::{Inserted, Lookup, MissCause};
use crate::store::Store;

const SECOND: Duration = Duration::from_secs(1);

/// Which lock a hit takes.
#[derive(Clone, Copy, PartialEq)]
enum Hits {
    Shared,
    Exclusive,
}

fn idle(hits: Hits) -> Fixture<u32, u32> {
    let clock = ManualClock::new();
    let strict = hits == Hits::Exclusive;
    let policy = policy(&larder_policies::LRU, json!({ "strict": strict }));
    let in_process = InProcess::new(entries(100), policy);
    let options =
        StoreOptions::new(in_process, Arc::new(clock.clone())).idle_ttl(Some(16 * SECOND));
    Fixture { store: Store::new(options), clock }
}

#[test]
fn an_entry_is_served_before_its_deadline_and_not_at_it() {
    let store = lru::<u32, u32>(entries(10));
    let insert = Insert::default().deadline(store.in_seconds(10));
    store.insert(1, 1, insert).unwrap();
    store.clock.advance(10 * SECOND - Duration::from_nanos(1));
    assert_eq!(store.get(&1), Lookup::Hit(1));
    assert_eq!(store.deadline(&1), Some(insert.deadline));
    store.clock.advance(Duration::from_nanos(1));
    assert!(!store.contains(&1));
    assert_eq!(store.peek(&1), None);
    assert_eq!(store.deadline(&1), None);
    assert!(!store.touch(&1, None));
    assert_eq!(store.len(), 1, "nobody has asked for it yet");
    assert_eq!(store.get(&1), Lookup::Miss(MissCause::Expired));
    assert_eq!(store.len(), 0);
    assert_eq!(store.get(&1), Lookup::Miss(MissCause::Expired));
}

#[test]
fn touch_moves_the_deadline_either_way() {
    let store = lru::<u32, u32>(entries(10));
    store.insert(1, 1, Insert::default()).unwrap();
    assert_eq!(store.deadline(&1), Some(None));
    let deadline = store.in_seconds(5);
    assert!(store.touch(&1, deadline));
    assert_eq!(store.deadline(&1), Some(deadline));
    assert!(store.touch_with(&1, None, |value| *value = 7));
    store.clock.advance(6 * SECOND);
    assert_eq!(store.get(&1), Lookup::Hit(7));
    assert!(!store.touch(&2, None));
}

#[test]
fn an_expired_entry_is_replaced_as_if_it_were_not_there() {
    let store = lru::<u32, u32>(entries(10));
    let insert = Insert::default().deadline(store.in_seconds(1));
    store.insert(1, 1, insert).unwrap();
    store.clock.advance(SECOND);
    assert_eq!(store.insert(1, 2, Insert::default()), Ok(Inserted::New));
    assert_eq!(store.stats().expirations, 1);
    store.clock.advance(100 * SECOND);
    assert_eq!(store.get(&1), Lookup::Hit(2), "the old life is forgotten");
}

#[test]
fn hits_prolong_an_idle_life_and_nothing_else_does() {
    for hits in [Hits::Shared, Hits::Exclusive] {
        let store = idle(hits);
        store.insert(1, 1, Insert::default()).unwrap();
        store.insert(2, 2, Insert::default()).unwrap();
        for _ in 0..10 {
            store.clock.advance(10 * SECOND);
            assert_eq!(store.get(&1), Lookup::Hit(1));
        }
        assert_eq!(store.get(&2), Lookup::Miss(MissCause::Expired));
        store.clock.advance(15 * SECOND);
        assert_eq!(store.peek(&1), Some(1));
        assert!(store.touch(&1, None));
        store.clock.advance(SECOND);
        assert_eq!(store.peek(&1), None, "neither peek nor touch is a hit");
    }
}

#[test]
fn an_idle_entry_is_never_served_past_its_idle_life() {
    let store = idle(Hits::Shared);
    store.insert(1, 1, Insert::default()).unwrap();
    store.insert(2, 2, Insert::default().idle_ttl(Some(100 * SECOND))).unwrap();
    // Too close to the insert to be noted.
    store.clock.advance(SECOND);
    assert_eq!(store.get(&1), Lookup::Hit(1));
    store.clock.advance(16 * SECOND);
    assert_eq!(store.get(&1), Lookup::Miss(MissCause::Expired));
    assert_eq!(store.get(&2), Lookup::Hit(2), "an insert overrides the store");
}

#[test]
fn a_deadline_ends_a_life_that_hits_prolong() {
    let store = idle(Hits::Shared);
    let insert = Insert::default().deadline(store.in_seconds(20));
    store.insert(1, 1, insert).unwrap();
    store.clock.advance(10 * SECOND);
    assert_eq!(store.get(&1), Lookup::Hit(1));
    store.clock.advance(10 * SECOND);
    assert_eq!(store.get(&1), Lookup::Miss(MissCause::Expired));
}

#[test]
fn sweep_removes_what_expired_in_portions() {
    let store = lru::<u32, u32>(entries(10_000));
    for key in 0..6000 {
        let seconds = 1 + u64::from(key % 3);
        let insert = Insert::default().deadline(store.in_seconds(seconds));
        store.insert(key, key, insert).unwrap();
    }
    assert_eq!(store.sweep(usize::MAX), 0);
    store.clock.advance(SECOND);
    let mut removed = 0;
    for portion in 0..200 {
        let more = store.sweep(portion);
        assert!(more <= portion);
        removed += more;
        store.check();
    }
    assert_eq!(removed, 2000);
    assert_eq!(store.len(), 4000);
    store.clock.advance(SECOND);
    // A pass that is under way must not forget what it has not seen.
    store.insert(10_000, 0, Insert::default().deadline(store.in_seconds(1))).unwrap();
    assert_eq!(store.sweep(usize::MAX), 2000);
    store.clock.advance(SECOND);
    assert_eq!(store.sweep(usize::MAX), 2001);
    assert!(store.is_empty());
    assert_eq!(store.clock.now().as_nanos(), 3_000_000_000);
}

#[test]
fn an_idle_life_goes_on_where_an_earlier_process_left_it() {
    let store = idle(Hits::Shared);
    store.insert(1, 1, Insert::default()).unwrap();
    store.clock.advance(5 * SECOND);
    let span = |key| store.inspect(&key, |_, span| span).unwrap();
    assert_eq!((span(1).idle_ttl, span(1).unused), (Some(16 * SECOND), 5 * SECOND));
    assert_eq!(store.inspect(&1, |value, _| *value), Some(1));
    // The clock began 5 s ago, and the entry was not used for 15 s.
    assert!(store.set_unused(&1, 15 * SECOND));
    assert_eq!(span(1).unused, 15 * SECOND);
    store.clock.advance(SECOND - Duration::from_nanos(1));
    assert!(store.contains(&1));
    assert_eq!(store.get(&1), Lookup::Hit(1), "which begins its idle life anew");
    store.clock.advance(16 * SECOND - Duration::from_nanos(1));
    assert!(store.contains(&1));
    store.clock.advance(Duration::from_nanos(1));
    assert!(!store.contains(&1));
    assert!(!store.set_unused(&1, SECOND) && store.inspect(&1, |_, _| ()).is_none());
}
