//! Entries on a Redis server: through Larder, through the crate `redis` alone, and what the server
//! itself can do.

use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use larder::{Cache, CacheManager, Format};
use larder_servers::Redis;
use redis::aio::MultiplexedConnection;
use tokio::runtime::Runtime;

use crate::Failure;
use crate::harness::{Round, Rounds, nanos_each};
use crate::report::{Report, Row, Unit};

mod outage;
mod tags;

/// What there is to measure about Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Gets of many tasks.
    Gets,
    /// Gets of many tasks through Larder and nothing else, for a profiler. Reports nothing.
    GetsOfLarder,
    /// The same through the crate alone.
    GetsOfCrate,
    /// Gets of one task.
    Alone,
    Tags,
    Outage,
}

impl Part {
    /// All that report something.
    pub(crate) const REPORTING: [Self; 4] = [Self::Gets, Self::Alone, Self::Tags, Self::Outage];

    /// The part of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "gets" => Self::Gets,
            "gets-of-larder" => Self::GetsOfLarder,
            "gets-of-crate" => Self::GetsOfCrate,
            "alone" => Self::Alone,
            "tags" => Self::Tags,
            "outage" => Self::Outage,
            _ => return None,
        })
    }

    /// Measures it, over a server of its own.
    pub(crate) fn run<W: Write>(self, report: &mut Report<W>) -> Result<(), Failure> {
        match self {
            Self::Gets => Sides::start()?.throughput(report),
            Self::GetsOfLarder => {
                Sides::start()?.ours_each(TASKS, GETS);
                Ok(())
            }
            Self::GetsOfCrate => {
                Sides::start()?.plain_each(TASKS, GETS);
                Ok(())
            }
            Self::Alone => Sides::start()?.latency(report),
            Self::Tags => tags::run(report),
            Self::Outage => outage::run(report),
        }
    }
}

/// The two clients, with a runtime that both use.
struct Sides {
    server: Redis,
    runtime: Runtime,
    caches: CacheManager,
    ours: Cache<String, String>,
    plain: MultiplexedConnection,
}

impl Sides {
    fn start() -> Result<Self, Failure> {
        let server = Redis::start();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let url = server.url();
        let (caches, ours, plain) = runtime.block_on(async {
            let caches = manager(&url, ALONE, PATIENCE).await?;
            let ours = caches.cache::<String, String>("users")?;
            let plain = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
            for number in 0..KEYS {
                ours.set(&key(number), value(number)).await?;
                let mut set = redis::cmd("SET");
                set.arg(key(number)).arg(value(number));
                let () = set.query_async(&mut plain.clone()).await?;
            }
            Ok::<_, Failure>((caches, ours, plain))
        })?;
        Ok(Self { server, runtime, caches, ours, plain })
    }

    /// Many tasks, each of which waits for one get before it asks for the next.
    fn throughput<W: Write>(&self, report: &mut Report<W>) -> Result<(), Failure> {
        let names = ["larder", "redis crate", "redis-benchmark -P 16"];
        let mut rounds = Rounds::of(names);
        let mut sides: [Round<'_>; 3] = [
            Box::new(|| self.ours_each(TASKS, GETS)),
            Box::new(|| self.plain_each(TASKS, GETS)),
            Box::new(|| self.server_each().unwrap_or(f64::NAN)),
        ];
        rounds.run(ROUNDS, &mut sides);
        for comparison in rounds.comparisons() {
            let case = format!("redis get {TASKS} tasks");
            report.add(&Row::of_comparison(case, Unit::Nanos, rounds.ours(), comparison))?;
        }
        Ok(())
    }

    /// One task.
    fn latency<W: Write>(&self, report: &mut Report<W>) -> Result<(), Failure> {
        let mut rounds = Rounds::of(["larder", "redis crate"]);
        let mut sides: [Round<'_>; 2] = [
            Box::new(|| self.runtime.block_on(median(GETS_OF_ONE, |at| self.get_ours(at)))),
            Box::new(|| self.runtime.block_on(median(GETS_OF_ONE, |at| self.get_plain(at)))),
        ];
        rounds.run(ROUNDS, &mut sides);
        report.add(&Row::of_rounds("redis get 1 task p50".to_owned(), Unit::Nanos, &rounds))?;
        Ok(())
    }

    fn ours_each(&self, tasks: usize, gets: usize) -> f64 {
        self.each(tasks, gets, |seed| {
            let ours = self.ours.clone();
            async move {
                for at in 0..gets {
                    let found = ours.get(&key(spread(seed, at))).await;
                    assert!(found.is_ok_and(|value| value.is_some()), "the key is there");
                }
            }
        })
    }

