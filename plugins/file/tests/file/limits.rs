use std::fs;

use larder_core::backend::Deadlines;
use larder_core::policy::{Capacity, Policy, PolicyFactory};
use larder_core::{ByteSize, ErrorKind, Problems};

use super::*;

#[derive(Debug)]
struct Named(&'static str);

impl PolicyFactory for Named {
    fn kind(&self) -> &str {
        self.0
    }

    fn policy(&self, _: Capacity) -> Box<dyn Policy> {
        unreachable!("the file backend evicts by itself")
    }
}

fn context(policy: &'static str, clock: &ManualClock) -> BuildContext {
    BuildContext::new("users").clock(Arc::new(clock.clone())).policy(Some(Arc::new(Named(policy))))
}

fn limited(dir: &Path, entries: u64, policy: &'static str, clock: &ManualClock) -> FileBackend {
    let mut config = FileConfig::new(dir);
    config.max_entries = Some(entries);
    build(config, &context(policy, clock)).unwrap()
}

/// Fills ten places, uses the first three, adds one more, and tells which numbers are left.
fn survivors(policy: &'static str) -> Vec<u64> {
    let (_outer, dir) = temporary();
    let clock = ManualClock::new();
    let backend = limited(&dir, 10, policy, &clock);
    let mut add = |number: u64| {
        clock.advance(Duration::from_secs(60));
        let mut value = entry(b"value");
        // The later it comes, the sooner it ends; every fourth never does.
        let life = Duration::from_secs(100_000 - 100 * number);
        value.meta.hard_deadline = (!number.is_multiple_of(4)).then(|| clock.wall().after(life));
        now(backend.set(&number.to_string(), value)).unwrap();
    };
    (0..10).for_each(&mut add);
    clock.advance(Duration::from_secs(60));
    for number in 0..3_u64 {
        assert!(get(&backend, &number.to_string()).is_some());
    }
    add(10);
    let left = |number: &u64| get(&backend, &number.to_string()).is_some();
    (0..11).filter(left).collect()
}

#[test]
fn lru_removes_what_was_used_longest_ago() {
    assert_eq!(survivors("lru"), [0, 1, 2, 5, 6, 7, 8, 9, 10]);
}

#[test]
fn fifo_removes_what_was_written_longest_ago() {
    assert_eq!(survivors("fifo"), [2, 3, 4, 5, 6, 7, 8, 9, 10]);
}

#[test]
fn ttl_removes_what_ends_soonest() {
    assert_eq!(survivors("ttl"), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn random_removes_two_of_eleven() {
    assert_eq!(survivors("random").len(), 9);
}

#[test]
fn what_has_expired_goes_first_and_may_be_enough() {
    let (_outer, dir) = temporary();
    let clock = ManualClock::new();
    let backend = limited(&dir, 10, "lru", &clock);
    for number in 0..5 {
        set(&backend, &format!("old:{number}"), b"value");
    }
    for number in 0..5 {
        now(backend.set(&format!("short:{number}"), full_entry(&clock))).unwrap();
    }
    clock.advance(Duration::from_secs(60));
    set(&backend, "new", b"value");
    assert_eq!(entry_files(&dir).len(), 6);
    for number in 0..5 {
        assert!(get(&backend, &format!("old:{number}")).is_some());
    }
}

#[test]
fn an_entry_whose_life_was_prolonged_does_not_count_as_expired() {
    let (_outer, dir) = temporary();
    let clock = ManualClock::new();
    let backend = limited(&dir, 20, "fifo", &clock);
    now(backend.set("42", full_entry(&clock))).unwrap();
    now(backend.touch("42", Deadlines::default())).unwrap();
    clock.advance(Duration::from_secs(100));
    for number in 0..30 {
        set(&backend, "again", &[number]);
    }
    assert!(get(&backend, "42").is_some(), "every sixth write removes what has expired");
}

#[test]
fn bytes_are_limited_counted_and_counted_again_after_a_restart() {
    let (_outer, dir) = temporary();
    let clock = ManualClock::new();
    let mut config = FileConfig::new(&dir);
    config.max_bytes = Some(ByteSize(20_000));
    let on_disk = || {
        let files = entry_files(&dir);
        let bytes: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
        (files.len() as u64, bytes)
    };
    for _ in 0..2 {
        let backend = build(config.clone(), &context("lru", &clock)).unwrap();
        for number in 0..100 {
            clock.advance(Duration::from_secs(1));
            set(&backend, &format!("{}", number % 70), &[1; 1000]);
            assert!(on_disk().1 <= 20_000);
            let health = now(backend.health()).unwrap();
            assert_eq!((health.entries, health.bytes), (Some(on_disk().0), Some(on_disk().1)));
        }
        assert!(on_disk().0 >= 15, "no more than needed is removed");
    }
}

#[test]
fn an_entry_larger_than_the_cache_is_refused_and_the_old_one_goes() {
    let (_outer, dir) = temporary();
    let mut config = FileConfig::new(&dir);
    config.max_bytes = Some(ByteSize(1000));
    let backend = build(config, &BuildContext::new("users")).unwrap();
    set(&backend, "42", b"old");
    let error = now(backend.set("42", entry(&[0; 1000]))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capacity);
    assert_eq!(error.context("max_size"), Some("1000"));
    assert_eq!(get(&backend, "42"), None);
}

#[test]
fn another_process_is_counted_before_it_can_do_much_harm() {
    let (_outer, dir) = temporary();
    let clock = ManualClock::new();
    let (first, second) = (limited(&dir, 100, "lru", &clock), limited(&dir, 100, "lru", &clock));
    for number in 0..400 {
        set(&first, &format!("a:{number}"), b"value");
        set(&second, &format!("b:{number}"), b"value");
        assert!(entry_files(&dir).len() <= 150);
    }
}

#[test]
fn readers_writers_and_collectors_never_see_a_wrong_value() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let (_outer, dir) = temporary();
    let clock = ManualClock::new();
    let backends = [(); 2].map(|()| limited(&dir, 20, "lru", &clock));
    let (backends_of_all, clock) = (&backends, &clock);
    let work = move |worker: u8| {
        let mut random = fastrand::Rng::with_seed(seed ^ u64::from(worker));
        let backend = &backends_of_all[usize::from(worker % 2)];
        for _ in 0..500 {
            let key = random.u8(..40).to_string();
            let value = key.repeat(random.usize(1..500));
            match random.u8(..10) {
                0 => {
                    now(backend.delete(&key)).unwrap();
                }
                1 => clock.advance(Duration::from_secs(1)),
                2 => {
                    let soon = Some(clock.wall().after(Duration::from_secs(3)));
                    let deadlines = Deadlines { soft: soon, hard: soon };
                    now(backend.touch(&key, deadlines)).unwrap();
                }
                3..=5 => set(backend, &key, value.as_bytes()),
                _ => {
                    if let Some(found) = get(backend, &key) {
                        let times = found.value.len() / key.len();
                        assert_eq!(found.value, key.repeat(times));
                    }
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for worker in 0..4 {
            scope.spawn(move || work(worker));
        }
    });
    assert_eq!(backends.iter().map(corrupt).sum::<u64>(), 0);
    assert!(entry_files(&dir).len() <= 30);
}

#[test]
fn foreign_files_are_neither_counted_nor_removed() {
    let (_outer, dir) = temporary();
    let clock = ManualClock::new();
    let backend = limited(&dir, 1, "lru", &clock);
    let foreign = [
        "notes.txt",
        "v1/tmp/notes.txt",
        "v1/d/notes.txt",
        "v1/d/00/notes.txt",
        "v1/d/zz/aaaaaaaaaaaaaaaaaaaaaaaaaa",
        "v1/d/ff/aaaaaaaaaaaaaaaaaaaaaaaaaa",
    ];
    for file in foreign {
        fs::create_dir_all(dir.join(file).parent().unwrap()).unwrap();
        fs::write(dir.join(file), "mine").unwrap();
    }
    set(&backend, "a", b"value");
    set(&backend, "b", b"value");
    now(backend.clear()).unwrap();
    clock.advance(Duration::from_secs(1_000_000));
    drop(limited(&dir, 1, "lru", &clock));
    for file in foreign {
        assert_eq!(fs::read_to_string(dir.join(file)).unwrap(), "mine", "{file}");
    }
    assert_eq!(entry_files(&dir).len(), 4, "and nothing else is left");
}

#[test]
fn temporary_files_of_a_crash_are_removed_after_an_hour() {
    let (_outer, dir) = temporary();
    let clock = ManualClock::new();
    open_at(&dir, &clock);
    let name = format!("{:016x}-{:016x}-0", clock.wall().as_micros(), 7);
    let orphan = dir.join("v1/tmp").join(name);
    fs::write(&orphan, "half an ent").unwrap();
    clock.advance(Duration::from_secs(3600));
    open_at(&dir, &clock);
    assert!(orphan.exists(), "it could still be in progress");
    clock.advance(Duration::from_secs(1));
    open_at(&dir, &clock);
    assert!(!orphan.exists());
}

#[test]
fn an_unknown_policy_is_refused_with_a_list() {
    let (_outer, dir) = temporary();
    let clock = ManualClock::new();
    let error = build(FileConfig::new(&dir), &context("sieve", &clock)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.context("found"), Some("sieve"));
    assert_eq!(error.context("expected"), Some("lru, fifo, ttl or random"));
    assert!(!dir.exists());
}

#[test]
fn limits_of_zero_and_an_empty_directory_are_problems() {
    let mut config = FileConfig::new("");
    config.max_entries = Some(0);
    config.max_bytes = Some(ByteSize(0));
    let problems: Problems = config.validate(&Default::default()).unwrap_err();
    let paths: Vec<_> = problems.iter().map(|problem| problem.path.to_string()).collect();
    assert_eq!(paths, ["dir", "max_bytes", "max_entries"]);
}
