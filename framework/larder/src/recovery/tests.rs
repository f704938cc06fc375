//! What waits, what it hides, and what stands for what when there is too much of it.

use larder_core::Timestamp;

use super::*;
use crate::tags::TagTable;

fn stamp(micros: u64) -> Stamp {
    Stamp { time: Timestamp::from_micros(micros), origin: 7 }
}

fn key(text: &str) -> Work {
    Work::key(text)
}

fn at(millis: u64) -> Moment {
    Moment::from_nanos(millis * 1_000_000)
}

fn keys(items: &[Item]) -> Vec<(&str, u64)> {
    let named = items.iter().map(|item| match &item.work {
        Work::Key(key) => (&**key, item.stamp.time.as_micros()),
        Work::Clear => ("clear", item.stamp.time.as_micros()),
        Work::Pattern(glob) => (&**glob, item.stamp.time.as_micros()),
        Work::Tag(_) => ("tag", item.stamp.time.as_micros()),
    });
    named.collect()
}

#[test]
fn it_keeps_each_key_once_with_its_latest_stamp_and_delivers_the_oldest_first() {
    let log = Recovery::new(10);
    assert_eq!(log.add(key("a"), stamp(5), at(0)), Added::First);
    assert_eq!(log.add(key("b"), stamp(3), at(0)), Added::More);
    assert_eq!(log.add(key("a"), stamp(9), at(50)), Added::More);
    log.add(key("a"), stamp(7), at(50));
    assert_eq!((log.len(), log.age(at(60))), (2, Some(Duration::from_millis(60))));
    assert!(log.due(at(99), false).is_empty());
    assert_eq!(keys(&log.due(at(99), true)), [("b", 3), ("a", 9)]);
    assert_eq!(keys(&log.due(at(100), false)), [("b", 3), ("a", 9)]);
}

#[test]
fn it_hides_what_is_as_old_as_what_waits_and_nothing_newer() {
    let log = Recovery::new(10);
    log.add(key("a"), stamp(5), at(0));
    log.add(Work::Pattern("user:*".into()), stamp(8), at(0));
    let hidden = [("a", 4), ("a", 5), ("user:1", 8)];
    let shown = [("a", 6), ("b", 1), ("user:1", 9), ("users", 1)];
    assert!(hidden.iter().all(|(key, micros)| log.hides(key, stamp(*micros))));
    assert!(!shown.iter().any(|(key, micros)| log.hides(key, stamp(*micros))));
    log.add(Work::Clear, stamp(7), at(0));
    assert!(log.hides("b", stamp(7)) && !log.hides("b", stamp(8)));
    assert_eq!(keys(&log.due(at(0), true)), [("clear", 7), ("user:*", 8)], "it does the rest");
}

#[test]
fn what_was_asked_for_again_meanwhile_waits_on() {
    let log = Recovery::new(10);
    log.add(key("a"), stamp(5), at(0));
    let delivered = log.due(at(0), true);
    log.add(key("a"), stamp(6), at(0));
    log.settle(&delivered[0].work, delivered[0].stamp, at(0));
    assert!(log.hides("a", stamp(6)));
    log.settle_key("a", stamp(5));
    assert_eq!(log.len(), 1, "an older write does not settle it");
    log.settle_key("a", stamp(6));
    assert!(log.is_empty() && !log.hides("a", stamp(6)));
}

#[test]
fn too_many_become_one_that_clears_everything() {
    let log = Recovery::new(3);
    for (text, micros) in [("a", 1), ("b", 9), ("c", 3)] {
        log.add(key(text), stamp(micros), at(micros));
    }
    assert_eq!(log.add(key("d"), stamp(4), at(10)), Added::Overflow);
    assert_eq!(keys(&log.due(at(0), true)), [("clear", 9)]);
    assert_eq!(log.age(at(11)), Some(Duration::from_millis(10)), "of the oldest");
    let log = Recovery::new(1000);
    let adding = |n| log.add(Work::Pattern(format!("{n}*").into()), stamp(n), at(0));
    let last = (0..=MAX_PATTERNS as u64).map(adding).last();
    assert_eq!((last, log.len()), (Some(Added::Overflow), 1));
}

