//! Servers and values that are not what they were taken for.

use larder_faults::{Config, Site, Source};
use larder_servers::{Cluster, ClusterOptions, Redis, RedisOptions};

use crate::access::until_told;
use crate::{entries, keys, load_all};

/// What operators are told, at the start or later.
async fn told(config: &Config, word: &str) -> String {
    match Site::try_open(config, &Source::new()).await {
        Ok(site) => until_told(&site, &[word]).await,
        Err(error) => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_a_cluster_is_no_server_of_its_own_and_that_is_said() {
    let cluster = Cluster::start_with(&ClusterOptions::new(2));
    let told = told(&Config::redis(&cluster.nodes()[0].url()), "cluster").await;
    assert!(told.contains("redis-cluster"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_its_own_is_no_cluster_and_that_is_said() {
    let redis = Redis::start();
    let told = told(&Config::cluster(&[redis.port()]), "cluster").await;
    assert!(told.contains("hint"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_wrote_under_our_names_is_a_miss_and_is_replaced() {
    let (redis, source) = (Redis::start(), Source::new());
    let config = Config::redis(&redis.url()).without_memory();
    let site = Site::open(&config, &source).await;
    site.load("key").await;
    let name = entries(&redis, "key").remove(0);
    let ours = redis.cli(&["GET", &name]).bytes();
    let mut newer = ours.clone();
    newer[2] = 200;
    let mut reads = source.reads();
    let foreign = [b"".to_vec(), b"hello".to_vec(), vec![0; 100], ours[..60].to_vec(), newer];
    for value in foreign {
        redis.cli(&[b"SET", name.as_bytes(), &value]);
        site.load("key").await;
        reads += 1;
        assert_eq!(source.reads(), reads, "{value:?}");
        assert_eq!(site.get("key").await.unwrap().version, 1, "{value:?}");
    }
    for command in [&["LPUSH", &name, "x"][..], &["HSET", &name, "x", "y"], &["SADD", &name, "x"]] {
        redis.cli(&["DEL", &name]);
        redis.cli(command);
        site.load("key").await;
        assert_eq!(site.get("key").await.unwrap().version, 1, "{command:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_command_is_named_and_costs_no_caller_an_error() {
    for command in ["EVALSHA", "GET", "SET"] {
        let redis = Redis::start_with(&RedisOptions::new().without_command(command));
        let config = Config::redis(&redis.url());
        match Site::try_open(&config, &Source::new()).await {
            Ok(site) => {
                load_all(&site, keys("key", 10)).await;
                until_told(&site, &[&command.to_lowercase()]).await;
            }
            Err(error) => assert!(error.to_string().contains(command), "{error}"),
        }
    }
}
