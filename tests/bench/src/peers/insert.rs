//! Storing keys that are not there: into an empty table with room, and into one that is full, so
//! that every new entry has to be weighed against the old ones.

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use larder::Key;

use crate::Failure;
use crate::contest::{Contest, hold};
use crate::harness::{Round, nanos_each};
use crate::keys::{Numbered, Row64, in_order};
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
    let room = Room(in_order::<K>(0..KEYS));
    let case = format!("insert {} room", K::NAME);
    report.add(&Row::of_rounds(case, Unit::Nanos, &hold::<K, V, _>(&room)?))?;
    let full = Full(in_order::<K>(0..KEYS * 4));
    let case = format!("insert {} full", K::NAME);
    report.add(&Row::of_rounds(case, Unit::Nanos, &hold::<K, V, _>(&full)?))?;
    Ok(())
}

/// A new table each round, built and dropped outside of the time.
#[derive(Debug)]
struct Room<K>(Vec<K>);

impl<K: Numbered, V: Numbered> Contest<K, V> for Room<K> {
    fn enter<T: Table<K, V> + 'static>(&self) -> Result<Round<'_>, Failure> {
        let capacity = self.0.len() * 2;
        let mut next = Some(T::build(capacity, None)?);
        Ok(Box::new(move || {
            let table = next.take().or_else(|| T::build(capacity, None).ok());
            let table = table.expect("what was built once can be built again");
            timed(&table, &self.0)
        }))
    }
}

/// One table that holds a quarter of the keys: when a key comes again, it is gone.
#[derive(Debug)]
struct Full<K>(Vec<K>);

impl<K: Numbered, V: Numbered> Contest<K, V> for Full<K> {
    fn enter<T: Table<K, V> + 'static>(&self) -> Result<Round<'_>, Failure> {
        let table = T::build(self.0.len() / 4, None)?;
        Ok(Box::new(move || timed(&table, &self.0)))
    }
}

fn timed<K: Numbered, V: Numbered>(table: &impl Table<K, V>, keys: &[K]) -> f64 {
    let start = Instant::now();
    for key in keys {
        table.insert(key, V::from_number(key.number()));
    }
    nanos_each(start.elapsed(), keys.len())
}

const KEYS: u64 = 100_000;
