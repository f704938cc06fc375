//! What a hit costs: inside and outside the processor's caches, alone and in company, with and
//! without a time to live.

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use larder::Key;

use crate::Failure;
use crate::contest::{Contest, hold};
use crate::harness::{Round, nanos_each, time_threads};
use crate::keys::{Numbered, Row64, uniform};
use crate::report::{Report, Row, Unit};
use crate::tables::{Table, filled};

/// Measures every combination.
pub(super) fn run<W: Write>(report: &mut Report<W>, threads: &[usize]) -> Result<(), Failure> {
    for (label, entries) in SIZES {
        for &threads in threads {
            measure::<u64, u64, W>(report, label, entries, threads)?;
            measure::<String, Arc<Row64>, W>(report, label, entries, threads)?;
        }
    }
    Ok(())
}

fn measure<K, V, W>(
    report: &mut Report<W>,
    label: &str,
    entries: u64,
    threads: usize,
) -> Result<(), Failure>
where
    K: Numbered + Key,
    V: Numbered,
    W: Write,
{
    let hits = Hits::<K, false>::new(entries, threads);
    let case = format!("hit {} {label} x{threads}", K::NAME);
    report.add(&Row::of_rounds(case, Unit::Nanos, &hold::<K, V, _>(&hits)?))?;
    let hits = Hits::<K, true>::new(entries, threads);
    let case = format!("hit {} {label} x{threads} ttl", K::NAME);
    report.add(&Row::of_rounds(case, Unit::Nanos, &hold::<K, V, _>(&hits)?))?;
    Ok(())
}

/// Reads of keys that are there, by several threads.
#[derive(Debug)]
struct Hits<K, const TTL: bool> {
    entries: u64,
    threads: usize,
    keys: Vec<K>,
    /// Of the numbers of all keys.
    sum: u64,
}

impl<K: Numbered, const TTL: bool> Hits<K, TTL> {
    fn new(entries: u64, threads: usize) -> Self {
        let keys = uniform::<K>(entries, READS);
        let sum = keys.iter().map(K::number).fold(0, u64::wrapping_add);
        Self { entries, threads, keys, sum }
    }
}

impl<K: Numbered, V: Numbered, const TTL: bool> Contest<K, V> for Hits<K, TTL> {
    const NEEDS_TTL: bool = TTL;

    fn enter<T: Table<K, V> + 'static>(&self) -> Result<Round<'_>, Failure> {
        let table: T = filled(self.entries, TTL.then_some(AN_HOUR))?;
        let read = move |number| read(&self.keys, self.sum, number, |key| table.get(key));
        Ok(Box::new(move || nanos_each(time_threads(self.threads, &read), READS)))
    }
}

/// Reads every key once, each thread from a place of its own in the list, and insists on hits: a
/// miss, or the value of another key, would spoil the sum.
fn read<K, V: Numbered>(keys: &[K], sum: u64, thread: usize, get: impl Fn(&K) -> Option<V>) {
    let (tail, head) = keys.split_at(thread * 7_919 % keys.len());
    let number = |key: &K| black_box(get(key)).map_or(u64::MAX / 2, |value| value.number());
    let found = head.iter().chain(tail).map(number).fold(0, u64::wrapping_add);
    assert_eq!(found, sum, "every key was stored and read back");
}

const READS: usize = 200_000;
const SIZES: [(&str, u64); 2] = [("10k", 10_000), ("1M", 1_000_000)];
const AN_HOUR: Duration = Duration::from_secs(3_600);
