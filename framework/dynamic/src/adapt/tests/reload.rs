//! New versions of a library while the old ones are in use.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use larder_core::library::{LibraryRequest, Trust};
use larder_core::{Backend, BuildContext, Bytes, Clock, Entry, ManualClock};
use serde_json::json;

use crate::loader::Loader;
use crate::{Library, testing};

/// How often the library is replaced.
const RELOADS: u64 = 100;

const READERS: usize = 8;

/// What takes its place one after another: the same code in other bytes.
struct Versions {
    folder: tempfile::TempDir,
    bytes: Vec<u8>,
}

impl Versions {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("first.so");
        testing::compile("examples/plugins/c-shelf/shelf.c", &made);
        let bytes = std::fs::read(made).unwrap();
        Self { folder, bytes }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("shelf.so")
    }

    /// What follows the last section of a library nobody reads.
    fn load(&self, number: u64) -> &'static Library {
        let next = self.path().with_extension("next");
        let bytes = [&self.bytes[..], &number.to_le_bytes()].concat();
        std::fs::write(&next, bytes).unwrap();
        std::fs::rename(next, self.path()).unwrap();
        let request = LibraryRequest::new("c-shelf", self.path()).trust(Trust::Path);
        Loader::new().open(&request).unwrap_or_else(|refusal| panic!("{refusal}"))
    }
}

/// A shelf of this version with the number of the version on it.
fn shelf(library: &'static Library, number: u64) -> Arc<dyn Backend> {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
    let context = BuildContext::new("reload").clock(clock);
    let built = testing::build(&library.components[0], json!({}), &context).now_or_never();
    let shelf = built.expect("it is built at once").unwrap();
    let value = Bytes::copy_from_slice(&number.to_le_bytes());
    let entry = Entry { value, ..Entry::default() };
    shelf.set("version", entry).now_or_never().expect("it is stored at once").unwrap();
    shelf
}

/// The version that a reader finds.
fn version(shelf: &dyn Backend) -> u64 {
    let found = shelf.get("version").now_or_never().expect("it answers at once");
    let entry = found.expect("no reader sees an error").expect("and none a miss");
    u64::from_le_bytes(entry.value[..].try_into().unwrap())
}

/// How much memory the versions take, in KiB, whatever other tests of this process do.
fn resident() -> u64 {
    let maps = std::fs::read_to_string(Path::new("/proc/self/smaps")).unwrap();
    let (mut sum, mut is_ours) = (0, false);
    for line in maps.lines() {
        if let Some(size) = line.strip_prefix("Rss:").filter(|_| is_ours) {
            sum += size.trim().trim_end_matches(" kB").parse::<u64>().unwrap();
        } else if line.split(' ').next().is_some_and(|range| range.contains('-')) {
            is_ours = line.contains("memfd:c-shelf");
        }
    }
    sum
}

#[test]
fn readers_see_no_error_while_a_library_is_replaced_a_hundred_times() {
    let versions = Versions::new();
    let first = versions.load(0);
    let (current, is_over) = (RwLock::new(shelf(first, 0)), AtomicBool::new(false));
    let (reads, mut old) = (AtomicU64::new(0), vec![first]);
    let before = resident();
    std::thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| {
                let mut last = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let shelf = Arc::clone(&current.read().unwrap());
                    let found = version(&*shelf);
                    assert!(found >= last, "version {found} after {last}");
                    last = found;
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for number in 1..=RELOADS {
            let seen = reads.load(Ordering::Relaxed);
            let library = versions.load(number);
            let new = shelf(library, number);
            // Whoever still reads from the old one is its last user, and ends it.
            let replaced = std::mem::replace(&mut *current.write().unwrap(), new);
            drop(replaced);
            old.push(library);
            let since = Instant::now();
            while reads.load(Ordering::Relaxed) == seen {
                assert!(since.elapsed() < Duration::from_secs(60), "nobody reads any more");
                std::thread::yield_now();
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let grown = resident().saturating_sub(before);
    println!("{RELOADS} reloads, {} reads, {grown} KiB more in memory", reads.into_inner());
    let newest = old.pop().expect("there is a last one");
    assert_eq!(newest.instances(), 1);
    assert_eq!(version(&**current.read().unwrap()), RELOADS);
    let since = Instant::now();
    while old.iter().any(|library| library.instances() > 0) {
        assert!(since.elapsed() < Duration::from_secs(60), "the old ones are not drained");
        std::thread::yield_now();
    }
    let most = RELOADS * (newest.size / 1024 + 64);
    assert!((RELOADS..most).contains(&grown), "{grown} KiB for {RELOADS} small libraries");
}
