//! What goes wrong in one place stays there: with one node, one key, one kind of value.

use futures_util::future::join_all;
use larder_core::{Backend, BuildContext, ManualClock};
use larder_redis::RedisBackend;
use larder_servers::{Cluster, ClusterOptions};

use super::*;

/// A backend on a cluster whose background work stands still.
async fn open_cluster(nodes: &Cluster) -> RedisBackend {
    let urls: Vec<String> = nodes.nodes().iter().map(Redis::url).collect();
    let context = BuildContext::new("users").clock(Arc::new(ManualClock::new()));
    common::open(&urls, "users:", context).await.unwrap()
}

/// Entries on all nodes of a cluster, and one of these nodes that does not have the generation.
async fn entries_and_a_node(nodes: &Cluster, users: &RedisBackend) -> (Vec<String>, usize) {
    let keys: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    // A node may not have heard of all others at first.
    larder_servers::until("all slots", LIMIT, async || {
        let entries = keys.iter().map(|key| (key.clone(), entry(key.clone()))).collect();
        users.set_many(entries).await.is_ok()
    })
    .await;
    let control = nodes.owner(nodes.slot("ldr1:c:{users:}"));
    (keys, (control + 1) % nodes.nodes().len())
}

fn is_on(nodes: &Cluster, node: usize, key: &str) -> bool {
    nodes.owner(nodes.slot(&format!("{{{key}}}"))) == node
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_node_fails_the_reads_of_its_own_keys_alone() {
    let nodes = Cluster::start_with(&ClusterOptions::new(3).partial());
    let users = open_cluster(&nodes).await;
    let (keys, silent) = entries_and_a_node(&nodes, &users).await;
    let is_silent: Vec<bool> = keys.iter().map(|key| is_on(&nodes, silent, key)).collect();
    nodes.nodes()[silent].stop();
    let read = join_all(keys.iter().map(|key| users.get(key))).await;
    nodes.nodes()[silent].cont();
    for ((key, is_silent), found) in keys.iter().zip(is_silent).zip(read) {
        match found {
            Ok(found) => assert_eq!(found, Some(entry(key.clone())), "{key}"),
            Err(error) => assert!(is_silent && error.is_of_a_part(), "{key}: {error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_fails_its_own_keys_of_a_batch_alone() {
    let nodes = Cluster::start_with(&ClusterOptions::new(3).partial());
    let users = open_cluster(&nodes).await;
    let (keys, killed) = entries_and_a_node(&nodes, &users).await;
    let is_killed: Vec<bool> = keys.iter().map(|key| is_on(&nodes, killed, key)).collect();
    let texts: Vec<&str> = keys.iter().map(String::as_str).collect();
    nodes.nodes()[killed].kill();
    let newer = keys.iter().map(|key| (key.clone(), entry(format!("{key} again"))));
    let error = users.set_many(newer.collect()).await.unwrap_err();
    let server = format!("127.0.0.1:{}", nodes.nodes()[killed].port());
    assert_eq!((error.is_of_a_part(), error.context("server")), (true, Some(&*server)));
    let found = users.get_each(&texts).await;
    assert_eq!(found.len(), keys.len());
    for ((key, is_killed), found) in keys.iter().zip(is_killed).zip(found) {
        match found {
            Ok(found) => assert_eq!(found, Some(entry(format!("{key} again"))), "{key}"),
            Err(error) => assert!(is_killed && error.is_of_a_part(), "{key}: {error}"),
        }
    }
    assert!(users.get_many(&texts).await.unwrap_err().is_of_a_part());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_node_keeps_no_other_keys_from_being_removed() {
    let nodes = Cluster::start_with(&ClusterOptions::new(3).partial());
    let users = open_cluster(&nodes).await;
    let (keys, dead) = entries_and_a_node(&nodes, &users).await;
    let is_dead: Vec<bool> = keys.iter().map(|key| is_on(&nodes, dead, key)).collect();
    nodes.nodes()[dead].stop();
    let texts: Vec<&str> = keys.iter().map(String::as_str).collect();
    let error = users.delete_many(&texts).await.unwrap_err();
    assert!(error.is_of_a_part(), "{error}");
    nodes.nodes()[dead].cont();
    for (key, _) in keys.iter().zip(is_dead).filter(|(_, is_dead)| !is_dead) {
        assert_eq!(users.get(key).await.unwrap(), None, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_write_that_was_given_up_does_not_come_after_what_followed_it() {
    let site = Site::new();
    let users = site.open_still("users:").await;
    let large = || entry(vec![7; 20 << 20]);
    // Both sockets are open.
    users.set("other", large()).await.unwrap();
    site.server.stop();
    {
        let mut set = std::pin::pin!(users.set("42", large()));
        // As much of it as the sockets take is on its way then.
        let given_up = tokio::time::timeout(Duration::from_millis(200), &mut set).await;
        assert!(given_up.is_err(), "the server stands still");
    }
    let delete = async {
        let mut attempts = tokio::time::interval(Duration::from_millis(20));
        while users.delete("42").await.is_err() {
            attempts.tick().await;
        }
    };
    let mut delete = std::pin::pin!(delete);
    let waiting = tokio::time::timeout(Duration::from_millis(200), &mut delete).await;
    assert!(waiting.is_err(), "the server stands still");
    site.server.cont();
    tokio::time::timeout(LIMIT, delete).await.expect("it is answered");
    // What was sent over the large socket before this has been carried out as well.
    users.set("other", large()).await.unwrap();
    assert!(users.get("42").await.unwrap().is_none(), "the write came after the delete");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_write_that_was_given_up_does_not_come_after_a_large_one_that_followed_it() {
    let site = Site::new();
    let users = site.open_still("users:").await;
    let large = || entry(vec![7; 100_000]);
    // Both sockets are open.
    users.set("other", large()).await.unwrap();
    users.set("another", entry("small")).await.unwrap();
    for round in 0..5 {
        let key = format!("key {round}");
        site.server.stop();
        let given_up = Duration::from_millis(50);
        let set = tokio::time::timeout(given_up, users.set(&key, entry("small"))).await;
        assert!(set.is_err(), "the server stands still");
        let mut set = std::pin::pin!(users.set(&key, large()));
        let waiting = tokio::time::timeout(given_up, &mut set).await;
        site.server.cont();
        assert!(waiting.is_err(), "the server stands still");
        tokio::time::timeout(LIMIT, set).await.expect("an answer").unwrap();
        // What was sent over the socket for small values before this has been carried out as well.
        users.set("another", entry("small")).await.unwrap();
        let found = users.get(&key).await.unwrap().expect("an entry");
        assert_eq!(found.value.len(), 100_000, "the small one came after it");
    }
}

#[tokio::test]
async fn large_values_that_nobody_knows_are_not_asked_for_all_at_once() {
    let site = Site::new();
    let keys: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    let writer = site.open_still("users:").await;
    for key in &keys {
        writer.set(key, entry(vec![7; 100_000])).await.unwrap();
    }
    let reader = site.open_still("users:").await;
    let before = batches::calls(&site, "mget");
    let read = join_all(keys.iter().map(|key| reader.get(key))).await;
    assert!(read.into_iter().all(|found| found.unwrap().is_some()));
    let flights = batches::calls(&site, "mget") - before;
    assert!(flights >= 6, "{flights} commands for 100 large values");
    // By then it is known that they are large.
    reader.get("0").await.unwrap();
    assert_eq!(batches::calls(&site, "mget") - before, flights);
}
