//! Networks that lose, delay and change what they carry.

use std::time::{Duration, Instant};

use larder_faults::{Config, Site, Source, Value};
use larder_servers::{Direction, Fault, Proxy, Redis, until};

use crate::{SOON, holds, keys, load_all, until_used};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_into_nowhere_is_given_up_and_made_anew() {
    let (redis, source) = (Redis::start(), Source::new());
    let proxy = Proxy::start(redis.port());
    let site = Site::open(&Config::redis(&proxy.url()), &source).await;
    site.load("before").await;
    let accepted = proxy.accepted();
    proxy.set(Direction::Both, Fault::Blackhole);
    let start = Instant::now();
    let mut count = 0;
    until("a connection that is given up", SOON, async || {
        count += 1;
        site.load(&format!("during{count}")).await;
        proxy.accepted() > accepted
    })
    .await;
    println!("given up after {:?}, {count} loads", start.elapsed());
    proxy.heal();
    println!("used again after {:?}", until_used(&site, &redis).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_whose_answers_are_lost_leave_all_tiers_equal_in_the_end() {
    let (redis, source) = (Redis::start(), Source::new());
    let proxy = Proxy::start(redis.port());
    let config = Config::redis(&proxy.url());
    let site = Site::open(&config, &source).await;
    for key in keys("key", 10).chain(keys("gone", 3)) {
        site.set(&key, 1).await.unwrap();
    }
    proxy.set(Direction::ToClient, Fault::Blackhole);
    for key in keys("key", 10) {
        // Whether it arrives is unknown to all.
        site.set(&key, 2).await.ok();
    }
    for key in keys("gone", 3) {
        site.delete(&key).await.ok();
    }
    proxy.heal();
    until_used(&site, &redis).await;
    let direct = Site::open(&config.without_memory(), &source).await;
    for key in keys("key", 10).chain(keys("gone", 3)) {
        // Memory may keep what the server was told to forget, for it is the newest there is.
        until("a server without old values", SOON, async || {
            let (here, there) = (site.get(&key).await, direct.get(&key).await);
            [here, there].into_iter().flatten().all(|value| value.version == 2)
        })
        .await;
    }
    assert!(direct.get("gone0").await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_always_reset_are_tried_now_and_then_and_leave_nothing_open() {
    let (redis, source) = (Redis::start(), Source::new());
    let proxy = Proxy::start(redis.port());
    let site = Site::open(&Config::redis(&proxy.url()), &source).await;
    site.load("before").await;
    let (accepted, open) = (proxy.accepted(), proxy.open());
    proxy.set(Direction::Both, Fault::Reset);
    let (start, mut count) = (Instant::now(), 0);
    until("a storm of two seconds", SOON, async || {
        count += 1;
        site.load(&format!("during{count}")).await;
        start.elapsed() > Duration::from_secs(2)
    })
    .await;
    let attempts = proxy.accepted() - accepted;
    assert!((1..60).contains(&attempts), "{attempts} connections in {:?}", start.elapsed());
    proxy.heal();
    until_used(&site, &redis).await;
    until("connections that are closed", SOON, async || proxy.open() <= open.max(1) + 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_server_slows_down_no_hit_in_memory_and_its_answers_come_together() {
    let (redis, source) = (Redis::start(), Source::new());
    let proxy = Proxy::start(redis.port());
    let config = Config::redis(&proxy.url()).tier("timeout = \"4s\"");
    let site = Site::open(&config, &source).await;
    // On a busy machine a load may outlive its lease, and then it is not kept.
    until("all are in memory", SOON, async || {
        load_all(&site, keys("key", 200)).await;
        let mut are_there = true;
        for key in keys("key", 200) {
            are_there &= site.get(&key).await.is_some();
        }
        are_there
    })
    .await;
    let delay = Duration::from_millis(100);
    proxy.set(Direction::Both, Fault::Delay { least: delay, jitter: delay / 10 });
    let reads = source.reads();
    let slow = tokio::spawn({
        let site = site.clone();
        async move { load_all(&site, keys("new", 200)).await }
    });
    let start = Instant::now();
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        for key in keys("key", 200) {
            let start = Instant::now();
            site.get(&key).await.unwrap();
            longest = longest.max(start.elapsed());
        }
    }
    println!("longest of 4,000 hits {longest:?}, all {:?}", start.elapsed());
    // Without a round trip, whatever the machine is busy with.
    assert!(start.elapsed() < delay * 200, "{:?}", start.elapsed());
    slow.await.unwrap();
    assert_eq!(source.reads(), reads + 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_value_on_a_thin_line_does_not_hold_up_small_ones() {
    let (redis, source) = (Redis::start(), Source::new());
    let proxy = Proxy::start(redis.port());
    let config = Config::redis(&proxy.url())
        .without_memory()
        .connection("timeout = \"30s\"")
        .tier("timeout = \"30s\"");
    let site = Site::open(&config, &source).await;
    load_all(&site, keys("small", 10)).await;
    site.cache().set("large", Value::large("large", 1, 1_500_000)).await.unwrap();
    proxy.set(Direction::ToClient, Fault::Throttle(500_000));
    let cache = site.cache().clone();
    let large = tokio::spawn(async move { cache.get("large").await.unwrap().unwrap() });
    let mut count = 0;
    while !large.is_finished() {
        let key = format!("small{}", count % 10);
        assert!(site.get(&key).await.is_some());
        count += 1;
    }
    large.await.unwrap().check("large");
    // The first one would come with the end of the large one if it were held up, however busy the
    // machine is.
    assert!(count > 3, "{count} small values beside the large one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_byte_that_changes_on_the_way_is_never_part_of_a_value() {
    let (redis, source) = (Redis::start(), Source::new());
    let proxy = Proxy::start(redis.port());
    let config = Config::redis(&proxy.url()).without_memory();
    let site = Site::open(&config, &source).await;
    site.set("key", 1).await.unwrap();
    until_used(&site, &redis).await;
    for place in (0..240).step_by(8) {
        proxy.set(Direction::ToClient, Fault::CorruptAfter(place));
        // A value that was changed fails the check of its own sum.
        site.get("key").await;
        proxy.heal();
    }
    // A connection whose answers make no sense is given up, at the latest when it is used.
    until("a value that is read back", SOON, async || {
        site.set("key", 2).await.is_ok() && site.get("key").await.is_some_and(|it| it.version == 2)
    })
    .await;
    assert!(holds(&redis, "key"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_nobody_listens_on_costs_no_caller_an_error() {
    let (redis, source) = (Redis::start(), Source::new());
    let proxy = Proxy::start(redis.port());
    proxy.refuse();
    let site = Site::open(&Config::redis(&proxy.url()), &source).await;
    load_all(&site, keys("key", 50)).await;
    proxy.heal();
    until_used(&site, &redis).await;
}
