use std::collections::BTreeSet;
use std::fs;
use std::sync::mpsc;

use larder_core::backend::{Deadlines, ScanRequest};
use larder_core::{ErrorKind, Registry, Slot};

use super::*;

#[test]
fn an_entry_comes_back_with_all_its_meta() {
    let (_outer, dir) = temporary();
    let clock = ManualClock::new();
    let stored = full_entry(&clock);
    let backend = open_at(&dir, &clock);
    now(backend.set("42", stored.clone())).unwrap();
    assert_eq!(get(&backend, "42"), Some(stored.clone()));
    assert_eq!(now(backend.meta("42")).unwrap(), Some(stored.meta.clone()));
    assert!(now(backend.exists("42")).unwrap());
    drop(backend);
    let reopened = open_at(&dir, &clock);
    assert_eq!(get(&reopened, "42"), Some(stored), "entries outlive the process");
    assert_eq!(get(&reopened, "43"), None);
}

#[test]
fn the_last_set_wins_and_leaves_one_file() {
    let (_outer, dir) = temporary();
    let backend = open(&dir);
    for value in [&b"first"[..], b"", &[7; 3_000_000], b"last"] {
        set(&backend, "42", value);
        assert_eq!(get(&backend, "42"), Some(entry(value)));
    }
    only_file(&dir);
    assert_eq!(files_below(&dir.join("v1/tmp")), Vec::<PathBuf>::new());
}

#[test]
fn delete_tells_whether_there_was_an_entry() {
    let (_outer, dir) = temporary();
    let clock = ManualClock::new();
    let backend = open_at(&dir, &clock);
    assert!(!now(backend.delete("42")).unwrap());
    set(&backend, "42", b"value");
    assert!(now(backend.delete("42")).unwrap());
    assert_eq!(get(&backend, "42"), None);
    now(backend.set("42", full_entry(&clock))).unwrap();
    clock.advance(Duration::from_secs(60));
    assert!(!now(backend.delete("42")).unwrap(), "it was dead already");
    assert!(entry_files(&dir).is_empty());
}

#[test]
fn an_entry_lives_until_its_hard_deadline() {
    let (_outer, dir) = temporary();
    let clock = ManualClock::new();
    let backend = open_at(&dir, &clock);
    now(backend.set("42", full_entry(&clock))).unwrap();
    clock.advance(Duration::from_micros(59_999_999));
    assert!(get(&backend, "42").is_some(), "stale, but alive");
    clock.advance(Duration::from_micros(1));
    assert_eq!(get(&backend, "42"), None);
    assert!(entry_files(&dir).is_empty(), "a dead entry is removed when it is found");
    assert_eq!(corrupt(&backend), 0);
}

#[test]
fn touch_moves_the_deadlines_and_nothing_else() {
    let (_outer, dir) = temporary();
    let clock = ManualClock::new();
    let backend = open_at(&dir, &clock);
    let deadlines =
        Deadlines { soft: None, hard: Some(clock.wall().after(Duration::from_secs(600))) };
    assert!(!now(backend.touch("42", deadlines)).unwrap());
    let mut expected = full_entry(&clock);
    now(backend.set("42", expected.clone())).unwrap();
    assert!(now(backend.touch("42", deadlines)).unwrap());
    expected.meta.soft_deadline = deadlines.soft;
    expected.meta.hard_deadline = deadlines.hard;
    clock.advance(Duration::from_secs(599));
    assert_eq!(get(&backend, "42"), Some(expected));
    clock.advance(Duration::from_secs(1));
    assert!(!now(backend.touch("42", Deadlines::default())).unwrap());
    assert_eq!(get(&backend, "42"), None, "touch does not wake the dead");
}

