//! What the disk, the system and other programs can do to a cache.

use std::fs;

use larder_core::backend::{Lease, ScanRequest};
use larder_core::{ByteSize, ErrorKind};

use super::*;

#[cfg(unix)]
mod children;

#[test]
fn a_key_that_is_too_long_is_refused_with_a_reason() {
    let (_outer, dir) = temporary();
    let backend = open(&dir);
    let long = "k".repeat(64 * 1024);
    let value = entry(b"value");
    let errors = [
        now(backend.set(&long, value.clone())).unwrap_err(),
        now(backend.put_if_newer(&long, value.clone())).unwrap_err(),
        now(backend.lease(&long, Duration::from_secs(1))).unwrap_err(),
        now(backend.set("", value)).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Key, "{error}");
        assert!(error.to_string().contains("hint: "), "{error}");
    }
    assert_eq!(get(&backend, &long), None);
    assert!(!now(backend.delete(&long)).unwrap());
    assert!(entry_files(&dir).is_empty());
}

#[cfg(unix)]
#[test]
fn a_root_that_becomes_a_link_is_not_followed() {
    let (outer, dir) = temporary();
    let backend = open(&dir);
    set(&backend, "42", b"value");
    let (moved, target) = (outer.path().join("moved"), outer.path().join("target"));
    fs::create_dir(&target).unwrap();
    fs::rename(&dir, &moved).unwrap();
    std::os::unix::fs::symlink(&target, &dir).unwrap();
    for _ in 0..2 {
        let error = now(backend.set("42", entry(b"new"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
        now(backend.get("42")).unwrap_err();
        now(backend.delete("42")).unwrap_err();
        now(backend.clear()).unwrap_err();
    }
    assert_eq!(files_below(&target), Vec::<PathBuf>::new());
    fs::remove_file(&dir).unwrap();
    fs::rename(&moved, &dir).unwrap();
    assert_eq!(get(&backend, "42"), Some(entry(b"value")), "it is the same directory again");
}

#[cfg(unix)]
#[test]
fn a_directory_inside_that_becomes_a_link_is_not_followed() {
    let (outer, dir) = temporary();
    let backend = open(&dir);
    set(&backend, "42", b"value");
    let file = only_file(&dir);
    let shard = file.parent().unwrap();
    let target = outer.path().join("target");
    fs::rename(shard, &target).unwrap();
    std::os::unix::fs::symlink(&target, shard).unwrap();
    let bytes = fs::read(target.join(file.file_name().unwrap())).unwrap();
    assert_eq!(get(&backend, "42"), None);
    assert!(!now(backend.delete("42")).unwrap());
    now(backend.set("42", entry(b"new"))).unwrap_err();
    assert_eq!(fs::read(target.join(file.file_name().unwrap())).unwrap(), bytes);
    now(backend.clear()).unwrap();
    assert_eq!(files_below(&target).len(), 1, "nor while garbage is removed");
    set(&backend, "42", b"new");
    assert_eq!(get(&backend, "42"), Some(entry(b"new")));
}

/// What the file system tells while somebody else removes what it works on.
fn is_of_the_disk(error: &larder_core::CacheError) -> bool {
    matches!(error.kind(), ErrorKind::Connection | ErrorKind::Config)
}

#[test]
fn others_may_remove_files_and_whole_trees_at_any_moment() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let (_outer, dir) = temporary();
    let backend = open(&dir);
    let (backend, dir) = (&backend, dir.as_path());
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let is_over = &is_over;
    let work = move |worker: u64| {
        let mut random = fastrand::Rng::with_seed(seed ^ worker);
        for _ in 0..400 {
            let key = random.u8(..30).to_string();
            let value = key.repeat(random.usize(1..500));
            let done = match random.u8(..12) {
                0 => now(backend.delete(&key)).map(|_| ()),
                1 => now(backend.touch(&key, Default::default())).map(|_| ()),
                2 => now(backend.clear()),
                3 => now(backend.scan(ScanRequest::all())).map(|_| ()),
                4 => now(backend.put_if_newer(&key, entry(value.as_bytes()))).map(|_| ()),
                5..=8 => now(backend.set(&key, entry(value.as_bytes()))),
                _ => now(backend.get(&key)).map(|found| {
                    if let Some(found) = found {
                        let times = found.value.len() / key.len();
                        assert_eq!(found.value, key.repeat(times));
                    }
                }),
            };
            assert!(done.as_ref().err().is_none_or(is_of_the_disk), "{done:?}");
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..3).map(|worker| scope.spawn(move || work(worker))).collect();
        scope.spawn(move || {
            let mut random = fastrand::Rng::with_seed(seed ^ 77);
            let parts = ["", "v1", "v1/d", "v1/tmp", "v1/locks", "v1/leases", "v1/usage"];
            while !is_over.load(std::sync::atomic::Ordering::Acquire) {
                let part = dir.join(parts[random.usize(..parts.len())]);
                // It may be gone already, or be filled at this moment.
                fs::remove_dir_all(part).ok();
                fs::remove_file(dir.join("v1/meta.toml")).ok();
                std::thread::yield_now();
            }
        });
        for worker in workers {
            worker.join().unwrap();
        }
        is_over.store(true, std::sync::atomic::Ordering::Release);
    });
    set(backend, "42", b"value");
    assert_eq!(get(backend, "42"), Some(entry(b"value")), "afterwards all is well");
}

#[test]
fn files_that_somebody_removed_are_counted_again() {
    let (_outer, dir) = temporary();
    let backend = open(&dir);
    for number in 0..20 {
        set(&backend, &number.to_string(), b"value");
    }
    for file in &entry_files(&dir)[..15] {
        fs::remove_file(file).unwrap();
    }
    assert_eq!(now(backend.health()).unwrap().entries, Some(20), "nobody noticed");
    for number in 0..=u8::MAX {
        set(&backend, "again", &[number]);
    }
    let files = entry_files(&dir);
    let bytes: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
    let health = now(backend.health()).unwrap();
    assert_eq!((health.entries, health.bytes), (Some(files.len() as u64), Some(bytes)));
}

#[test]
fn what_was_written_without_counters_is_counted_when_the_directory_is_opened() {
    let (_outer, dir) = temporary();
    set(&open(&dir), "42", b"value");
    fs::remove_dir_all(dir.join("v1/usage")).unwrap();
    let health = now(open(&dir).health()).unwrap();
    assert_eq!(health.entries, Some(1));
}

#[cfg(unix)]
#[test]
fn a_reserve_that_cannot_be_kept_refuses_writes_and_rests_before_it_tries_again() {
    let (_outer, dir) = temporary();
    let clock = ManualClock::new();
    let context = BuildContext::new("users").clock(Arc::new(clock.clone()));
    set(&open_at(&dir, &clock), "42", b"old");
    set(&open_at(&dir, &clock), "43", b"other");
    let mut config = FileConfig::new(&dir);
    config.min_free = Some(ByteSize(u64::MAX / 2));
    let backend = build(config, &context).unwrap();
    let error = now(backend.set("42", entry(b"new"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capacity);
    assert!(entry_files(&dir).is_empty(), "all went to make room");
    let degraded = || now(backend.health()).unwrap().degraded;
    assert_eq!(degraded().as_deref(), Some("the disk is full: writes fail for a while"));
    set(&open_at(&dir, &clock), "43", b"other");
    now(backend.set("42", entry(b"new"))).unwrap_err();
    assert_eq!(entry_files(&dir).len(), 1, "for a second nothing is tried");
    clock.advance(Duration::from_secs(1));
    assert_eq!(degraded(), None);
    now(backend.set("42", entry(b"new"))).unwrap_err();
    assert!(entry_files(&dir).is_empty(), "then it is");
}

#[test]
fn only_what_is_newer_is_put() {
    let (_outer, dir) = temporary();
    let (first, second) = (open(&dir), open(&dir));
    let stamped = |time: u64, origin: u32| {
        let mut stamped = entry(format!("{time}.{origin}").as_bytes());
        stamped.meta.stamp = Stamp { time: larder_core::Timestamp::from_micros(time), origin };
        stamped
    };
    let put = |backend: &FileBackend, entry: Entry| now(backend.put_if_newer("42", entry)).unwrap();
    assert!(put(&first, stamped(5, 1)));
    assert!(!put(&second, stamped(5, 1)), "the same is not newer");
    assert!(!put(&second, stamped(4, 9)));
    assert!(put(&second, stamped(5, 2)));
    assert_eq!(get(&first, "42"), Some(stamped(5, 2)));
    let path = only_file(&dir);
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(put(&first, stamped(1, 1)), "a damaged entry keeps none out");
    now(first.set("42", stamped(0, 0))).unwrap();
    assert_eq!(get(&first, "42"), Some(stamped(0, 0)), "a plain write does not ask");
    now(first.clear()).unwrap();
    assert!(put(&second, stamped(0, 0)));
    assert!(files_below(&dir.join("v1/tmp")).is_empty());
}

#[test]
fn the_newest_of_many_writers_stays() {
    let (_outer, dir) = temporary();
    let backends = [open(&dir), open(&dir)];
    let put = |backend: &FileBackend, number: u32| {
        let mut newer = entry(&number.to_be_bytes());
        newer.meta.stamp.origin = number;
        now(backend.put_if_newer("42", newer)).unwrap();
    };
    let put = &put;
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let backend = &backends[worker as usize % 2];
            scope.spawn(move || (0..200).for_each(|number| put(backend, number * 4 + worker)));
        }
    });
    assert_eq!(get(&backends[0], "42").unwrap().value, 799_u32.to_be_bytes()[..]);
}

