//! Clusters whose nodes die and whose slots move.

use larder_faults::{Config, Site, Source, Value};
use larder_servers::{Cluster, ClusterOptions, Redis, until};

use crate::{SOON, keys, load_all};

fn config(cluster: &Cluster) -> Config {
    let ports: Vec<u16> = cluster.nodes().iter().map(Redis::port).collect();
    Config::cluster(&ports)
}

/// A cache of nothing but the cluster, with this limit: a machine that is busy is no node that is
/// away.
fn patient(cluster: &Cluster, limit: &str) -> Config {
    config(cluster)
        .without_memory()
        .connection(&format!("connect_timeout = \"{limit}\""))
        .connection(&format!("timeout = \"{limit}\""))
        .tier(&format!("timeout = \"{limit}\""))
}

/// What our entries are called is hashed by what stands in braces, the key.
fn owner(cluster: &Cluster, key: &str) -> usize {
    cluster.owner(cluster.slot(key))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_of_a_cluster_leaves_the_others_alone_and_is_replaced() {
    let options = ClusterOptions::new(3).replicas(1).partial();
    let (cluster, source) = (Cluster::start_with(&options), Source::new());
    let site = Site::open(&patient(&cluster, "4s"), &source).await;
    until("all keys on the servers", SOON, async || {
        let reads = source.reads();
        load_all(&site, keys("key", 60)).await;
        source.reads() == reads
    })
    .await;
    // The node that knows the generation of the cache is needed for every key.
    let control = cluster.nodes().iter().find_map(|node| {
        let keys = node.cli(&["KEYS", "ldr1:c:*"]).texts();
        keys.first().map(|key| owner(&cluster, key))
    });
    // On a busy machine replicas may have taken over already, so roles are asked for.
    let owners = || keys("key", 60).map(|key| owner(&cluster, &key));
    let dead = owners().find(|node| Some(*node) != control).expect("keys of another node");
    let (lost, kept): (Vec<_>, Vec<_>) =
        keys("key", 60).partition(|key| owner(&cluster, key) == dead);
    assert!(!lost.is_empty() && !kept.is_empty());
    cluster.nodes()[dead].kill();
    load_all(&site, lost.iter().cloned()).await;
    let reads = source.reads();
    // That many in a row would open the breaker if they were not of one node alone.
    assert!(lost.len() > 5);
    load_all(&site, kept.iter().cloned()).await;
    assert_eq!(source.reads(), reads, "the slots of the other primaries are served from there");
    let replica = &cluster.nodes()[(dead + 3) % 6];
    until("a replica in its place that is written to", SOON * 2, async || {
        load_all(&site, lost.iter().cloned()).await;
        let reads = source.reads();
        load_all(&site, lost.iter().cloned()).await;
        source.reads() == reads
    })
    .await;
    assert_eq!(replica.info("role"), "master");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_of_a_cluster_costs_a_batch_its_own_keys_alone() {
    let cluster = Cluster::start_with(&ClusterOptions::new(3).partial());
    let site = Site::open(&patient(&cluster, "20s"), &Source::new()).await;
    let all: Vec<String> = keys("key", 60).collect();
    let batch = |version| all.iter().map(move |key| (key.clone(), Value::new(key, version)));
    // A node may not have heard of all others at first.
    until("all slots", SOON, async || site.cache().set_many(batch(1)).await.is_ok()).await;
    let control = cluster.nodes().iter().position(|node| {
        let keys = node.cli(&["KEYS", "ldr1:c:*"]).texts();
        !keys.is_empty()
    });
    let dead = (control.expect("a node with the generation") + 1) % 3;
    cluster.nodes()[dead].kill();
    for version in 1..3 {
        let found = site.cache().get_many(&all).await.unwrap();
        for (key, found) in all.iter().zip(found) {
            let found = found.inspect(|value| value.check(key)).map(|value| value.version);
            let is_lost = owner(&cluster, key) == dead;
            assert_eq!(found, (!is_lost).then_some(version), "{key}");
        }
        let error = site.cache().set_many(batch(version + 1)).await.unwrap_err();
        let server = format!("127.0.0.1:{}", cluster.nodes()[dead].port());
        assert_eq!(error.context("server"), Some(&*server), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_that_move_are_followed_without_a_miss() {
    let (cluster, source) = (Cluster::start(2, 0), Source::new());
    let site = Site::open(&patient(&cluster, "4s"), &source).await;
    load_all(&site, keys("key", 40)).await;
    let (slot, from) = (cluster.slot("key0"), owner(&cluster, "key0"));
    let (reads, failures) = (source.reads(), site.failures());
    let migration = cluster.begin_migration(slot, 1 - from);
    // Still there, and not yet there: the old owner sends us on.
    load_all(&site, keys("key", 40)).await;
    migration.move_keys();
    load_all(&site, keys("key", 40)).await;
    // A key whose lease is with the one node and whose entry with the other cannot be written
    // before all of it is in one place.
    let write = tokio::spawn({
        let site = site.clone();
        async move { site.set("key0", 2).await }
    });
    migration.finish();
    write.await.unwrap().expect("a write that waits for the end of the move");
    assert_eq!(site.get("key0").await.unwrap().version, 2);
    load_all(&site, keys("key", 40)).await;
    assert_eq!((source.reads(), site.failures()), (reads, failures));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_down_costs_no_caller_an_error_and_is_used_again() {
    let (cluster, source) = (Cluster::start(3, 0), Source::new());
    let site = Site::open(&config(&cluster).without_memory(), &source).await;
    load_all(&site, keys("key", 20)).await;
    cluster.nodes()[1].kill();
    cluster.nodes()[2].kill();
    until("a cluster that is down", SOON, async || {
        load_all(&site, keys("key", 5)).await;
        cluster.nodes()[0].cli(&["CLUSTER", "INFO"]).text().contains("cluster_state:fail")
    })
    .await;
    load_all(&site, keys("key", 20)).await;
    cluster.nodes()[1].restart();
    cluster.nodes()[2].restart();
    cluster.wait_until_whole();
    until("a cluster that is used again", SOON, async || {
        load_all(&site, keys("key", 20)).await;
        let reads = source.reads();
        load_all(&site, keys("key", 20)).await;
        source.reads() == reads
    })
    .await;
}