#[test]
fn clear_empties_the_directory_for_every_backend_on_it() {
    let (_outer, dir) = temporary();
    let (first, second) = (open(&dir), open(&dir));
    for round in 0..20_u8 {
        set(&first, "a", &[round]);
        set(&second, "b", &[round]);
        assert_eq!(get(&second, "a"), Some(entry(&[round])));
        assert_eq!(get(&first, "b"), Some(entry(&[round])));
        let stored = entry_files(&dir).remove(0);
        let bytes = fs::read(&stored).unwrap();
        now(first.clear()).unwrap();
        assert!(entry_files(&dir).is_empty());
        assert_eq!((get(&second, "a"), get(&second, "b")), (None, None));
        // A writer that began before the clear and finished after it.
        fs::create_dir_all(stored.parent().unwrap()).unwrap();
        fs::write(&stored, bytes).unwrap();
        assert_eq!((get(&second, "a"), get(&first, "a")), (None, None));
        assert_eq!((get(&second, "b"), get(&first, "b")), (None, None));
    }
    assert_eq!(corrupt(&first) + corrupt(&second), 0);
}

#[test]
fn keys_are_never_part_of_a_path_and_never_mixed_up() {
    let (outer, dir) = temporary();
    let backend = open(&dir);
    let long = "k".repeat(1024);
    let keys = [
        "../../etc/passwd",
        "/etc/passwd",
        "..",
        ".",
        "a\0b",
        "a",
        "A",
        "CON",
        "NUL",
        "\u{202e}",
        "💥",
        " ",
        "a/b",
        "a\\b",
        "é",
        "e\u{301}",
        &long,
    ];
    for key in keys {
        set(&backend, key, key.as_bytes());
    }
    for key in keys {
        assert_eq!(get(&backend, key), Some(entry(key.as_bytes())), "{key:?}");
    }
    assert_eq!(entry_files(&dir).len(), keys.len());
    for file in entry_files(&dir) {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(name.len() == 26 && name.bytes().all(|b| b.is_ascii_alphanumeric()));
    }
    let beside: Vec<_> = fs::read_dir(outer.path()).unwrap().collect();
    assert_eq!(beside.len(), 1, "nothing is written outside the directory");
}

#[test]
fn scan_lists_every_live_key_once_in_pages() {
    let (_outer, dir) = temporary();
    let clock = ManualClock::new();
    let backend = open_at(&dir, &clock);
    let mut expected = BTreeSet::new();
    for number in 0..300 {
        expected.insert(format!("user:{number}"));
        set(&backend, &format!("user:{number}"), b"value");
        set(&backend, &format!("group:{number}"), b"value");
    }
    now(backend.set("user:dead", full_entry(&clock))).unwrap();
    clock.advance(Duration::from_secs(60));
    let mut found = Vec::new();
    let mut request = ScanRequest::all().prefix("user:").limit(7);
    loop {
        let page = now(backend.scan(request.clone())).unwrap();
        assert!(page.keys.len() <= 7);
        found.extend(page.keys);
        let Some(next) = page.next else { break };
        request = request.from_cursor(Some(next));
    }
    assert_eq!(found.len(), expected.len());
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
    for made_up in ["../../etc", "zz", "é", "ff/zzzz"] {
        let request = ScanRequest::all().from_cursor(Some(made_up.into()));
        now(backend.scan(request)).unwrap();
    }
}

