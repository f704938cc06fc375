//! Programs that end while their servers do not answer.

use std::thread;
use std::time::{Duration, Instant};

use larder_faults::{Config, PATIENCE, Site, Source};
use larder_servers::Redis;

use crate::{SOON, keys, until_used};

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
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
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
