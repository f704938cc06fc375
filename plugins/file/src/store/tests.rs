use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::thread;

use larder_core::{BuildContext, Bytes, EntryMeta};

use super::*;
use crate::config::FileConfig;

fn entry(value: &'static str) -> Entry {
    Entry { value: Bytes::from_static(value.as_bytes()), meta: EntryMeta::default() }
}

fn files_in(path: &Path) -> usize {
    fs::read_dir(path).unwrap().count()
}

#[test]
fn a_write_is_put_in_place_only_by_the_holder_of_the_lock() {
    let outer = tempfile::tempdir().unwrap();
    let config = FileConfig::new(outer.path().join("cache"));
    let directory = Directory::open(&config, &BuildContext::new("users")).unwrap();
    let directory = &directory;
    directory.set("42", &entry("old"), &AtomicBool::new(false)).unwrap();
    let home = directory.home().unwrap();
    let name = directory.name(&home, "42");
    let aside = home.temporary.path();
    let cancelled = AtomicBool::new(false);
    let (sender, written) = mpsc::channel();
    thread::scope(|scope| {
        let lock = home.lock_shard(name.shard());
        scope.spawn(|| {
            directory.set("42", &entry("new"), &cancelled).unwrap();
            sender.send(()).unwrap();
        });
        while files_in(aside) == 0 && written.try_recv().is_err() {
            thread::yield_now();
        }
        // The file lies aside, or already in place if nobody minds the lock. However long the
        // writer waits, and whether it waits yet: it must see that it is too late.
        for _ in 0..10_000 {
            thread::yield_now();
        }
        assert!(written.try_recv().is_err(), "it did not wait");
        cancelled.store(true, Ordering::Release);
        drop(lock);
    });
    let found = directory.get("42").unwrap();
    assert_eq!(found, Some(entry("old")));
    assert_eq!(files_in(aside), 0);
}

#[test]
fn an_overwrite_leaves_the_new_entry_and_nothing_aside() {
    for durability in [Durability::None, Durability::Data, Durability::Full] {
        let outer = tempfile::tempdir().unwrap();
        let mut config = FileConfig::new(outer.path().join("cache"));
        config.durability = durability;
        config.max_entries = Some(10);
        let directory = Directory::open(&config, &BuildContext::new("users")).unwrap();
        let home = directory.home().unwrap();
        let aside = home.temporary.path();
        for value in ["one", "two", "three"] {
            directory.set("42", &entry(value), &AtomicBool::new(false)).unwrap();
            assert_eq!(directory.get("42").unwrap(), Some(entry(value)));
            assert_eq!(files_in(aside), 0);
            assert_eq!(home.usage.total().entries, 1);
        }
    }
}
