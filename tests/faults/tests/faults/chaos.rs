//! Random faults, one after the other, under callers that never stop.
//!
//! One site reads and writes over a network and a server that fail as the seed decides. Whatever
//! fails, what it sees of a key never goes back behind what it wrote, deleted or saw before; when
//! all is well again, a site that never wrote sees the same. `LARDER_SEED` runs a seed again,
//! `LARDER_SOAK` runs for minutes.

use std::env;
use std::time::{Duration, Instant};

use fastrand::Rng;
use larder_faults::{Config, Site, Source, Value};
use larder_servers::{Direction, Fault, Proxy, Redis, until};
use tokio::sync::watch;

use crate::{SOON, until_used};

const CALLERS: usize = 4;
const KEYS_OF_EACH: usize = 16;

/// Keys of one caller, and the oldest version of each that it may see.
struct Caller {
    site: Site,
    source: Source,
    rng: Rng,
    keys: Vec<(String, u64)>,
}

impl Caller {
    fn new(site: &Site, source: &Source, number: usize, rng: Rng) -> Self {
        let keys = (0..KEYS_OF_EACH).map(|key| (format!("key{number}x{key}"), 1)).collect();
        Self { site: site.clone(), source: source.clone(), rng, keys }
    }

    /// Works until it is told to stop.
    async fn run(mut self, is_over: watch::Receiver<bool>) -> Vec<(String, u64)> {
        let mut steps = 0_u64;
        while !*is_over.borrow() {
            self.step().await;
            steps += 1;
            // Hits in memory wait for nothing, and would keep all others from working.
            tokio::task::yield_now().await;
        }
        assert!(steps > 100, "only {steps} steps");
        self.keys
    }

    async fn step(&mut self) {
        let place = self.rng.usize(..self.keys.len());
        let (key, floor) = self.keys[place].clone();
        let seen = match self.rng.u8(..10) {
            0 => self.set(&key).await,
            1 => self.delete(&key).await,
            2..6 => self.site.get(&key).await.map(|value| value.version),
            _ => Some(self.site.load(&key).await.version),
        };
        let Some(seen) = seen else { return };
        let newest = self.source.version(&key);
        assert!((floor..=newest).contains(&seen), "{key}: {seen} after {floor}, newest {newest}");
        self.keys[place].1 = seen;
    }

    /// Stores a new version; none when nobody knows whether it was.
    async fn set(&mut self, key: &str) -> Option<u64> {
        let version = self.source.change(key);
        let size = if self.rng.u8(..10) == 0 { 100_000 } else { 0 };
        let value = Value::large(key, version, size);
        self.site.cache().set(key, value).await.ok().map(|()| version)
    }

    /// Makes the key unusable for everybody, and with it all versions of before.
    async fn delete(&self, key: &str) -> Option<u64> {
        let version = self.source.change(key);
        self.site.delete(key).await.ok().map(|_| version)
    }
}

/// Breaks something, for a moment.
fn fail(rng: &mut Rng, redis: &Redis, proxy: &Proxy) {
    let direction = [Direction::Both, Direction::ToClient, Direction::ToServer][rng.usize(..3)];
    let some = Duration::from_millis(rng.u64(1..100));
    let what = rng.u8(..14);
    match what {
        0 => proxy.set(direction, Fault::Blackhole),
        1 => proxy.set(direction, Fault::Reset),
        2 => proxy.set(direction, Fault::HalfClose),
        3 => proxy.set(direction, Fault::Delay { least: some, jitter: some }),
        4 => proxy.set(direction, Fault::Throttle(rng.usize(10_000..1_000_000))),
        5 => proxy.set(direction, Fault::CutAfter(rng.usize(..100_000))),
        6 => proxy.cut(),
        7 => proxy.refuse(),
        8 => drop(redis.cli(&["CLIENT", "PAUSE", "300", "ALL"])),
        9 => drop(redis.cli(&["CLIENT", "PAUSE", "300", "WRITE"])),
        10 => drop(redis.cli(&["SCRIPT", "FLUSH"])),
        11 => drop(redis.cli(&["FLUSHALL"])),
        12 => drop(redis.cli(&["CONFIG", "SET", "maxmemory", "1"])),
        _ => redis.restart(),
    }
    println!("fault {what}, {direction:?}, {some:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_nothing_that_was_overwritten_is_seen_again() {
    let given = env::var("LARDER_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("LARDER_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let length = if env::var_os("LARDER_SOAK").is_some() { 300 } else { 6 };
    let redis = Redis::start();
    let (proxy, source) = (Proxy::start(redis.port()), Source::new());
    // A memory that is too small for the keys, so that the server is asked all the time.
    let config = Config::redis(&proxy.url())
        .memory(20)
        .tier("breaker = { failures = 5, open_for = \"100ms\", max_open_for = \"500ms\" }");
    let site = Site::open(&config, &source).await;
    let (stop, is_over) = watch::channel(false);
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| Caller::new(&site, &source, number, Rng::with_seed(rng.u64(..))))
        .map(|caller| tokio::spawn(caller.run(is_over.clone())))
        .collect();

    let start = Instant::now();
    let mut moments = tokio::time::interval(Duration::from_millis(250));
    while start.elapsed() < Duration::from_secs(length) {
        fail(&mut rng, &redis, &proxy);
        moments.tick().await;
        proxy.heal();
        redis.cli(&["CONFIG", "SET", "maxmemory", "0"]);
        moments.tick().await;
    }
    until_used(&site, &redis).await;
    stop.send(true).unwrap();
    let mut floors = Vec::new();
    for caller in callers {
        floors.extend(caller.await.expect("a caller saw an old value, or waited too long"));
    }
    let other = Site::open(&config.without_memory(), &source).await;
    for (key, floor) in floors {
        until("tiers that agree", SOON, async || {
            other.get(&key).await.is_none_or(|value| value.version >= floor)
        })
        .await;
    }
}
