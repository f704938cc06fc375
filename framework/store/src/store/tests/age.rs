//! Entries that are kept past their deadline.

use std::time::Duration;

use larder_core::clock::{Clock, Moment};

use super::{Fixture, entries, lru};
use crate::age::{Age, NewAge};
use crate::options::Insert;
use crate::outcome::{Lookup, MissCause};

const SECOND: Duration = Duration::from_secs(1);

/// A store with one entry that is served for ten seconds and kept for thirty.
fn kept() -> Fixture<u32, u32> {
    let store = lru::<u32, u32>(entries(10));
    store.insert(1, 7, ageing(&store)).unwrap();
    store
}

fn ageing(store: &Fixture<u32, u32>) -> Insert {
    let now = store.clock.now();
    let age = NewAge::new(now, now.after(30 * SECOND), 2 * SECOND);
    Insert::default().deadline(store.in_seconds(10)).ageing(Some(age))
}

fn stale(store: &Fixture<u32, u32>) -> Option<u32> {
    store.peek_stale(&1, |value, _| *value)
}

fn age(store: &Fixture<u32, u32>) -> Age {
    store.peek_stale(&1, |_, age| age).unwrap()
}

#[test]
fn what_ages_is_kept_out_of_sight_after_its_deadline() {
    let store = kept();
    assert_eq!((store.get(&1), stale(&store)), (Lookup::Hit(7), Some(7)));
    store.clock.advance(10 * SECOND);
    assert_eq!(store.get(&1), Lookup::Miss(MissCause::Expired));
    assert_eq!((store.peek(&1), store.contains(&1), store.len()), (None, false, 1));
    assert_eq!(store.sweep(100), 0, "it is still of use");
    assert_eq!(stale(&store), Some(7));
    store.clock.advance(20 * SECOND);
    assert_eq!(stale(&store), None);
    assert_eq!(store.sweep(100), 1);
    store.check();
}

#[test]
fn a_look_up_removes_what_is_gone_for_good() {
    let store = kept();
    store.clock.advance(30 * SECOND);
    assert_eq!(store.get(&1), Lookup::Miss(MissCause::Expired));
    assert_eq!(store.len(), 0);
}

#[test]
fn whoever_removes_entries_removes_kept_ones_too() {
    let removals: [fn(&Fixture<u32, u32>); 4] = [
        |store| assert_eq!(store.remove(&1), None, "it could not have been served"),
        |store| assert_eq!(store.invalidate(&1), None),
        |store| store.clear(),
        |store| assert_eq!(store.remove_if(|_, _| true), 1),
    ];
    for remove in removals {
        let store = kept();
        store.clock.advance(10 * SECOND);
        remove(&store);
        assert_eq!(stale(&store), None);
        store.check();
    }
}

#[test]
fn a_new_value_takes_the_place_of_a_kept_one() {
    let store = kept();
    store.clock.advance(10 * SECOND);
    store.insert(1, 8, Insert::default()).unwrap();
    assert_eq!((store.get(&1), stale(&store)), (Lookup::Hit(8), None), "this one does not age");
    store.check();
}

#[test]
fn a_touch_moves_both_ends_and_an_expiry_only_the_first() {
    let store = kept();
    store.clock.advance(5 * SECOND);
    assert!(store.touch(&1, store.in_seconds(10)));
    store.clock.advance(10 * SECOND);
    assert_eq!(store.get(&1), Lookup::Miss(MissCause::Expired));
    store.clock.advance(20 * SECOND - Duration::from_nanos(1));
    assert_eq!(stale(&store), Some(7), "kept for as long as it was told at first");
    store.clock.advance(Duration::from_nanos(1));
    assert_eq!(stale(&store), None);
    let store = kept();
    assert!(store.expire(&1));
    assert!(!store.expire(&1), "it is over already");
    assert_eq!((store.get(&1), stale(&store)), (Lookup::Miss(MissCause::Expired), Some(7)));
    assert_eq!(age(&store).gone, store.clock.now().after(30 * SECOND));
    store.insert(2, 2, Insert::default()).unwrap();
    assert!(store.expire(&2));
    assert_eq!((store.get(&2), store.len()), (Lookup::Miss(MissCause::Expired), 1));
    store.check();
}

#[test]
fn one_of_those_who_want_to_load_an_entry_anew_may() {
    let store = kept();
    store.clock.advance(8 * SECOND);
    let (seen, pause) = store.get_aged(&1, |_, _, age| (age.unwrap(), age.unwrap().pause)).unwrap();
    assert_eq!((seen.born, seen.cost, pause), (Moment::default(), 2 * SECOND, Moment::default()));
    assert!(!seen.is_paused());
    assert!(store.claim(&1, &seen));
    assert!(!store.claim(&1, &seen), "somebody was faster");
    assert_eq!(age(&store).pause, Age::CLAIMED);
    store.pause(&1, store.clock.now().after(SECOND));
    assert!(age(&store).is_paused());
    store.clock.advance(SECOND);
    assert!(!age(&store).is_paused());
    store.insert(1, 8, ageing(&store)).unwrap();
    assert_eq!(age(&store).pause, Moment::default(), "another entry");
    let plain = store.insert(2, 2, Insert::default().deadline(store.in_seconds(1)));
    assert!(plain.is_ok());
    assert_eq!(store.get_aged(&2, |_, _, age| age), Ok(None), "this one does not age");
}
