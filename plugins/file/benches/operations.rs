//! What the operations of the file backend cost at 1 KiB, as a task of a runtime sees it.
//!
//! Run with `cargo bench -p larder-file --bench operations`. A number as argument is how many
//! entries the directory has (20,000 without one); a word limits it to what is named like that.
//! Medians of rounds, in microseconds for one call. Memory is that of the whole process.

#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]

use std::path::Path;
use std::time::Instant;

use larder_core::backend::{Backend, ScanRequest};
use larder_core::{BuildContext, Bytes, Entry, EntryMeta, PluginConfig};
use larder_file::{Durability, FileBackend, FileConfig};

const ROUNDS: usize = 15;
const CALLS: usize = 400;
const VALUE: [u8; 1024] = [7; 1024];

fn entry() -> Entry {
    Entry { value: Bytes::from_static(&VALUE), meta: EntryMeta::default() }
}

async fn open(config: FileConfig) -> FileBackend {
    let built = config.build(&BuildContext::new("bench")).await;
    built.expect("the directory is ours")
}

/// The median of the times of `CALLS` calls, divided by them.
async fn median<F: Future<Output = ()>>(mut call: impl FnMut(usize) -> F) -> f64 {
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let start = Instant::now();
        for number in 0..CALLS {
            call(round * CALLS + number).await;
        }
        times.push(start.elapsed().as_secs_f64() * 1e6 / CALLS as f64);
    }
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}

/// The memory of this process in KiB, where the system tells.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

async fn calls(dir: &Path) {
    for durability in [Durability::None, Durability::Data, Durability::Full] {
        let mut config = FileConfig::new(dir.join(format!("{durability:?}")));
        config.durability = durability;
        let backend = open(config).await;
        let key = |number: usize| format!("key:{}", number % CALLS);
        let backend = &backend;
        let set = async |number| backend.set(&key(number), entry()).await.expect("it is set");
        println!("set new, durability {durability:?}: {:.1} µs", {
            let fresh = async |n: usize| {
                backend.set(&format!("new:{n}"), entry()).await.expect("it is set");
            };
            median(fresh).await
        });
        println!("set over, durability {durability:?}: {:.1} µs", median(set).await);
        if durability != Durability::None {
            continue;
        }
        let get = async |number| {
            assert!(backend.get(&key(number)).await.expect("it is read").is_some());
        };
        println!("hit: {:.1} µs", median(get).await);
        let miss = async |number: usize| {
            let missing = format!("missing:{number}");
            assert!(backend.get(&missing).await.expect("it is looked for").is_none());
        };
        println!("miss: {:.1} µs", median(miss).await);
        let entries: Vec<_> = (0..100).map(|number| (key(number), entry())).collect();
        let many = async |_| backend.set_many(entries.clone()).await.expect("they are set");
        println!("set_many: {:.1} µs for each of 100", median(many).await / 100.0);
    }
}

async fn many(dir: &Path, entries: usize) {
    let config = FileConfig::new(dir.join("many"));
    let backend = open(config.clone()).await;
    let before = memory();
    for first in (0..entries).step_by(1000) {
        let batch = (first..entries.min(first + 1000)).map(|n| (format!("key:{n}"), entry()));
        backend.set_many(batch.collect()).await.expect("they are set");
    }
    println!("memory: {before} KiB empty, {} KiB with {entries} entries written", memory());
    drop(backend);
    let start = Instant::now();
    let backend = open(config.clone()).await;
    let opened = start.elapsed();
    println!("open: {:.1} ms, then {} KiB", opened.as_secs_f64() * 1e3, memory());
    let start = Instant::now();
    backend.scan(ScanRequest::all()).await.expect("it lists");
    println!("scan: {:.1} ms for a page of 1000", start.elapsed().as_secs_f64() * 1e3);
    drop(backend);
    let mut limited = config;
    limited.max_entries = Some(entries as u64 / 2);
    let backend = open(limited).await;
    let start = Instant::now();
    backend.set("one more", entry()).await.expect("it is set");
    let gone = entries as f64 * 0.5;
    println!(
        "collect: {:.0} files/s looked at, {:.0} removed, then {} KiB",
        entries as f64 / start.elapsed().as_secs_f64(),
        gone / start.elapsed().as_secs_f64(),
        memory()
    );
    let left = backend.health().await.expect("it is well").entries.unwrap_or_default();
    let start = Instant::now();
    backend.clear().await.expect("it is cleared");
    println!("clear: {:.2} ms", start.elapsed().as_secs_f64() * 1e3);
    let start = Instant::now();
    while std::fs::read_dir(dir.join("many/v1/d")).expect("it is there").count() > 1 {
        std::thread::yield_now();
        tokio::task::yield_now().await;
    }
    println!("sweep: {:.0} files/s", left as f64 / start.elapsed().as_secs_f64());
    backend.close().await.expect("it closes");
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let entries = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(20_000);
    let is_wanted = |name: &str| {
        let words: Vec<_> = arguments.iter().filter(|a| a.parse::<usize>().is_err()).collect();
        words.is_empty() || words.iter().any(|word| name.contains(word.as_str()))
    };
    let dir = tempfile::tempdir().expect("there is a directory for temporary files");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
    if is_wanted("calls") {
        runtime.block_on(calls(dir.path()));
    }
    if is_wanted("many") {
        runtime.block_on(many(dir.path(), entries));
    }
}
