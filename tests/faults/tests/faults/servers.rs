//! Servers that die, hang, and lose what they had.

use larder::SetOptions;
use larder_faults::{Config, Site, Source};
use larder_servers::{Redis, RedisOptions, until};

use crate::{SOON, entries, holds, keys, load_all, until_used};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_costs_no_caller_an_error_and_is_used_again_when_it_is_back() {
    let (redis, source) = (Redis::start(), Source::new());
    let config = Config::redis(&redis.url());
    let site = Site::open(&config, &source).await;
    load_all(&site, keys("before", 20)).await;
    assert!(holds(&redis, "before0"));

    redis.kill();
    let (reads, failures) = (source.reads(), site.failures());
    load_all(&site, keys("before", 20)).await;
    assert_eq!(source.reads(), reads, "what is in memory is served from there");
    for key in keys("during", 40) {
        site.load(&key).await;
    }
    assert_eq!(source.reads(), reads + 40);
    let failures = site.failures() - failures;
    assert!((1..40).contains(&failures), "{failures} of some 100 calls asked a server in vain");

    redis.restart();
    println!("used again after {:?}", until_used(&site, &redis).await);
    assert!(!holds(&redis, "before0"), "the server came back empty");
    let other = Site::open(&config, &source).await;
    let reads = source.reads();
    other.load("before0").await;
    assert_eq!(source.reads(), reads + 1);
    assert!(holds(&redis, "before0"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_back_is_used_although_the_tier_is_left_alone_for_an_hour() {
    let (redis, source) = (Redis::start(), Source::new());
    // The connection has to know as well that its callers waited in vain.
    let config = Config::redis(&redis.url())
        .without_memory()
        .connection("timeout = \"500ms\"")
        .tier("timeout = \"5s\"")
        .tier("breaker = { failures = 5, open_for = \"1h\", max_open_for = \"1h\" }");
    let site = Site::open(&config, &source).await;
    for round in 0..2 {
        redis.kill();
        load_all(&site, keys("during", 20)).await;
        assert!(site.is_left_alone(), "nobody asks the server");
        redis.restart();
        println!("round {round}: used again after {:?}", until_used(&site, &redis).await);
        until("an entry that is stored", SOON, async || {
            site.load("key").await;
            holds(&redis, "key")
        })
        .await;
        until("an entry that is read back", SOON, async || site.get("key").await.is_some()).await;
    }
    // A server that goes on is back as well, on the connection that it had.
    redis.stop();
    until("a tier that is left alone", SOON, async || {
        site.load("key").await;
        site.is_left_alone()
    })
    .await;
    redis.cont();
    println!("used again after {:?}", until_used(&site, &redis).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_with_its_entries_is_read_from() {
    let redis = Redis::start_with(&RedisOptions::new().append_only().line("appendfsync always"));
    let source = Source::new();
    let config = Config::redis(&redis.url());
    let site = Site::open(&config, &source).await;
    site.load("key").await;
    redis.restart();
    until_used(&site, &redis).await;
    let other = Site::open(&config, &source).await;
    other.load("key").await;
    assert_eq!(source.reads(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_is_given_up_and_its_late_answers_reach_nobody() {
    let (redis, source) = (Redis::start(), Source::new());
    let config = Config::redis(&redis.url()).without_memory();
    let site = Site::open(&config, &source).await;
    load_all(&site, keys("key", 50)).await;
    for _ in 0..3 {
        redis.stop();
        // Their answers wait at the server.
        load_all(&site, keys("key", 25)).await;
        redis.cont();
        // An answer that meets another question would be a value of another key.
        load_all(&site, keys("key", 50)).await;
    }
    until_used(&site, &redis).await;
    let reads = source.reads();
    load_all(&site, keys("key", 50)).await;
    assert_eq!(source.reads(), reads, "all of them are on the server");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_pauses_is_as_one_that_hangs() {
    let (redis, source) = (Redis::start(), Source::new());
    let config = Config::redis(&redis.url()).without_memory();
    let site = Site::open(&config, &source).await;
    load_all(&site, keys("key", 20)).await;
    redis.cli(&["CLIENT", "PAUSE", "1500", "ALL"]);
    load_all(&site, keys("key", 40)).await;
    until_used(&site, &redis).await;
    redis.cli(&["DEL", &entries(&redis, "probe")[0]]);
    redis.send(&["DEBUG", "SLEEP", "1.5"]);
    load_all(&site, keys("key", 60)).await;
    until_used(&site, &redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_flushes_is_loaded_again_and_nothing_old_comes_back() {
    let (redis, source) = (Redis::start(), Source::new());
    let config = Config::redis(&redis.url()).without_memory();
    let site = Site::open(&config, &source).await;
    site.load("key").await;
    site.load_with("tagged", SetOptions::new().tag("tag")).await;
    site.cache().clear().await.unwrap();
    redis.cli(&["FLUSHALL"]);
    assert_eq!(site.get("key").await, None);
    let reads = source.reads();
    site.load("key").await;
    site.load_with("tagged", SetOptions::new().tag("tag")).await;
    assert_eq!(source.reads(), reads + 2);

    redis.cli(&["FLUSHDB"]);
    assert_eq!(site.get("key").await, None);
    site.set("key", 7).await.unwrap();
    let other = Site::open(&config, &source).await;
    assert_eq!(other.get("key").await.unwrap().version, 7);
    site.cache().clear().await.unwrap();
    assert_eq!(other.get("key").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_a_server_forgets_are_loaded_again() {
    let (redis, source) = (Redis::start(), Source::new());
    let config = Config::redis(&redis.url()).without_memory();
    let site = Site::open(&config, &source).await;
    let flush = || redis.cli(&["SCRIPT", "FLUSH"]);
    flush();
    site.set("key", 1).await.unwrap();
    flush();
    site.load("other").await;
    assert!(holds(&redis, "other"));
    flush();
    assert!(site.cache().touch("key", std::time::Duration::from_secs(60)).await.unwrap());
    flush();
    assert!(site.delete("key").await.unwrap());
    flush();
    site.cache().invalidate_tag("tag").await.unwrap();
    flush();
    site.cache().clear().await.unwrap();
    assert_eq!(site.get("other").await, None);
    assert_eq!(site.failures(), 0);
}
