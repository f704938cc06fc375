//! What is there after a writer was killed: all that was acknowledged, and nothing by halves.
//!
//! This test binary starts itself as the writer. `LARDER_CRASH_ROUNDS` sets how often it is killed;
//! 100 times by default.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use larder_core::{Backend, BuildContext, Bytes, Entry, EntryMeta, PluginConfig};
use larder_redb::{Durability, RedbBackend, RedbConfig};
use tokio::runtime::{Builder, Runtime};

const DIR: &str = "LARDER_REDB_TEST_DIR";
const FIRST: &str = "LARDER_REDB_TEST_FIRST";
const DURABILITY: &str = "LARDER_REDB_TEST_DURABILITY";
const KEYS: u64 = 16;

/// A value that tells whether it is complete: its number, over and over.
fn value(number: u64) -> Entry {
    let size = usize::try_from(number * 7919 % 2000).unwrap() + 1;
    let value = number.to_be_bytes().repeat(size);
    Entry { value: Bytes::from(value), meta: EntryMeta::default() }
}

fn number_of(found: &Entry) -> u64 {
    let number = u64::from_be_bytes(found.value[..8].try_into().unwrap());
    assert_eq!(*found, value(number), "the value is torn");
    number
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

async fn open(dir: &Path, durability: Durability) -> RedbBackend {
    let mut config = RedbConfig::new(dir);
    config.durability = durability;
    let backend = config.build(&BuildContext::new("users")).await.unwrap();
    backend.start().await.unwrap();
    backend
}

/// What a write does to its key: every seventh deletes it.
fn after(number: u64) -> Option<u64> {
    (!number.is_multiple_of(7)).then_some(number)
}

/// Not a test by itself: what a child does. Writes until it is killed, and says before and after.
#[test]
fn child_writes() {
    let Ok(dir) = env::var(DIR) else { return };
    let first: u64 = env::var(FIRST).unwrap().parse().unwrap();
    let durability = match &*env::var(DURABILITY).unwrap() {
        "None" => Durability::None,
        "Eventual" => Durability::Eventual,
        _ => Durability::Immediate,
    };
    runtime().block_on(async {
        let backend = open(Path::new(&dir), durability).await;
        let mut out = std::io::stdout();
        for number in first.. {
            writeln!(out, "\nbegin {number}").unwrap();
            let key = (number % KEYS).to_string();
            match after(number) {
                Some(number) => backend.set(&key, value(number)).await.unwrap(),
                None => drop(backend.delete(&key).await.unwrap()),
            }
            writeln!(out, "\ndone {number}").unwrap();
        }
    });
}

fn start(dir: &Path, first: u64, durability: Durability) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "child_writes", "--nocapture"])
        .env(DIR, dir)
        .env(FIRST, first.to_string())
        .env(DURABILITY, format!("{durability:?}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills the child after it said `count` times that it had written; the number of the last write
/// that it began and the last that was done.
fn kill_after(child: &mut Child, count: usize) -> (u64, u64) {
    let (mut begun, mut done, mut left) = (0, 0, count);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        // The last line may be cut off by the kill, but then it is no number with a line end.
        match line.unwrap().split_once(' ') {
            Some(("begin", number)) => begun = number.parse().unwrap_or(begun),
            Some(("done", number)) => {
                done = number.parse().unwrap_or(done);
                left = left.saturating_sub(1);
                if left == 0 {
                    child.kill().unwrap();
                }
            }
            _ => {}
        }
    }
    child.wait().unwrap();
    (begun, done)
}

fn rounds() -> usize {
    env::var("LARDER_CRASH_ROUNDS").map_or(100, |rounds| rounds.parse().unwrap())
}

#[test]
fn what_was_acknowledged_is_there_and_what_was_not_is_whole_or_missing() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("cache");
    let mut state: BTreeMap<u64, Option<u64>> = BTreeMap::new();
    let mut first = 1;
    for round in 0..rounds() {
        let mut child = start(&dir, first, Durability::Immediate);
        let (begun, done) = kill_after(&mut child, random.usize(1..40));
        assert!(done >= first, "round {round}: the child writes");
        for number in first..=done {
            state.insert(number % KEYS, after(number));
        }
        runtime().block_on(async {
            let backend = open(&dir, Durability::Immediate).await;
            for key in 0..KEYS {
                let found = backend.get(&key.to_string()).await.unwrap();
                let found = found.map(|found| number_of(&found));
                let acknowledged = state.get(&key).copied().flatten();
                let is_open = begun > done && begun % KEYS == key && found == after(begun);
                assert!(
                    found == acknowledged || is_open,
                    "round {round}, key {key}: {found:?} instead of {acknowledged:?}"
                );
                state.insert(key, found);
            }
            assert_eq!(backend.health().await.unwrap().corrupt, 0, "round {round}");
        });
        assert!(!dir.join("damaged.redb").exists(), "round {round}: a kill damages nothing");
        first = begun.max(done) + 1;
    }
}

#[test]
fn without_durability_a_cache_that_was_killed_begins_empty() {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("cache");
    for round in 0..5 {
        let mut child = start(&dir, 1 + round * 1000, Durability::None);
        kill_after(&mut child, 100);
        runtime().block_on(async {
            let backend = open(&dir, Durability::None).await;
            for key in 0..KEYS {
                assert_eq!(backend.get(&key.to_string()).await.unwrap(), None, "round {round}");
            }
            backend.set("42", value(42)).await.unwrap();
            backend.close().await.unwrap();
            let backend = open(&dir, Durability::None).await;
            let found = backend.get("42").await.unwrap();
            assert_eq!(found.map(|found| number_of(&found)), Some(42), "it was closed in order");
        });
    }
}

#[test]
fn with_eventual_durability_whole_values_of_some_moment_are_there() {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("cache");
    let mut last = 0;
    for round in 0..5 {
        let mut child = start(&dir, last + 1, Durability::Eventual);
        let (begun, _) = kill_after(&mut child, 300);
        runtime().block_on(async {
            let backend = open(&dir, Durability::Eventual).await;
            for key in 0..KEYS {
                let found = backend.get(&key.to_string()).await.unwrap();
                let found = found.map(|found| number_of(&found));
                assert!(found.is_none_or(|found| found <= begun), "round {round}");
            }
        });
        last = begun;
    }
}
