//! What a hit costs, through the typed handle that an application holds, next to quick_cache.

use std::hint::black_box;
use std::io::Write;
use std::thread;

use larder::{Blocking, CacheManager, Format};
use quick_cache::sync::Cache as QuickCache;
use tokio::runtime::Builder;

use crate::Failure;
use crate::harness::{Rounds, time_threads};
use crate::report::{Report, Row};

/// Measures hits on tables inside and outside the processor's caches, by one thread and by as
/// many as there are processors.
pub(crate) fn run<W: Write>(report: &mut Report<W>) -> Result<(), Failure> {
    let processors = thread::available_parallelism()?.get();
    let mut thread_counts = vec![1, processors];
    thread_counts.dedup();
    for (label, entries) in SIZES {
        for &threads in &thread_counts {
            let rounds = measure(entries, threads)?;
            let case = format!("hit u64 {label} x{threads}");
            report.add(&Row::per_operation(case, READS, "quick_cache", &rounds))?;
        }
    }
    Ok(())
}

/// Builds both tables several times, for where a table comes to lie in memory moves its time by
/// a fifth, and that depends on which was built first.
fn measure(entries: u64, threads: usize) -> Result<Rounds, Failure> {
    let keys = random_keys(entries);
    let mut rounds = Rounds::default();
    for build in 0..BUILDS {
        let (ours, peer) = if build % 2 == 0 {
            let ours = our_cache(entries)?;
            (ours, quick_cache(entries))
        } else {
            let peer = quick_cache(entries);
            (our_cache(entries)?, peer)
        };
        rounds.run(
            ROUNDS_PER_BUILD,
            || time_threads(threads, |number| read(&keys, number, |key| ours.get(key).ok()?)),
            || time_threads(threads, |number| read(&keys, number, |key| peer.get(key))),
        );
    }
    Ok(rounds)
}

/// Reads every key once, each thread from a place of its own in the list, and insists on hits:
/// the value of a key is the key itself, so a miss would spoil the sum.
fn read(keys: &[u64], thread: usize, get: impl Fn(&u64) -> Option<u64>) {
    let (tail, head) = keys.split_at(thread * 7_919 % keys.len());
    let values = head.iter().chain(tail).map(|key| black_box(get(key)).unwrap_or(u64::MAX / 2));
    let sum = values.fold(0, u64::wrapping_add);
    assert_eq!(sum, keys.iter().sum::<u64>(), "every key was stored and read back");
}

/// Keys of a table of `entries`, in random order.
fn random_keys(entries: u64) -> Vec<u64> {
    let mut random = fastrand::Rng::with_seed(SEED);
    (0..READS).map(|_| random.u64(..entries)).collect()
}

/// Our cache as a config makes it, full, with room enough that nothing is evicted.
fn our_cache(entries: u64) -> Result<Blocking<u64, u64>, Failure> {
    let text = format!(
        "version = 1\n[caches.bench]\nl1.backend = {{ kind = \"memory\", capacity = {} }}\n",
        entries * 2
    );
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let builder = CacheManager::builder().text("bench.toml", Format::Toml, text);
    let caches = runtime.block_on(builder.build())?;
    let cache = caches.cache::<u64, u64>("bench")?.blocking();
    for key in 0..entries {
        cache.set(&key, key)?;
    }
    Ok(cache)
}

/// The peer, with the same room.
fn quick_cache(entries: u64) -> QuickCache<u64, u64> {
    let cache = QuickCache::new(usize::try_from(entries * 2).unwrap_or(usize::MAX));
    for key in 0..entries {
        cache.insert(key, key);
    }
    cache
}

const BUILDS: usize = 6;
const ROUNDS_PER_BUILD: usize = 6;
const READS: usize = 1_000_000;
const SEED: u64 = 0x1a2d_e200;
const SIZES: [(&str, u64); 2] = [("10k", 10_000), ("1M", 1_000_000)];
