//! What a hit costs, through the typed handle that an application holds, next to quick_cache.

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::thread;

use larder::{Blocking, CacheManager, CacheOptions, Format};
use quick_cache::sync::Cache as QuickCache;

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
            let rounds = measure::<u64, u64>(entries, threads)?;
            let case = format!("hit u64 {label} x{threads}");
            report.add(&Row::per_operation(case, READS, "quick_cache", &rounds))?;
            let rounds = measure::<String, Arc<Row64>>(entries, threads)?;
            let case = format!("hit String {label} x{threads}");
            report.add(&Row::per_operation(case, READS, "quick_cache", &rounds))?;
        }
    }
    Ok(())
}

/// A key or a value of the benchmark, made from a number and turned back into it.
trait Numbered: Clone + Send + Sync + 'static {
    fn from_number(number: u64) -> Self;
    fn number(&self) -> u64;
}

impl Numbered for u64 {
    fn from_number(number: u64) -> Self {
        number
    }

    fn number(&self) -> u64 {
        *self
    }
}

impl Numbered for String {
    fn from_number(number: u64) -> Self {
        format!("key_{number}")
    }

    fn number(&self) -> u64 {
        self.trim_start_matches("key_").parse().unwrap_or(u64::MAX)
    }
}

/// A record of 64 bytes, as an application would cache behind an `Arc`.
type Row64 = [u64; 8];

impl Numbered for Arc<Row64> {
    fn from_number(number: u64) -> Self {
        Self::new([number; 8])
    }

    fn number(&self) -> u64 {
        self[0]
    }
}

/// Builds both tables several times, for where a table comes to lie in memory moves its time by
/// a fifth, and that depends on which was built first.
fn measure<K, V>(entries: u64, threads: usize) -> Result<Rounds, Failure>
where
    K: Numbered + larder::Key,
    V: Numbered,
{
    let (keys, sum) = random_keys::<K>(entries);
    let mut rounds = Rounds::default();
    for build in 0..BUILDS {
        let (ours, peer) = if build % 2 == 0 {
            let ours = our_cache::<K, V>(entries)?;
            (ours, quick_cache::<K, V>(entries))
        } else {
            let peer = quick_cache::<K, V>(entries);
            (our_cache::<K, V>(entries)?, peer)
        };
        let read_ours = |number| read(&keys, sum, number, |key| ours.get(key).ok()?);
        let read_peer = |number| read(&keys, sum, number, |key| peer.get(key));
        rounds.run(
            ROUNDS_PER_BUILD,
            || time_threads(threads, read_ours),
            || time_threads(threads, read_peer),
        );
    }
    Ok(rounds)
}

/// Reads every key once, each thread from a place of its own in the list, and insists on hits: a
/// miss, or the value of another key, would spoil the sum.
fn read<K, V: Numbered>(keys: &[K], sum: u64, thread: usize, get: impl Fn(&K) -> Option<V>) {
    let (tail, head) = keys.split_at(thread * 7_919 % keys.len());
    let number = |key: &K| black_box(get(key)).map_or(u64::MAX / 2, |value| value.number());
    let found = head.iter().chain(tail).map(number).fold(0, u64::wrapping_add);
    assert_eq!(found, sum, "every key was stored and read back");
}

/// Keys of a table of `entries`, in random order, and the sum of their numbers.
fn random_keys<K: Numbered>(entries: u64) -> (Vec<K>, u64) {
    let mut random = fastrand::Rng::with_seed(SEED);
    let numbers: Vec<u64> = (0..READS).map(|_| random.u64(..entries)).collect();
    let sum = numbers.iter().fold(0, |sum: u64, number| sum.wrapping_add(*number));
    (numbers.into_iter().map(K::from_number).collect(), sum)
}

/// Our cache as a config makes it, full, with room enough that nothing is evicted.
fn our_cache<K, V>(entries: u64) -> Result<Blocking<K, V>, Failure>
where
    K: Numbered + larder::Key,
    V: Numbered,
{
    let text = format!(
        "version = 1\n[caches.bench]\nl1.backend = {{ kind = \"memory\", capacity = {} }}\n",
        entries * 2
    );
    let caches = CacheManager::builder().text("bench.toml", Format::Toml, text).build_blocking()?;
    let cache = caches.local_cache::<K, V>("bench", CacheOptions::new())?.blocking();
    for number in 0..entries {
        cache.set(&K::from_number(number), V::from_number(number))?;
    }
    Ok(cache)
}

/// The peer, with the same room.
fn quick_cache<K: Numbered + larder::Key, V: Numbered>(entries: u64) -> QuickCache<K, V> {
    let cache = QuickCache::new(usize::try_from(entries * 2).unwrap_or(usize::MAX));
    for number in 0..entries {
        cache.insert(K::from_number(number), V::from_number(number));
    }
    cache
}

const BUILDS: usize = 6;
const ROUNDS_PER_BUILD: usize = 6;
const READS: usize = 1_000_000;
const SEED: u64 = 0x1a2d_e200;
const SIZES: [(&str, u64); 2] = [("10k", 10_000), ("1M", 1_000_000)];
