//! Programs that end while their servers do not answer.

use std::thread;
use std::time::{Duration, Instant};

use larder_faults::{Config, PATIENCE, Site, Source};
use larder_servers::{Proxy, Redis, until};

use crate::{SOON, holds, keys, until_used};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_does_not_wait_for_a_server_that_hangs() {
    let (redis, source) = (Redis::start(), Source::new());
    let site = Site::open(&Config::redis(&redis.url()), &source).await;
    site.load("key").await;
    redis.stop();
    let loads: Vec<_> = keys("new", 20).map(|key| tokio::spawn(site.load(&key))).collect();
    let start = Instant::now();
    // What could not be told to the server may be an error; that it ends is the point.
    site.manager().close().await.ok();
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    for load in loads {
        // They had begun, and end in any way but by hanging.
        let ended = tokio::time::timeout(SOON, load).await;
        assert!(ended.is_ok(), "a load that hangs after the end");
    }
}

#[test]
fn a_runtime_ends_while_calls_are_on_their_way() {
    let (redis, source) = (Redis::start(), Source::new());
    let config = Config::redis(&redis.url());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let site = runtime.block_on(Site::open(&config, &source));
    runtime.block_on(site.load("key"));
    redis.stop();
    for key in keys("new", 20) {
        runtime.spawn(site.load(&key));
    }
    let start = Instant::now();
    drop(runtime);
    drop(site);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    redis.cont();
    // The manager is gone with its runtime, and another one works.
    let again = thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let site = Site::open(&config, &source).await;
            until_used(&site, &redis).await;
        });
    });
    again.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deleted_while_the_server_was_away_is_gone_when_it_is_back() {
    let (redis, source) = (Redis::start(), Source::new());
    let proxy = Proxy::start(redis.port());
    let config = Config::redis(&proxy.url());
    let site = Site::open(&config, &source).await;
    for key in keys("key", 20) {
        site.set(&key, 1).await.unwrap();
    }
    proxy.refuse();
    proxy.cut();
    for key in keys("key", 10) {
        site.delete(&key).await.ok();
    }
    assert!(holds(&redis, "key0"), "nobody could tell the server");
    proxy.heal();
    until_used(&site, &redis).await;
    let fresh = Site::open(&config.without_memory(), &source).await;
    until("deletes that arrive", SOON, async || !has_any(&fresh, keys("key", 10)).await).await;
    assert!(fresh.get("key10").await.is_some(), "and nothing else");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_deletes_than_can_be_remembered_clear_the_cache() {
    let (redis, source) = (Redis::start(), Source::new());
    let proxy = Proxy::start(redis.port());
    let config = Config::redis(&proxy.url());
    let site = Site::open(&config, &source).await;
    for key in keys("key", 20) {
        site.set(&key, 1).await.unwrap();
    }
    proxy.refuse();
    proxy.cut();
    let start = Instant::now();
    for key in keys("gone", 70_000) {
        site.cache().delete(&key).await.ok();
    }
    for key in keys("key", 10) {
        site.delete(&key).await.ok();
    }
    println!("70,010 deletes in {:?}", start.elapsed());
    proxy.heal();
    until_used(&site, &redis).await;
    let fresh = Site::open(&config.without_memory(), &source).await;
    until("deletes that arrive", SOON, async || !has_any(&fresh, keys("key", 10)).await).await;
}

async fn has_any(site: &Site, keys: impl Iterator<Item = String>) -> bool {
    let mut has_any = false;
    for key in keys {
        has_any |= site.get(&key).await.is_some();
    }
    has_any
}
