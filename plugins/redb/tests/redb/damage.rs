//! Damaged files: never a wrong value, never an error for good.

use std::fs;

use super::*;

const KEYS: u8 = 100;

fn value(key: u8) -> Vec<u8> {
    vec![key; 300]
}

fn fill(dir: &Path) {
    let backend = open(dir);
    for key in 0..KEYS {
        set(&backend, &key.to_string(), &value(key));
    }
    now(backend.close()).unwrap();
}

/// How many entries are there, all of which must be right; the cache must take new ones.
fn count(dir: &Path) -> u8 {
    let backend = open(dir);
    let mut there = 0;
    for key in 0..KEYS {
        if let Some(found) = get(&backend, &key.to_string()) {
            assert_eq!(found.value, value(key));
            there += 1;
        }
    }
    set(&backend, "new", b"value");
    assert_eq!(get(&backend, "new"), Some(entry(b"value")));
    now(backend.close()).unwrap();
    there
}

#[test]
fn a_file_that_is_no_database_is_moved_aside() {
    for text in [&b"something else, and long enough to be read as a header of a database"[..], b"x"]
    {
        let (_outer, dir) = temporary();
        fill(&dir);
        fs::write(dir.join("cache.redb"), text.repeat(100)).unwrap();
        assert_eq!(count(&dir), 0);
        assert_eq!(fs::read(dir.join("damaged.redb")).unwrap(), text.repeat(100));
        assert_eq!(count(&dir), 0, "it opens again");
    }
}

#[test]
fn a_file_that_is_cut_off_or_gone_is_no_error() {
    for length in [None, Some(0), Some(1), Some(4096), Some(20_000), Some(60_000)] {
        let (_outer, dir) = temporary();
        fill(&dir);
        let path = dir.join("cache.redb");
        match length {
            None => fs::remove_file(&path).unwrap(),
            Some(length) => {
                fs::File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
            }
        }
        assert!(count(&dir) < KEYS, "{length:?}");
    }
}

#[test]
fn flipped_bits_cost_entries_and_give_no_wrong_ones() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (_outer, dir) = temporary();
    fill(&dir);
    let path = dir.join("cache.redb");
    let whole = fs::read(&path).unwrap();
    for round in 0..150 {
        let mut bytes = whole.clone();
        for _ in 0..1 << (round % 8) {
            let at = random.usize(..bytes.len());
            bytes[at] ^= 1 << random.u8(..8);
        }
        fs::write(&path, bytes).unwrap();
        count(&dir);
    }
}

#[test]
fn damage_while_it_is_open_begins_anew_and_goes_on() {
    let (_outer, dir) = temporary();
    fill(&dir);
    let mut config = config(&dir);
    // So little memory that reads meet the file.
    config.memory_bytes = ByteSize(0);
    let backend = build(config).unwrap();
    let path = dir.join("cache.redb");
    let length = usize::try_from(fs::metadata(&path).unwrap().len()).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &vec![0xff; length - 4096], 4096).unwrap();
    for key in 0..KEYS {
        if let Some(found) = get(&backend, &key.to_string()) {
            assert_eq!(found.value, value(key));
        }
    }
    set(&backend, "new", b"value");
    assert_eq!(get(&backend, "new"), Some(entry(b"value")));
}