#[test]
fn a_set_that_fails_leaves_no_entry_and_no_temporary_file() {
    let (_outer, dir) = temporary();
    let backend = open(&dir);
    set(&backend, "42", b"old");
    let temporary = dir.join("v1/tmp");
    fs::remove_dir(&temporary).unwrap();
    fs::write(&temporary, "in the way").unwrap();
    let error = now(backend.set("42", entry(b"new"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert_eq!(error.operation(), Some("set"));
    assert_eq!(get(&backend, "42"), None, "neither the new value nor the old one");
    fs::remove_file(&temporary).unwrap();
    fs::create_dir(&temporary).unwrap();
    set(&backend, "42", b"new");
    let in_the_way = only_file(&dir);
    fs::remove_file(&in_the_way).unwrap();
    fs::create_dir_all(in_the_way.join("full")).unwrap();
    now(backend.set("42", entry(b"new"))).unwrap_err();
    assert!(files_below(&temporary).is_empty());
}

#[test]
fn too_many_tags_are_an_error_of_set() {
    let (_outer, dir) = temporary();
    let backend = open(&dir);
    let mut tagged = entry(b"value");
    tagged.meta.tags = vec![TagStamp { tag: 1, version: 1 }; 33];
    let error = now(backend.set("42", tagged)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capacity);
}

#[test]
fn a_directory_that_is_deleted_while_in_use_is_made_anew() {
    let (_outer, dir) = temporary();
    let backend = open(&dir);
    set(&backend, "42", b"value");
    fs::remove_dir_all(&dir).unwrap();
    assert_eq!(get(&backend, "42"), None);
    set(&backend, "42", b"value");
    assert_eq!(get(&backend, "42"), Some(entry(b"value")));
}

/// A runtime whose only blocking thread waits until the sender speaks or is gone.
fn busy_runtime() -> (tokio::runtime::Runtime, mpsc::Sender<()>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    let (sender, receiver) = mpsc::channel::<()>();
    runtime.spawn_blocking(move || receiver.recv());
    (runtime, sender)
}

#[test]
fn inside_a_runtime_the_work_goes_to_its_blocking_pool() {
    let (_outer, dir) = temporary();
    let backend = open(&dir);
    let (runtime, release) = busy_runtime();
    runtime.block_on(async {
        let mut first = pin!(backend.set("42", entry(b"value")));
        let mut context = Context::from_waker(Waker::noop());
        assert!(first.as_mut().poll(&mut context).is_pending());
        assert!(entry_files(&dir).is_empty(), "it waits for a thread of the pool");
        drop(release);
        first.await.unwrap();
        assert_eq!(backend.get("42").await.unwrap(), Some(entry(b"value")));
    });
}

#[test]
fn work_whose_future_was_dropped_has_no_effect_later() {
    let (_outer, dir) = temporary();
    let backend = open(&dir);
    set(&backend, "42", b"kept");
    let (runtime, release) = busy_runtime();
    runtime.block_on(async {
        let deadlines =
            Deadlines { soft: None, hard: Some(larder_core::Timestamp::from_micros(1)) };
        let mut context = Context::from_waker(Waker::noop());
        assert!(backend.set("42", entry(b"late")).as_mut().poll(&mut context).is_pending());
        assert!(backend.delete("42").as_mut().poll(&mut context).is_pending());
        assert!(backend.touch("42", deadlines).as_mut().poll(&mut context).is_pending());
        drop(release);
        // The pool has one thread, so this comes after all that was dropped.
        assert_eq!(backend.get("42").await.unwrap(), Some(entry(b"kept")));
    });
    assert!(files_below(&dir.join("v1/tmp")).is_empty());
}

#[test]
fn it_is_registered() {
    let _ = larder_file::FILE;
    assert!(Registry::linked().find(Slot::Backend, "file").is_some());
}

#[test]
fn touch_writes_the_deadline_where_the_collector_reads_it() {
    let (_outer, dir) = temporary();
    let clock = ManualClock::new();
    let backend = open_at(&dir, &clock);
    now(backend.set("42", full_entry(&clock))).unwrap();
    let modified = || only_file(&dir).metadata().unwrap().modified().unwrap();
    let hard = clock.wall().after(Duration::from_secs(500));
    now(backend.touch("42", Deadlines { soft: None, hard: Some(hard) })).unwrap();
    assert_eq!(modified(), hard.to_system_time());
    now(backend.touch("42", Deadlines::default())).unwrap();
    assert_eq!(modified(), std::time::SystemTime::UNIX_EPOCH, "the sign of no deadline");
}
