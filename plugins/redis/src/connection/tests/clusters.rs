//! Clusters: keys all over, slots that move, nodes that die.

use std::time::Instant;

use larder_servers::Cluster;
use serde_json::json;

use super::*;

fn options(nodes: &Cluster) -> serde_json::Value {
    json!({ "nodes": [nodes.nodes()[0].url()], "timeout": "3s" })
}

/// Waits until all nodes know of the last change: nodes that number changes alike undo them.
async fn until_agreed(nodes: &Cluster) {
    larder_servers::until("nodes that agree", PATIENCE, async || {
        let epochs = nodes.nodes().iter().map(|node| {
            let info = node.cli(&["CLUSTER", "INFO"]).text();
            let mut epochs = info.lines().filter(|line| line.starts_with("cluster_current_epoch"));
            epochs.next().unwrap().to_owned()
        });
        epochs.collect::<std::collections::BTreeSet<_>>().len() == 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_go_to_the_nodes_that_have_their_slots() {
    let nodes = Cluster::start(3, 0);
    let connection = cluster("spread", options(&nodes)).await;
    for index in 0..100 {
        let key = format!("key-{index}");
        assert_eq!(set(&connection, &key, &key).await.unwrap(), Value::Okay);
        assert_eq!(get(&connection, &key).await.unwrap(), text(&key));
        assert_eq!(slots::slot_of(&key), nodes.slot(&key), "{key}");
    }
    assert!(connection.is_cluster());
    assert_eq!(connection.layout().await.unwrap().servers, 3);
    let mut total = 0;
    for primary in 0..3 {
        let mut commands = redis::pipe();
        commands.cmd("DBSIZE");
        let answers = connection.send(Lane::Small, Route::Primary(primary), commands).await;
        let [Value::Int(keys)] = answers.unwrap()[..] else {
            panic!("a number is expected");
        };
        assert!(keys > 10, "primary {primary} has {keys}");
        total += keys;
    }
    assert_eq!(total, 100);
    let mut ping = redis::pipe();
    ping.cmd("PING");
    connection.send(Lane::Small, Route::Any, ping).await.unwrap();
    let health = connection.health();
    assert_eq!((health.state, health.servers), (State::Healthy, (3, 3)));
    larder_servers::until("the event", PATIENCE, async || {
        count("spread", telemetry::CONNECTION_SLOTS) >= 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_that_move_are_followed_without_a_caller_noticing() {
    let nodes = Cluster::start(2, 0);
    let connection = cluster("moving", options(&nodes)).await;
    let keys: Vec<_> = (0..20).map(|index| format!("{{tag}}-{index}")).collect();
    for key in &keys {
        set(&connection, key, key).await.unwrap();
    }
    let slot = nodes.slot("{tag}");
    let to = 1 - nodes.owner(slot);
    let migration = nodes.begin_migration(slot, to);
    // Those that are not there yet are made at the new owner.
    assert_eq!(set(&connection, "{tag}-new", "new").await.unwrap(), Value::Okay);
    migration.move_keys();
    // All keys are at the new owner, and the slot still belongs to the old one.
    for key in &keys {
        assert_eq!(get(&connection, key).await.unwrap(), text(key));
    }
    let mut many = redis::pipe();
    for key in &keys {
        many.cmd("GET").arg(key);
    }
    let answers = connection.send(Lane::Small, Route::Key("{tag}"), many.clone()).await.unwrap();
    assert_eq!(answers, keys.iter().map(|key| text(key)).collect::<Vec<_>>());
    migration.finish();
    let answers = connection.send(Lane::Small, Route::Key("{tag}"), many).await.unwrap();
    assert_eq!(answers.len(), 20);
    assert_eq!(answers[19], text(&keys[19]));
    assert_eq!(get(&connection, "{tag}-new").await.unwrap(), text("new"));

    let reader = tokio::spawn({
        let (connection, keys) = (connection.clone(), keys.clone());
        async move {
            for _ in 0..200 {
                for key in &keys {
                    assert_eq!(get(&connection, key).await.unwrap(), text(key));
                }
            }
        }
    });
    for to in [1 - to, to, 1 - to] {
        until_agreed(&nodes).await;
        nodes.reshard(slot, to);
    }
    reader.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_dies_costs_its_own_slots_and_those_only_until_its_replica_takes_over() {
    let nodes = Cluster::start(3, 1);
    let connection = cluster("failing", options(&nodes)).await;
    let keys: Vec<_> = (0..30).map(|index| format!("key-{index}")).collect();
    for key in &keys {
        set(&connection, key, key).await.unwrap();
    }
    let dead = nodes.owner(nodes.slot(&keys[0]));
    let (lost, kept): (Vec<_>, Vec<_>) =
        keys.iter().partition(|key| nodes.owner(nodes.slot(key)) == dead);
    assert!(!lost.is_empty() && !kept.is_empty());
    nodes.nodes()[dead].kill();
    get(&connection, lost[0]).await.unwrap_err();
    // For some moments the whole cluster says that it is down, and then it is.
    larder_servers::until("the replica", Duration::from_secs(40), async || {
        for key in &kept {
            if let Err(error) = get(&connection, key).await {
                panic!("`{key}` is not of the dead node: {error}");
            }
        }
        matches!(set(&connection, lost[0], "again").await, Ok(Value::Okay))
    })
    .await;
    for key in &kept {
        assert_eq!(get(&connection, key).await.unwrap(), text(key));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_down_costs_callers_little_and_is_used_when_it_is_back() {
    let nodes = Cluster::start(3, 0);
    let mut options = options(&nodes);
    options["timeout"] = json!("10s");
    let connection = cluster("cluster-down", options).await;
    let key = (0..).map(|index| format!("k{index}"));
    let key = key.into_iter().find(|key| nodes.owner(nodes.slot(key)) == 0).unwrap();
    set(&connection, &key, "v").await.unwrap();
    nodes.nodes()[2].kill();
    larder_servers::until("the end of service", PATIENCE, async || {
        matches!(get(&connection, &key).await, Ok(Value::ServerError(_)))
    })
    .await;
    let asked = Instant::now();
    let Value::ServerError(refused) = get(&connection, &key).await.unwrap() else {
        panic!("the cluster must refuse");
    };
    assert_eq!(refused.code(), "CLUSTERDOWN");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    nodes.nodes()[2].restart();
    larder_servers::until("service", PATIENCE, async || {
        get(&connection, &key).await.is_ok_and(|answer| answer == text("v"))
    })
    .await;
}
