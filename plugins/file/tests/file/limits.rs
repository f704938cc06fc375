use std::fs;

use larder_core::backend::Deadlines;
use larder_core::policy::{Capacity, HitMode, Policy, PolicyFactory, SlotId, Slots};
use larder_core::{ByteSize, ErrorKind, Problems};

use super::*;

/// What a policy of these tests evicts; the real ones are tried in the tests of the whole.
#[derive(Clone, Copy, Debug)]
enum Least {
    /// Came longest ago, whoever used it.
    Came,
    /// Used least often.
    Hits(HitMode),
    /// Ends soonest.
    Life,
}

#[derive(Debug)]
struct Scan(Least, Vec<SlotId>);

impl PolicyFactory for Least {
    fn kind(&self) -> &str {
        "test.least"
    }

    fn policy(&self, _: Capacity) -> Box<dyn Policy> {
        Box::new(Scan(*self, Vec::new()))
    }
}

impl Policy for Scan {
    fn hit_mode(&self) -> HitMode {
        match self.0 {
            Least::Hits(mode) => mode,
            Least::Came | Least::Life => HitMode::None,
        }
    }

    fn on_insert(&mut self, slot: SlotId, _: &mut dyn Slots) {
        self.1.push(slot);
    }

    fn on_remove(&mut self, slot: SlotId, evicted: bool, _: &mut dyn Slots) {
        assert!(evicted);
        self.1.retain(|kept| *kept != slot);
    }

    fn on_hits(&mut self, hits: &[SlotId], slots: &mut dyn Slots) {
        for slot in hits {
            let before = slots.hits(*slot);
            slots.set_hits(*slot, before + 1);
        }
    }

    fn victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
        assert!(self.1.iter().all(|slot| slots.weight(*slot) > 0 && !slots.is_pinned(*slot)));
        let kept = self.1.iter().copied();
        match self.0 {
            Least::Came => kept.min_by_key(|slot| slot.index()),
            Least::Hits(_) => kept.min_by_key(|slot| (slots.hits(*slot), slot.index())),
            Least::Life => kept.min_by_key(|slot| {
                let end = slots.deadline(*slot);
                (end.is_none(), end, slot.index())
            }),
        }
    }

    fn resize(&mut self, _: Capacity) {}

    fn len(&self) -> usize {
        self.1.len()
    }
}

fn context(policy: Option<Least>, clock: &ManualClock) -> BuildContext {
    let policy = policy.map(|policy| Arc::new(policy) as Arc<dyn PolicyFactory>);
    BuildContext::new("users").clock(Arc::new(clock.clone())).policy(policy)
}

fn limited(dir: &Path, entries: u64, policy: Option<Least>, clock: &ManualClock) -> FileBackend {
    let mut config = FileConfig::new(dir);
    config.max_entries = Some(entries);
    build(config, &context(policy, clock)).unwrap()
}