    fn plain_each(&self, tasks: usize, gets: usize) -> f64 {
        self.each(tasks, gets, |seed| {
            let mut plain = self.plain.clone();
            async move {
                for at in 0..gets {
                    let mut get = redis::cmd("GET");
                    get.arg(key(spread(seed, at)));
                    let found: Option<String> = get.query_async(&mut plain).await.unwrap_or(None);
                    assert!(found.is_some(), "the key is there");
                }
            }
        })
    }

    fn each<F>(&self, tasks: usize, gets: usize, work: impl Fn(usize) -> F) -> f64
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let start = Instant::now();
        let running: Vec<_> = (0..tasks).map(|seed| self.runtime.spawn(work(seed))).collect();
        for task in running {
            self.runtime.block_on(task).expect("no task panics");
        }
        nanos_each(start.elapsed(), tasks * gets)
    }

    /// Nanoseconds of a get as the tool of the server sees it.
    fn server_each(&self) -> Result<f64, Failure> {
        let port = self.server.port().to_string();
        let mut tool = Command::new("redis-benchmark");
        tool.args(["-p", &port, "-P", "16", "-t", "get", "-n", "400000", "-d", "100", "--csv"]);
        let text = String::from_utf8(tool.output()?.stdout)?;
        let line = text.lines().find(|line| line.starts_with("\"GET\"")).ok_or("no figure")?;
        let rate: f64 = line.split('"').nth(3).ok_or("no figure")?.parse()?;
        Ok(1e9 / rate)
    }

    async fn get_ours(&self, at: usize) {
        let found = self.ours.get(&key(spread(0, at))).await;
        assert!(found.is_ok_and(|value| value.is_some()), "the key is there");
    }

    async fn get_plain(&self, at: usize) {
        let mut get = redis::cmd("GET");
        get.arg(key(spread(0, at)));
        let mut plain = self.plain.clone();
        let found: Option<String> = get.query_async(&mut plain).await.unwrap_or(None);
        assert!(found.is_some(), "the key is there");
    }
}

impl Drop for Sides {
    fn drop(&mut self) {
        // What is still under way is of no interest.
        self.runtime.block_on(self.caches.close()).ok();
    }
}

/// A cache `users` with these lines of config, and a connection `main` to a server with this limit.
async fn manager(url: &str, lines: &str, limit: Duration) -> Result<CacheManager, Failure> {
    let limit = limit.as_millis();
    let text = format!(
        "version = 1\n\
         [connections.main]\n\
         kind = \"redis\"\n\
         url = \"{url}\"\n\
         timeout = \"{limit}ms\"\n\
         connect_timeout = \"{limit}ms\"\n\
         [caches.users]\n\
         {lines}\n"
    );
    Ok(CacheManager::builder().text("bench.toml", Format::Toml, text).build().await?)
}

/// The median time of so many gets, one after another, in nanoseconds.
async fn median<F: Future<Output = ()>>(gets: usize, get: impl Fn(usize) -> F) -> f64 {
    let mut times = Vec::with_capacity(gets);
    for at in 0..gets {
        let start = Instant::now();
        get(at).await;
        times.push(start.elapsed());
    }
    percentile(times, 50).as_secs_f64() * 1e9
}

/// The time that so many per cent of the times are not over.
fn percentile(mut times: Vec<Duration>, percent: usize) -> Duration {
    times.sort_unstable();
    let at = times.len() * percent / 100;
    times.get(at.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// Keys all over the place, the same in each run.
fn spread(seed: usize, at: usize) -> usize {
    (seed * 7919 + at * 104_729) % KEYS
}

fn key(number: usize) -> String {
    format!("user:{number}")
}

fn value(number: usize) -> String {
    format!("{number:0100}")
}

/// A cache of nothing but Redis.
const ALONE: &str = r#"backend = { kind = "redis", connection = "main" }"#;

/// Memory over Redis.
const BELOW_MEMORY: &str = r#"l1.backend = { kind = "memory", capacity = 10_000 }
l2.backend = { kind = "redis", connection = "main" }"#;

/// The longest wait for an answer of the server.
const LIMIT: Duration = Duration::from_millis(200);

/// The same under a profiler, where all takes fifty times as long.
const PATIENCE: Duration = Duration::from_secs(20);

const KEYS: usize = 10_000;
const TASKS: usize = 64;
const GETS: usize = 2_000;
const GETS_OF_ONE: usize = 5_000;
const ROUNDS: usize = 5;
