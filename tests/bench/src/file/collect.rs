//! How many files a second are removed to make room.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use tokio::runtime::Builder;

use super::sides::builder;
use super::{key, value};
use crate::Failure;
use crate::report::{Report, Row, Unit};

const ENTRIES: u64 = 40_000;

/// What the collector has to reach.
const BUDGET: f64 = 10_000.0;

/// Opens a directory with a limit of half of what is in it, and writes until there is not too
/// much any more. The writes are part of the time.
pub(crate) fn run<W: Write>(report: &mut Report<W>, dir: &Path) -> Result<(), Failure> {
    let caches = builder(dir, "").build_blocking()?;
    let cache = caches.cache::<String, String>("bench")?.blocking();
    for number in 0..ENTRIES {
        cache.set(&key(number), value(number))?;
    }
    let runtime = Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(caches.close())?;

    let limit = ENTRIES / 2;
    let caches = builder(dir, &format!(", max_entries = {limit}")).build_blocking()?;
    let cache = caches.cache::<String, String>("bench")?.blocking();
    let entries = || -> Result<u64, Failure> {
        let health = runtime.block_on(caches.health("bench"))?;
        let entries = health.first().and_then(|tier| tier.entries);
        Ok(entries.ok_or("the file backend does not count its entries")?)
    };
    let before = entries()?;
    let (start, mut written) = (Instant::now(), 0);
    while entries()? > limit {
        cache.set(&key(ENTRIES + written), value(written))?;
        written += 1;
    }
    let took = start.elapsed();
    let removed = before + written - entries()?;
    let rate = removed as f64 / took.as_secs_f64();
    report.add(&Row::at_least("file collection".to_owned(), Unit::PerSecond, rate, BUDGET))?;
    Ok(())
}
