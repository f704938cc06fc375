//! What tags cost a hit in memory over Redis.

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use larder::{Blocking, SetOptions};
use larder_servers::Redis;

use super::{BELOW_MEMORY, LIMIT, key, manager, spread, value};
use crate::Failure;
use crate::harness::{Round, Rounds, nanos_each};
use crate::report::{Report, Row, Unit};

const ENTRIES: usize = 1000;
const HITS: usize = 200_000;
const ROUNDS: usize = 9;

/// A tagged hit next to one without tags.
pub(super) fn run<W: Write>(report: &mut Report<W>) -> Result<(), Failure> {
    let server = Redis::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let lines = format!("{BELOW_MEMORY}\ninvalidation = {{ tags = true }}");
    let caches = runtime.block_on(manager(&server.url(), &lines, LIMIT))?;
    let cache = caches.cache::<String, String>("users")?;
    let options = SetOptions::new().tags(["a", "b"]);
    runtime.block_on(async {
        for number in 0..ENTRIES {
            cache.set(&key(number), value(number)).await?;
            cache.set_with(&tagged(number), value(number), &options).await?;
        }
        Ok::<_, Failure>(())
    })?;
    let handle = cache.blocking();
    let names = |name: fn(usize) -> String| (0..ENTRIES).map(name).collect::<Vec<_>>();
    let (with, without) = (names(tagged), names(key));
    let mut rounds = Rounds::of(["tagged", "without tags"]);
    let mut sides: [Round<'_>; 2] =
        [Box::new(|| hits(&handle, &with)), Box::new(|| hits(&handle, &without))];
    rounds.run(ROUNDS, &mut sides);
    report.add(&Row::of_rounds("redis l1 hit, 2 tags".to_owned(), Unit::Nanos, &rounds))?;
    runtime.block_on(caches.close())?;
    Ok(())
}

fn tagged(number: usize) -> String {
    format!("tagged:{number}")
}

fn hits(handle: &Blocking<String, String>, keys: &[String]) -> f64 {
    let start = Instant::now();
    for at in 0..HITS {
        let found = handle.get(&keys[spread(1, at) % ENTRIES]);
        assert!(black_box(found).is_ok_and(|value| value.is_some()), "it is in memory");
    }
    nanos_each(start.elapsed(), HITS)
}
