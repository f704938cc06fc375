//! The shape of the benchmark that comes with `TinyUFO`: few hot items, eight threads.

use std::hint::black_box;
use std::io::Write;

use crate::Failure;
use crate::contest::{Contest, hold};
use crate::harness::{Round, nanos_each, time_threads};
use crate::keys::zipf;
use crate::report::{Report, Row, Unit};
use crate::tables::Table;

/// Measures reads of items that are all there, and reads that store what is missing.
pub(super) fn run<W: Write>(report: &mut Report<W>, threads: &[usize]) -> Result<(), Failure> {
    for &threads in threads {
        let keys = zipf(100, 1.03, REQUESTS, 0);
        let shape = Shape { items: 100, capacity: 110, keys, threads };
        let case = format!("cloudflare read x{threads}");
        report.add(&Row::of_rounds(case, Unit::Nanos, &hold::<u64, u64, _>(&shape)?))?;
        let keys = zipf(10_000, 1.3, REQUESTS, 0);
        let shape = Shape { items: 0, capacity: 1_000, keys, threads };
        let case = format!("cloudflare mixed x{threads}");
        report.add(&Row::of_rounds(case, Unit::Nanos, &hold::<u64, u64, _>(&shape)?))?;
    }
    Ok(())
}

/// What is asked for, and how much of it is there at the start.
#[derive(Debug)]
struct Shape {
    items: u64,
    capacity: usize,
    keys: Vec<u64>,
    threads: usize,
}

impl Contest<u64, u64> for Shape {
    fn enter<T: Table<u64, u64> + 'static>(&self) -> Result<Round<'_>, Failure> {
        let table = T::build(self.capacity, None)?;
        for number in 0..self.items {
            table.insert(&number, number);
        }
        table.settle();
        let ask = move |thread| ask(&table, &self.keys, thread * REQUESTS / self.threads);
        let requests = REQUESTS * self.threads;
        Ok(Box::new(move || nanos_each(time_threads(self.threads, &ask), requests)))
    }
}

/// Asks for all keys, beginning at `start`: each thread has a place of its own.
fn ask(table: &impl Table<u64, u64>, keys: &[u64], start: usize) {
    let (tail, head) = keys.split_at(start);
    for key in head.iter().chain(tail) {
        if black_box(table.get(key)).is_none() {
            table.insert(key, *key);
        }
    }
}

const REQUESTS: usize = 100_000;