#[cfg(unix)]
#[test]
fn a_lease_ends_with_its_time_with_a_write_and_with_a_delete() {
    let (_outer, dir) = temporary();
    let clock = ManualClock::new();
    let (first, second) = (open_at(&dir, &clock), open_at(&dir, &clock));
    let minute = Duration::from_secs(60);
    let lease = |backend: &FileBackend| now(backend.lease("42", minute)).unwrap();
    let is_granted = |backend: &FileBackend| matches!(lease(backend), Lease::Granted { .. });
    assert!(is_granted(&first));
    clock.advance(Duration::from_secs(20));
    let held = Lease::Held { remaining: Some(Duration::from_secs(40)) };
    assert_eq!((lease(&first), lease(&second)), (held.clone(), held));
    assert!(matches!(now(first.lease("43", minute)).unwrap(), Lease::Granted { .. }));
    clock.advance(Duration::from_secs(40));
    assert!(is_granted(&second), "its time is over");
    assert!(!is_granted(&first));
    now(first.delete("42")).unwrap();
    assert!(is_granted(&first), "the key was deleted, though it was not there");
    set(&second, "42", b"value");
    assert!(is_granted(&second), "the key was written");
    let Lease::Granted { token } = now(second.lease("44", minute)).unwrap() else { panic!() };
    let Lease::Granted { token: other } = now(second.lease("45", minute)).unwrap() else {
        panic!()
    };
    assert_ne!(token, other);
    now(second.start()).unwrap();
    assert!(!is_granted(&first), "a sweep leaves the leases of the living alone");
}

#[test]
fn a_process_that_was_stopped_in_a_clear_does_not_block_the_others_for_ever() {
    let (_outer, dir) = temporary();
    let (backend, other) = (open(&dir), open(&dir));
    set(&backend, "42", b"value");
    now(other.clear()).unwrap();
    // Another open file is to the lock what another process is.
    let held = fs::File::open(dir.join("v1/locks/meta")).unwrap();
    held.lock().unwrap();
    let (sender, found) = std::sync::mpsc::channel();
    let waiting = backend.clone();
    std::thread::spawn(move || {
        for error in [
            now(waiting.get("42")).unwrap_err(),
            now(waiting.set("42", entry(b"new"))).unwrap_err(),
            now(waiting.clear()).unwrap_err(),
        ] {
            sender.send(error).unwrap();
        }
    });
    for _ in 0..3 {
        let error = found.recv_timeout(Duration::from_secs(60)).expect("it does not hang");
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert!(error.to_string().contains("hint: "), "{error}");
    }
    drop(held);
    assert_eq!(get(&backend, "42"), None);
    set(&backend, "42", b"new");
    assert_eq!(get(&backend, "42"), Some(entry(b"new")));
}