#[test]
fn what_fails_again_waits_longer_up_to_half_a_minute_and_does_not_hold_up_others() {
    let log = Recovery::new(10);
    log.add(key("poisoned"), stamp(1), at(0));
    log.add(key("a"), stamp(2), at(0));
    let mut now = at(100);
    for millis in [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000] {
        let item = log.due(now, false).into_iter().next().unwrap();
        assert_eq!(keys(std::slice::from_ref(&item)), [("poisoned", 1)]);
        log.postpone(&item, now, 1.0);
        assert_eq!(keys(&log.due(now, false)), [("a", 2)]);
        now = now.after(Duration::from_millis(millis));
    }
}

#[test]
fn a_clear_that_worked_settles_everything_before_it() {
    let log = Recovery::new(10);
    let cell = TagTable::default().cell("t");
    for (work, micros) in [(key("a"), 1), (key("b"), 9), (Work::Tag(cell), 2), (Work::Clear, 3)] {
        log.add(work, stamp(micros), at(0));
    }
    log.settle(&Work::Clear, stamp(5), at(0));
    assert_eq!(keys(&log.due(at(0), true)), [("b", 9)]);
}

#[test]
fn what_comes_after_an_overflow_is_counted_to_the_clear_until_that_is_delivered() {
    let log = Recovery::new(3);
    for (micros, text) in ["a", "b", "c", "d"].into_iter().enumerate() {
        log.add(key(text), stamp(micros as u64), at(0));
    }
    for number in 10..20 {
        assert_eq!(log.add(key(&number.to_string()), stamp(number), at(0)), Added::More);
    }
    assert_eq!(keys(&log.due(at(0), true)), [("clear", 19)]);
    log.settle(&Work::Clear, stamp(15), at(0));
    assert!(log.hides("17", stamp(17)), "what came during the delivery is not in it");
    log.settle(&Work::Clear, stamp(19), at(0));
    log.add(key("e"), stamp(20), at(0));
    assert_eq!(keys(&log.due(at(0), true)), [("e", 20)], "one by one again");
}

#[test]
fn a_pattern_stands_for_its_keys_before_a_clear_stands_for_everything() {
    let log = Recovery::new(4);
    log.add(Work::Pattern("user:*".into()), stamp(1), at(0));
    log.add(key("org:1"), stamp(2), at(0));
    for number in 3..7 {
        log.add(key(&format!("user:{number}")), stamp(number), at(0));
    }
    assert_eq!(keys(&log.due(at(0), true)), [("org:1", 2), ("user:*", 6)]);
    assert!(log.hides("user:9", stamp(6)) && !log.hides("other", stamp(1)));
    for number in 7..10 {
        log.add(key(&format!("org:{number}")), stamp(number), at(0));
    }
    assert_eq!(log.add(key("x"), stamp(10), at(0)), Added::Overflow, "they are of no pattern");
}

#[test]
fn what_may_arrive_late_is_removed_for_itself_after_what_removed_everything() {
    let log = Recovery::new(10);
    log.note_landing("user:1", at(0));
    log.note_landing("org:1", at(0));
    log.settle(&Work::Pattern("user:*".into()), stamp(5), at(1));
    assert_eq!(keys(&log.due(at(0), true)), [("user:1", 5)]);
    log.settle(&Work::Clear, stamp(7), at(1));
    let mut left = log.due(at(0), true);
    left.sort_by_key(|item| format!("{:?}", item.work));
    assert_eq!(keys(&left), [("org:1", 7), ("user:1", 7)]);
    log.settle(&key("org:1"), stamp(7), at(1));
    assert!(log.may_land("org:1", at(59_999)) && !log.may_land("org:1", at(60_000)));
    log.settle(&key("user:1"), stamp(7), at(1));
    log.settle(&Work::Clear, stamp(9), at(60_000));
    assert!(log.is_empty(), "nothing is on its way any more");
}

#[test]
fn of_more_late_writes_than_are_remembered_each_key_may_have_one() {
    let log = Recovery::new(3);
    for number in 0..4 {
        log.note_landing(&number.to_string(), at(0));
    }
    assert!(log.may_land("any", at(1)) && !log.may_land("any", at(60_000)));
    log.settle(&Work::Clear, stamp(5), at(1));
    assert_eq!(keys(&log.due(at(0), true)), [("clear", 5)]);
    assert_eq!(log.next_due(), Some(at(60_000)), "once more, when none can come any more");
}
