//! Gets that go to replicas.

use std::sync::Arc;

use larder_core::{Backend, BuildContext, ManualClock};
use larder_redis::{ReadFrom, RedisBackend};
use larder_servers::{Cluster, Direction, Fault, Proxy, Redis, RedisOptions, eventually};

use crate::{LIMIT, common, entry};

async fn open(urls: &[String], read_from: ReadFrom) -> RedisBackend {
    let context = BuildContext::new("users").clock(Arc::new(ManualClock::new()));
    common::open_with(urls, "users:", read_from, context).await.unwrap()
}

/// How many entries a server was asked for.
fn reads(server: &Redis) -> u64 {
    let stats = server.cli(&["INFO", "commandstats"]).text();
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_get:calls="));
    line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
}

/// Gets keys until a replica has answered for one.
async fn read_until_asked(users: &RedisBackend, replicas: &[&Redis], keys: &[String]) {
    let mut looks = tokio::time::interval(std::time::Duration::from_millis(10));
    let asked = async {
        while replicas.iter().all(|replica| reads(replica) == 0) {
            for key in keys {
                assert!(users.get(key).await.unwrap().is_some());
            }
            looks.tick().await;
        }
    };
    tokio::time::timeout(LIMIT, asked).await.expect("a replica keeps up and is asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_come_from_a_replica_and_own_writes_from_the_primary() {
    let primary = Redis::start();
    let way = Proxy::start(primary.port());
    let replica = Redis::start_with(&RedisOptions::new().replica_of(way.port()));
    let writer = open(&[primary.url()], ReadFrom::Primary).await;
    let reader = open(&[primary.url()], ReadFrom::Replica).await;
    for key in ["mine", "theirs", "gone"] {
        writer.set(key, entry("before")).await.unwrap();
    }
    read_until_asked(&reader, &[&replica], &["theirs".to_owned()]).await;

    // From here on the replica hears nothing, and still tells the primary that it is there.
    way.set(Direction::ToClient, Fault::Blackhole);
    reader.set("mine", entry("after")).await.unwrap();
    assert_eq!(reader.get("mine").await.unwrap(), Some(entry("after")));
    assert!(reader.delete("gone").await.unwrap());
    assert_eq!(reader.get("gone").await.unwrap(), None);
    writer.set("theirs", entry("after")).await.unwrap();
    let mut looks = tokio::time::interval(std::time::Duration::from_millis(10));
    let heard = async {
        while reader.get("theirs").await.unwrap() != Some(entry("after")) {
            looks.tick().await;
        }
    };
    tokio::time::timeout(LIMIT, heard).await.expect("a replica that is behind is not read");
    writer.clear().await.unwrap();
    assert_eq!(reader.get("mine").await.unwrap(), None, "a clear is seen at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_only_looked_at_is_read_from_a_replica_all_the_same() {
    let primary = Redis::start();
    let replica = Redis::start_with(&RedisOptions::new().replica_of(primary.port()));
    open(&[primary.url()], ReadFrom::Primary).await.set("42", entry("value")).await.unwrap();
    let reader = open(&[primary.url()], ReadFrom::Replica).await;
    larder_servers::until("an answer of the replica", LIMIT, async || {
        assert!(reader.exists("42").await.unwrap());
        assert!(reader.get("42").await.unwrap().is_some());
        reads(&replica) > 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_replica_the_primary_answers() {
    let (primary, replica) = (Redis::start(), Redis::start());
    let users = open(&[primary.url()], ReadFrom::Replica).await;
    let writer = open(&[primary.url()], ReadFrom::Primary).await;
    writer.set("42", entry("value")).await.unwrap();
    assert_eq!(users.get("42").await.unwrap(), Some(entry("value")));
    replica.cli(&["CONFIG", "SET", "masteruser", "harness"]);
    replica.cli(&["CONFIG", "SET", "masterauth", "harness"]);
    replica.cli(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
    read_until_asked(&users, &[&replica], &["42".to_owned()]).await;
    replica.kill();
    for _ in 0..20 {
        assert_eq!(users.get("42").await.unwrap(), Some(entry("value")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_replicas_of_a_cluster_are_read() {
    let cluster = Cluster::start(1, 1);
    let urls: Vec<String> = cluster.nodes().iter().map(Redis::url).collect();
    let writer = open(&urls, ReadFrom::Primary).await;
    let keys: Vec<String> = (0..5).map(|number| number.to_string()).collect();
    for key in &keys {
        writer.set(key, entry("value")).await.unwrap();
    }
    let role = |server: &Redis| server.info("role");
    let replica = eventually("a replica", LIMIT, || {
        cluster.nodes().iter().find(|node| role(node) == "slave")
    });
    let users = open(&urls, ReadFrom::Replica).await;
    read_until_asked(&users, &[replica], &keys).await;
}
