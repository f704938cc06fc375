//! Many keys in one call, all of them there; the time is that of one key.

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use larder::Key;

use crate::Failure;
use crate::contest::{Contest, hold};
use crate::harness::{Round, nanos_each};
use crate::keys::{Numbered, Row64, uniform};
use crate::report::{Report, Row, Unit};
use crate::tables::{Table, filled};

/// Measures both kinds of keys.
pub(super) fn run<W: Write>(report: &mut Report<W>) -> Result<(), Failure> {
    for (label, entries) in SIZES {
        measure::<u64, u64, W>(report, label, entries)?;
        measure::<String, Arc<Row64>, W>(report, label, entries)?;
    }
    Ok(())
}

fn measure<K, V, W>(report: &mut Report<W>, label: &str, entries: u64) -> Result<(), Failure>
where
    K: Numbered + Key,
    V: Numbered,
    W: Write,
{
    let many = Many { entries, keys: uniform::<K>(entries, READS) };
    let case = format!("get_many {} {label} of {BATCH}", K::NAME);
    report.add(&Row::of_rounds(case, Unit::Nanos, &hold::<K, V, _>(&many)?))?;
    Ok(())
}

/// Reads of the keys, a batch at a time.
#[derive(Debug)]
struct Many<K> {
    entries: u64,
    keys: Vec<K>,
}

impl<K: Numbered, V: Numbered> Contest<K, V> for Many<K> {
    fn enter<T: Table<K, V> + 'static>(&self) -> Result<Round<'_>, Failure> {
        let table: T = filled(self.entries, None)?;
        Ok(Box::new(move || {
            let start = Instant::now();
            for batch in self.keys.chunks(BATCH) {
                let found = black_box(table.get_many(batch));
                assert!(found.iter().all(Option::is_some), "every key was stored");
            }
            nanos_each(start.elapsed(), READS)
        }))
    }
}

const BATCH: usize = 64;
const READS: usize = BATCH * 8_000;
const SIZES: [(&str, u64); 2] = [("10k", 10_000), ("1M", 1_000_000)];