/// Fills ten places, uses the first three, adds one more, and tells which numbers are left.
fn survivors(policy: Option<Least>) -> Vec<u64> {
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
fn without_a_policy_what_was_used_longest_ago_goes() {
    assert_eq!(survivors(None), [0, 1, 2, 5, 6, 7, 8, 9, 10]);
}

#[test]
fn a_policy_is_told_who_came_first_and_when_entries_end() {
    assert_eq!(survivors(Some(Least::Came)), [2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert_eq!(survivors(Some(Least::Life)), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn a_policy_is_told_of_uses_the_way_it_wants() {
    let modes = [HitMode::Bit, HitMode::Counter { max: 3 }, HitMode::Record, HitMode::Exclusive];
    for mode in modes {
        assert_eq!(survivors(Some(Least::Hits(mode))), [0, 1, 2, 5, 6, 7, 8, 9, 10], "{mode:?}");
    }
}

#[test]
fn a_policy_is_told_how_often_an_entry_was_used() {
    let (_outer, dir) = temporary();
    let clock = ManualClock::new();
    let policy = Some(Least::Hits(HitMode::Counter { max: 3 }));
    let backend = limited(&dir, 10, policy, &clock);
    for number in 0..10 {
        set(&backend, &number.to_string(), b"value");
    }
    for round in 0..3 {
        clock.advance(Duration::from_secs(10));
        for number in (0..10).filter(|number| round < number % 5) {
            assert!(get(&backend, &number.to_string()).is_some());
            assert!(get(&backend, &number.to_string()).is_some(), "at once counts as the same use");
        }
    }
    set(&backend, "10", b"value");
    let left: Vec<u64> =
        (0..11).filter(|number| get(&backend, &number.to_string()).is_some()).collect();
    assert_eq!(left, [1, 2, 3, 4, 6, 7, 8, 9, 10], "0 and 5 were never used");
}

#[test]
fn what_has_expired_goes_first_and_may_be_enough() {
    let (_outer, dir) = temporary();
    let clock = ManualClock::new();
    let backend = limited(&dir, 10, None, &clock);
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
    let backend = limited(&dir, 20, Some(Least::Came), &clock);
    now(backend.set("42", full_entry(&clock))).unwrap();
    now(backend.touch("42", Deadlines::default())).unwrap();
    clock.advance(Duration::from_secs(100));
    for number in 0..=u8::MAX {
        set(&backend, "again", &[number]);
    }
    assert!(get(&backend, "42").is_some(), "after 256 writes what has expired was removed");
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
        let backend = build(config.clone(), &context(None, &clock)).unwrap();
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
    let (first, second) = (limited(&dir, 100, None, &clock), limited(&dir, 100, None, &clock));
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
    let backends = [(); 2].map(|()| limited(&dir, 20, None, &clock));
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
    let backend = limited(&dir, 1, None, &clock);
    let foreign = [
        "notes.txt",
        "v1/tmp/notes.txt",
        "v1/d/notes.txt",
        "v1/d/notes/notes.txt",
        "v1/d/0000000g/00/notes.txt",
        "v1/d/00000000/notes.txt",
        "v1/d/00000000/00/notes.txt",
        "v1/d/00000000/zz/aaaaaaaaaaaaaaaaaaaaaaaaaa",
        "v1/tmp/notes/notes.txt",
        "v1/locks/w-notes.txt",
        "v1/leases/notes.txt",
        "v1/usage/notes.txt",
    ];
    let current = fs::read_dir(dir.join("v1/d")).unwrap().next().unwrap().unwrap().file_name();
    let current = format!("v1/d/{}/ff", current.display());
    let foreign = foreign
        .map(str::to_owned)
        .into_iter()
        .chain([format!("{current}/notes.txt"), format!("{current}/aaaaaaaaaaaaaaaaaaaaaaaaaa")]);
    let foreign: Vec<String> = foreign.collect();
    for file in &foreign {
        fs::create_dir_all(dir.join(file).parent().unwrap()).unwrap();
        fs::write(dir.join(file), "mine").unwrap();
    }
    set(&backend, "a", b"value");
    set(&backend, "b", b"value");
    now(backend.clear()).unwrap();
    clock.advance(Duration::from_secs(1_000_000));
    now(limited(&dir, 1, None, &clock).start()).unwrap();
    for file in &foreign {
        assert_eq!(fs::read_to_string(dir.join(file)).unwrap(), "mine", "{file}");
    }
    assert_eq!(entry_files(&dir).len(), 8, "and nothing else is left");
}

#[test]
fn temporary_files_of_unknown_writers_are_removed_after_an_hour() {
    let (_outer, dir) = temporary();
    let clock = ManualClock::new();
    let start = || now(open_at(&dir, &clock).start()).unwrap();
    start();
    let name = format!("{:016x}-{:016x}-0", clock.wall().as_micros(), 7);
    let orphan = dir.join("v1/tmp").join(name);
    fs::write(&orphan, "half an ent").unwrap();
    clock.advance(Duration::from_secs(3600));
    start();
    assert!(orphan.exists(), "it could still be in progress");
    clock.advance(Duration::from_secs(1));
    start();
    assert!(!orphan.exists());
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
