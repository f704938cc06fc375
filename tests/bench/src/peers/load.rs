//! Reading through a table that holds a tenth of the keys: what a request costs, and how many are
//! hits.

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use larder::Key;

use crate::Failure;
use crate::contest::{Contest, hold};
use crate::harness::{Round, nanos_each};
use crate::keys::{Numbered, Row64, zipf};
use crate::report::{Report, Row, Unit};
use crate::tables::Table;

/// Measures both, for both kinds of keys.
pub(super) fn run<W: Write>(report: &mut Report<W>) -> Result<(), Failure> {
    measure::<u64, u64, W>(report)?;
    measure::<String, Arc<Row64>, W>(report)
}

fn measure<K, V, W>(report: &mut Report<W>) -> Result<(), Failure>
where
    K: Numbered + Key,
    V: Numbered,
    W: Write,
{
    let speed = Speed(zipf::<K>(ITEMS, SKEW, REQUESTS, 0));
    let case = format!("get-or-insert {}", K::NAME);
    report.add(&Row::of_rounds(case, Unit::Nanos, &hold::<K, V, _>(&speed)?))?;
    let hit_ratio = HitRatio { before: speed.0, counted: zipf(ITEMS, SKEW, REQUESTS, 1) };
    let case = format!("get-or-insert {} hit ratio", K::NAME);
    report.add(&Row::of_rounds(case, Unit::Percent, &hold::<K, V, _>(&hit_ratio)?))?;
    Ok(())
}

/// The time of requests to a table that is warm.
#[derive(Debug)]
struct Speed<K>(Vec<K>);

impl<K: Numbered, V: Numbered> Contest<K, V> for Speed<K> {
    fn enter<T: Table<K, V> + 'static>(&self) -> Result<Round<'_>, Failure> {
        let table = T::build(CAPACITY, None)?;
        Ok(Box::new(move || {
            let start = Instant::now();
            misses(&table, &self.0);
            nanos_each(start.elapsed(), REQUESTS)
        }))
    }
}

/// The share of hits among requests that follow others of the same distribution.
#[derive(Debug)]
struct HitRatio<K> {
    before: Vec<K>,
    counted: Vec<K>,
}

impl<K: Numbered, V: Numbered> Contest<K, V> for HitRatio<K> {
    const ROUNDS: usize = 1;

    fn enter<T: Table<K, V> + 'static>(&self) -> Result<Round<'_>, Failure> {
        let table = T::build(CAPACITY, None)?;
        misses(&table, &self.before);
        let hits = REQUESTS - misses(&table, &self.counted);
        Ok(Box::new(move || hits as f64 * 100.0 / REQUESTS as f64))
    }
}

/// Asks for all keys in turn; how many had to be made.
fn misses<K: Numbered, V: Numbered>(table: &impl Table<K, V>, keys: &[K]) -> usize {
    let misses = AtomicUsize::new(0);
    for key in keys {
        black_box(table.get_or_insert(key, || {
            misses.fetch_add(1, Ordering::Relaxed);
            V::from_number(key.number())
        }));
    }
    misses.into_inner()
}

const ITEMS: u64 = 200_000;
const CAPACITY: usize = 20_000;
const REQUESTS: usize = 400_000;
const SKEW: f64 = 0.99;
