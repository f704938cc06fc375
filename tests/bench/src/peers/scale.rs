//! What more threads bring, when each reads keys of its own: 100 % is as much for each as one
//! thread alone gets.

use std::hint::black_box;
use std::io::Write;

use crate::Failure;
use crate::contest::{Contest, hold};
use crate::harness::{Round, time_threads};
use crate::keys::uniform;
use crate::report::{Report, Row, Unit};
use crate::tables::{Table, filled};

/// Measures every number of threads but one.
pub(super) fn run<W: Write>(report: &mut Report<W>, threads: &[usize]) -> Result<(), Failure> {
    for &threads in threads.iter().filter(|threads| **threads > 1) {
        let case = format!("scale u64 {LABEL} x{threads}");
        let scale = Scale::new(threads);
        report.add(&Row::of_rounds(case, Unit::Percent, &hold::<u64, u64, _>(&scale)?))?;
    }
    Ok(())
}

/// For each thread the keys that it alone reads.
#[derive(Debug)]
struct Scale(Vec<Vec<u64>>);

impl Scale {
    fn new(threads: usize) -> Self {
        let share = ENTRIES / threads as u64;
        let shares = 0..threads as u64;
        let keys = |number| move |key: u64| number * share + key;
        Self(
            shares
                .map(|number| uniform::<u64>(share, READS).into_iter().map(keys(number)).collect())
                .collect(),
        )
    }
}

impl Contest<u64, u64> for Scale {
    const ROUNDS: usize = 8;

    fn enter<T: Table<u64, u64> + 'static>(&self) -> Result<Round<'_>, Failure> {
        let table: T = filled(ENTRIES, None)?;
        let read = move |thread: usize| {
            for key in &self.0[thread] {
                assert_eq!(black_box(table.get(key)), Some(*key), "every key was stored");
            }
        };
        Ok(Box::new(move || {
            let alone = time_threads(1, &read);
            let together = time_threads(self.0.len(), &read);
            alone.as_secs_f64() * 100.0 / together.as_secs_f64()
        }))
    }
}

const LABEL: &str = "10k";
const ENTRIES: u64 = 10_000;
/// Enough for starting the threads not to count.
const READS: usize = 2_000_000;
