//! How much memory an entry takes, key and value included, in a table that is full.

use std::io::Write;
use std::sync::Arc;

use allocation_counter::measure as count_allocations;
use larder::Key;

use crate::Failure;
use crate::contest::{Contest, hold};
use crate::harness::Round;
use crate::keys::{Numbered, Row64, in_order};
use crate::report::{Report, Row, Unit};
use crate::tables::Table;

/// Measures both kinds of entries.
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
    let size = Size(in_order::<K>(0..ENTRIES));
    let case = format!("bytes {} 1M", K::NAME);
    report.add(&Row::of_rounds(case, Unit::Bytes, &hold::<K, V, _>(&size)?))?;
    Ok(())
}

/// What building a table of all keys allocates and does not free, by the entries that are in it.
#[derive(Debug)]
struct Size<K>(Vec<K>);

impl<K: Numbered, V: Numbered> Contest<K, V> for Size<K> {
    const BUILDS: usize = 1;
    const ROUNDS: usize = 1;

    fn enter<T: Table<K, V> + 'static>(&self) -> Result<Round<'_>, Failure> {
        let mut built = None;
        let allocated = count_allocations(|| built = Some(build::<K, V, T>(&self.0)));
        let table = built.ok_or("the closure was not called")??;
        // Sharded tables may have had to evict before all of their room was taken.
        let entries = self.0.iter().filter(|key| table.get(key).is_some()).count();
        Ok(Box::new(move || allocated.bytes_current as f64 / entries as f64))
    }
}

fn build<K: Numbered, V: Numbered, T: Table<K, V>>(keys: &[K]) -> Result<T, Failure> {
    let table = T::build(keys.len(), None)?;
    for key in keys {
        table.insert(key, V::from_number(key.number()));
    }
    table.settle();
    Ok(table)
}

const ENTRIES: u64 = 1_000_000;
