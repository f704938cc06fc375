//! Servers that are full.

use larder_faults::{Config, Site, Source, Value};
use larder_servers::{Redis, RedisOptions};

use crate::{holds, keys, until_used};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_evicts_is_loaded_again() {
    let redis = Redis::start_with(&RedisOptions::new().max_memory("4mb", "allkeys-random"));
    let source = Source::new();
    let site = Site::open(&Config::redis(&redis.url()).without_memory(), &source).await;
    for round in 0..3 {
        for key in keys("key", 200) {
            site.cache().set(&key, Value::large(&key, round + 1, 20_000)).await.unwrap();
        }
        for key in keys("key", 200) {
            let found = site.get(&key).await;
            assert!(found.is_none_or(|value| value.version == round + 1));
        }
    }
    // Where what is known of the cache itself is evicted, the cache empties itself besides.
    assert_ne!(redis.info("evicted_keys"), "0");
    assert_eq!(site.failures(), 0);
    for key in keys("key", 20) {
        site.load(&key).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_full_keeps_no_value_that_was_overwritten() {
    let (redis, source) = (Redis::start(), Source::new());
    let config = Config::redis(&redis.url());
    let site = Site::open(&config, &source).await;
    site.set("key", 1).await.unwrap();
    site.set("other", 1).await.unwrap();
    redis.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    // Whether a write that no tier keeps for others is an error is the cache's to say.
    site.set("key", 2).await.ok();
    let fresh = Site::open(&config, &source).await;
    let seen = fresh.get("key").await;
    assert!(seen.is_none_or(|value| value.version == 2), "the old value was left there");
    assert_eq!(fresh.get("other").await.unwrap().version, 1, "reads go on");
    for key in keys("new", 50) {
        site.load(&key).await;
    }
    assert!(!holds(&redis, "new0"));
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    until_used(&site, &redis).await;
}
