//! What callers notice when the server dies, and when it is back.

use std::io::Write;
use std::time::{Duration, Instant};

use larder::Cache;
use larder_servers::Redis;
use tokio::runtime::Runtime;

use super::{BELOW_MEMORY, LIMIT, key, manager, percentile, spread, value};
use crate::Failure;
use crate::report::{Report, Row, Unit};

/// How much longer a caller may wait than the limit says.
const SLACK: Duration = Duration::from_millis(10);

/// How soon the cache uses the server again that is back.
const BACK: Duration = Duration::from_secs(1);

const ENTRIES: usize = 1000;
const HITS: usize = 200_000;
const TASKS: usize = 16;
const DARK: Duration = Duration::from_secs(3);

/// Kills the server under a cache and starts it again.
pub(super) fn run<W: Write>(report: &mut Report<W>) -> Result<(), Failure> {
    let server = Redis::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let caches = runtime.block_on(manager(&server.url(), BELOW_MEMORY, LIMIT))?;
    let cache = caches.cache::<String, String>("users")?;
    runtime.block_on(async {
        for number in 0..ENTRIES {
            cache.set(&key(number), value(number)).await?;
        }
        Ok::<_, Failure>(())
    })?;
    let before = hit(&runtime, &cache);
    server.kill();
    let longest = longest_wait(&runtime, &cache);
    report.add(&Row::within_budget(
        "redis killed, longest wait".to_owned(),
        longest,
        LIMIT + SLACK,
    ))?;
    let during = hit(&runtime, &cache);
    let (ours, other) = (during.as_secs_f64() * 1e9, before.as_secs_f64() * 1e9);
    let case = "redis killed, l1 hit p99".to_owned();
    report.add(&Row::next_to(case, Unit::Nanos, ours, other, "before"))?;
    server.restart();
    let back = until_back(&runtime, &cache, &server);
    report.add(&Row::within_budget("redis back, in use again".to_owned(), back, BACK))?;
    // The server goes first, so nothing is left to be written to it.
    runtime.block_on(caches.close()).ok();
    Ok(())
}

/// The time that 99 of 100 hits take at most.
fn hit(runtime: &Runtime, cache: &Cache<String, String>) -> Duration {
    let keys: Vec<String> = (0..ENTRIES).map(key).collect();
    runtime.block_on(async {
        let mut times = Vec::with_capacity(HITS);
        for at in 0..HITS {
            let key = &keys[spread(2, at) % ENTRIES];
            let start = Instant::now();
            let found = cache.get(key).await;
            times.push(start.elapsed());
            assert!(found.is_ok_and(|value| value.is_some()), "it is in memory");
        }
        percentile(times, 99)
    })
}

/// The longest that any of many tasks waits for a key that is not in memory, from the moment the
/// server dies.
fn longest_wait(runtime: &Runtime, cache: &Cache<String, String>) -> Duration {
    let end = Instant::now() + DARK;
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let cache = cache.clone();
            runtime.spawn(async move {
                let (mut longest, mut number) = (Duration::ZERO, 0);
                while Instant::now() < end {
                    let start = Instant::now();
                    // Whether it fails or is a miss is not asked here.
                    cache.get(&format!("cold:{task}:{number}")).await.ok();
                    longest = longest.max(start.elapsed());
                    number += 1;
                    tokio::task::yield_now().await;
                }
                longest
            })
        })
        .collect();
    let waits = tasks.into_iter().map(|task| runtime.block_on(task).unwrap_or(Duration::MAX));
    waits.max().unwrap_or_default()
}

/// How long it takes until an entry reaches the server again.
fn until_back(runtime: &Runtime, cache: &Cache<String, String>, server: &Redis) -> Duration {
    let start = Instant::now();
    runtime.block_on(async {
        let mut attempts = tokio::time::interval(Duration::from_millis(5));
        while start.elapsed() < BACK * 20 {
            cache.set("back", value(0)).await.ok();
            if server.cli(&["KEYS", "*{back}"]).texts().len() == 1 {
                break;
            }
            attempts.tick().await;
        }
    });
    start.elapsed()
}
