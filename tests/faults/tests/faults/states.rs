//! Servers that answer, but not what they should.

use std::fs;

use larder_faults::{Config, Site, Source};
use larder_servers::{Proxy, Redis, RedisOptions, until};

use crate::access::until_told;
use crate::{SOON, holds, keys, load_all, until_used};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_became_a_replica_costs_no_caller_an_error() {
    let (redis, primary, source) = (Redis::start(), Redis::start(), Source::new());
    let config = Config::redis(&redis.url());
    let site = Site::open(&config, &source).await;
    site.set("key", 1).await.unwrap();
    redis.cli(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
    load_all(&site, keys("during", 20)).await;
    site.set("key", 2).await.ok();
    assert_eq!(site.get("key").await.map_or(2, |value| value.version), 2);
    redis.cli(&["REPLICAOF", "NO", "ONE"]);
    until_used(&site, &redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_save_costs_no_caller_an_error() {
    let redis = Redis::start_with(&RedisOptions::new().line("stop-writes-on-bgsave-error yes"));
    let source = Source::new();
    let site = Site::open(&Config::redis(&redis.url()), &source).await;
    site.set("key", 1).await.unwrap();
    // A directory of the name cannot be replaced by a file.
    fs::create_dir(redis.directory().join("dump.rdb")).unwrap();
    redis.cli(&["CONFIG", "SET", "save", "3600 1"]);
    redis.cli(&["BGSAVE"]);
    until("a save that fails", SOON, async || redis.info("rdb_last_bgsave_status") == "err").await;
    assert!(redis.try_cli(&["SET", "any", "any"]).unwrap_err().starts_with("MISCONF"));
    load_all(&site, keys("during", 20)).await;
    site.set("key", 2).await.ok();
    let fresh = site.get("key").await;
    assert_eq!(fresh.map_or(2, |value| value.version), 2);
    redis.cli(&["CONFIG", "SET", "save", ""]);
    until_used(&site, &redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_misses_its_replicas_costs_no_caller_an_error() {
    let (redis, source) = (Redis::start(), Source::new());
    let site = Site::open(&Config::redis(&redis.url()), &source).await;
    site.set("key", 1).await.unwrap();
    redis.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    assert!(redis.try_cli(&["SET", "any", "any"]).unwrap_err().starts_with("NOREPLICAS"));
    load_all(&site, keys("during", 20)).await;
    site.set("key", 2).await.ok();
    assert_eq!(site.get("key").await.map_or(2, |value| value.version), 2);
    redis.cli(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    until_used(&site, &redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_still_loading_costs_no_caller_an_error() {
    let (redis, source) = (Redis::start(), Source::new());
    let config = Config::redis(&redis.url()).without_memory();
    let site = Site::open(&config, &source).await;
    load_all(&site, keys("key", 50)).await;
    redis.cli(&["DEBUG", "POPULATE", "2000"]);
    redis.cli(&["CONFIG", "SET", "key-load-delay", "1000"]);
    redis.cli(&["CONFIG", "SET", "loading-process-events-interval-bytes", "1024"]);
    redis.send(&["DEBUG", "RELOAD"]);
    let mut has_loaded = false;
    until("the end of loading", SOON, async || {
        load_all(&site, keys("key", 20)).await;
        let answer = redis.try_cli(&["GET", "any"]);
        has_loaded |= answer.is_err();
        has_loaded && answer.is_ok()
    })
    .await;
    until_used(&site, &redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_room_for_another_client_is_tried_now_and_then() {
    let (redis, source) = (Redis::start(), Source::new());
    let proxy = Proxy::start(redis.port());
    let site = Site::open(&Config::redis(&proxy.url()), &source).await;
    site.set("key", 1).await.unwrap();
    redis.cli(&["CONFIG", "SET", "maxclients", "1"]);
    proxy.cut();
    let accepted = proxy.accepted();
    // The server says so and closes; what it said is lost when our greeting meets a closed socket.
    until_told(&site, &["maxclients", "closes the connection"]).await;
    assert!(proxy.accepted() - accepted < 50, "{}", proxy.accepted() - accepted);
    redis.cli(&["CONFIG", "SET", "maxclients", "1000"]);
    until_used(&site, &redis).await;
    assert!(holds(&redis, "probe"));
}
