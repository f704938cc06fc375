//! How much there may be, and what goes first.

use larder_core::ErrorKind;

use super::*;

fn there(backend: &RedbBackend, keys: std::ops::Range<u32>) -> Vec<u32> {
    keys.filter(|key| get(backend, &key.to_string()).is_some()).collect()
}

#[test]
fn beyond_max_entries_what_was_written_first_goes() {
    let (_outer, dir) = temporary();
    let mut config = config(&dir);
    config.max_entries = Some(10);
    let backend = build(config).unwrap();
    for key in 0..15 {
        set(&backend, &key.to_string(), b"value");
    }
    assert_eq!(there(&backend, 0..15), [5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
    set(&backend, "5", b"written again");
    set(&backend, "15", b"value");
    assert_eq!(there(&backend, 0..16), [5, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    assert_eq!(now(backend.health()).unwrap().entries, Some(10));
}

#[test]
fn what_is_over_goes_before_what_was_written_first() {
    let (_outer, dir) = temporary();
    let clock = ManualClock::new();
    let mut config = config(&dir);
    config.max_entries = Some(10);
    let backend = build_at(config, &clock);
    for key in 0..10 {
        let mut mortal = entry(b"value");
        let life = Duration::from_secs(if key < 5 { 100 } else { 10 });
        mortal.meta.hard_deadline = Some(clock.wall().after(life));
        now(backend.set(&key.to_string(), mortal)).unwrap();
    }
    clock.advance(Duration::from_secs(10));
    for key in 10..15 {
        set(&backend, &key.to_string(), b"value");
    }
    assert_eq!(there(&backend, 0..15), [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]);
}

#[test]
fn what_is_over_is_removed_by_writes_without_any_limit() {
    let (_outer, dir) = temporary();
    let clock = ManualClock::new();
    let backend = build_at(config(&dir), &clock);
    for key in 0..100 {
        let mut mortal = entry(&[7; 1000]);
        mortal.meta.hard_deadline = Some(clock.wall().after(Duration::from_secs(10)));
        now(backend.set(&key.to_string(), mortal)).unwrap();
    }
    clock.advance(Duration::from_secs(10));
    for key in 100..130 {
        set(&backend, &key.to_string(), b"value");
    }
    let health = now(backend.health()).unwrap();
    assert_eq!(health.entries, Some(30));
    assert!(health.bytes < Some(3000), "{health:?}");
}

#[test]
fn max_bytes_is_kept_with_values_of_all_sizes() {
    let (_outer, dir) = temporary();
    let mut config = config(&dir);
    config.max_bytes = Some(ByteSize(100_000));
    let backend = build(config).unwrap();
    for key in 0..300_usize {
        set(&backend, &key.to_string(), &vec![7; key * 97 % 9000]);
        let bytes = now(backend.health()).unwrap().bytes.unwrap();
        assert!(bytes <= 100_000, "{bytes}");
        assert!(get(&backend, &key.to_string()).is_some());
    }
    for key in 0..300 {
        now(backend.delete(&key.to_string())).unwrap();
    }
    let health = now(backend.health()).unwrap();
    assert_eq!((health.entries, health.bytes), (Some(0), Some(0)));
}

#[test]
fn an_entry_larger_than_the_cache_is_refused_and_the_old_one_is_gone() {
    let (_outer, dir) = temporary();
    let mut config = config(&dir);
    config.max_bytes = Some(ByteSize(10_000));
    let backend = build(config).unwrap();
    set(&backend, "a", b"old");
    set(&backend, "b", b"other");
    let error = now(backend.set("a", entry(&[7; 10_000]))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capacity);
    assert!(error.to_string().contains("hint: raise `max_bytes`"), "{error}");
    assert_eq!(get(&backend, "a"), None);
    assert_eq!(get(&backend, "b"), Some(entry(b"other")));
}

#[test]
fn many_entries_are_stored_all_or_none() {
    let (_outer, dir) = temporary();
    let mut config = config(&dir);
    config.max_bytes = Some(ByteSize(10_000));
    let backend = build(config).unwrap();
    let pair = |key: &str, size: usize| (key.to_owned(), entry(&vec![7; size]));
    now(backend.set_many(vec![pair("a", 10), pair("b", 20_000)])).unwrap_err();
    assert_eq!(now(backend.get_many(&["a", "b"])).unwrap(), [None, None]);
    now(backend.set_many(vec![pair("a", 10), pair("b", 20)])).unwrap();
    assert!(now(backend.get_many(&["a", "b"])).unwrap().iter().all(Option::is_some));
}
