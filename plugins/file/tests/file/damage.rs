use std::fs;

use super::*;

const DEADLINES_AT: usize = 28 + "users42".len() + 24;

#[test]
fn a_changed_byte_never_gives_a_wrong_value() {
    let (_outer, dir) = temporary();
    let backend = open(&dir);
    set(&backend, "42", b"value");
    let path = only_file(&dir);
    let whole = fs::read(&path).unwrap();
    for index in 0..whole.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[index] ^= change;
            fs::write(&path, &bytes).unwrap();
            let before = corrupt(&backend);
            let found = get(&backend, "42");
            if (DEADLINES_AT..DEADLINES_AT + 16).contains(&index) {
                // The checksums leave the deadlines out, for `touch` to move them in place.
                assert!(found.is_none_or(|found| found.value == "value"));
            } else {
                assert_eq!(found, None, "byte {index}");
                assert!(!path.exists(), "byte {index}: what is corrupt is removed");
                assert_eq!(corrupt(&backend), before + 1);
            }
        }
    }
}

#[test]
fn a_truncated_or_longer_file_is_a_miss_at_every_length() {
    let (_outer, dir) = temporary();
    let backend = open(&dir);
    set(&backend, "42", b"value");
    let path = only_file(&dir);
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(get(&backend, "42"), None, "length {length}");
        assert!(!path.exists());
    }
    fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
    assert_eq!(get(&backend, "42"), None);
    assert_eq!(corrupt(&backend), whole.len() as u64 + 1);
    fs::write(&path, &whole).unwrap();
    assert_eq!(get(&backend, "42"), Some(entry(b"value")), "the bytes were right");
}

#[test]
fn random_files_never_give_a_value_and_never_panic() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (_outer, dir) = temporary();
    let backend = open(&dir);
    set(&backend, "42", b"value");
    let path = only_file(&dir);
    let whole = fs::read(&path).unwrap();
    for round in 0..1000 {
        let mut bytes = vec![0; random.usize(..200)];
        random.fill(&mut bytes);
        if round % 2 == 0 {
            let same = random.usize(..=whole.len().min(bytes.len()));
            bytes[..same].copy_from_slice(&whole[..same]);
        }
        fs::write(&path, &bytes).unwrap();
        assert!(get(&backend, "42").is_none_or(|found| found.value == "value"));
        fs::write(&path, &bytes).unwrap();
        now(backend.touch("42", Default::default())).unwrap();
        now(backend.scan(Default::default())).unwrap();
        now(backend.delete("42")).unwrap();
    }
}

#[test]
fn the_file_of_another_key_is_a_miss_and_stays() {
    let (_outer, dir) = temporary();
    let backend = open(&dir);
    set(&backend, "42", b"value");
    let first = only_file(&dir);
    set(&backend, "43", b"other");
    let second = entry_files(&dir).into_iter().find(|path| *path != first).unwrap();
    fs::copy(&first, &second).unwrap();
    assert_eq!(get(&backend, "43"), None, "as if two keys had the same name");
    assert!(!now(backend.delete("43")).unwrap());
    assert!(!now(backend.touch("43", Default::default())).unwrap());
    assert!(second.exists(), "it may be right for the other key");
    assert_eq!(corrupt(&backend), 0);
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_a_miss_and_its_target_is_not_touched() {
    let (outer, dir) = temporary();
    let backend = open(&dir);
    set(&backend, "42", b"value");
    let path = only_file(&dir);
    let outside = outer.path().join("outside");
    fs::copy(&path, &outside).unwrap();
    let bytes = fs::read(&outside).unwrap();
    for _ in 0..2 {
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&outside, &path).unwrap();
        assert_eq!(get(&backend, "42"), None, "a link is not followed");
        assert_eq!(fs::read(&outside).unwrap(), bytes);
        std::os::unix::fs::symlink(&outside, &path).unwrap();
        set(&backend, "42", b"new");
        assert_eq!(fs::read(&outside).unwrap(), bytes);
        assert!(!path.is_symlink());
    }
    fs::remove_file(&path).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    assert_eq!(get(&backend, "42"), None, "a pipe does not block");
    set(&backend, "42", b"new");
    assert_eq!(get(&backend, "42"), Some(entry(b"new")));
}

#[test]
fn counters_that_were_damaged_are_counted_again() {
    let (_outer, dir) = temporary();
    let mut config = FileConfig::new(&dir);
    config.max_entries = Some(100);
    let backend = build(config, &BuildContext::new("users")).unwrap();
    for number in 0..10 {
        set(&backend, &number.to_string(), b"value");
    }
    let mut counters = files_below(&dir.join("v1/usage"));
    let counters = counters.pop().unwrap();
    for damage in [0xff, 0x80, 0x01] {
        fs::write(&counters, [damage; 4096]).unwrap();
        set(&backend, "10", b"value");
        let entries = now(backend.health()).unwrap().entries;
        assert_eq!(entries, Some(entry_files(&dir).len() as u64), "after {damage:x}");
    }
}
