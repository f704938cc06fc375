//! Servers of the wrong kind, and servers that are not ready.

use larder_servers::{Cluster, Redis, RedisOptions, Sentinels};
use serde_json::json;

use super::*;

/// What is said about a server, with the hint.
async fn refusal(connection: &RedisConnection) -> String {
    get(connection, "k").await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_node_of_a_cluster_is_refused_by_a_plain_connection_and_the_reverse() {
    let nodes = Cluster::start(3, 0);
    let connection = redis("not-a-cluster", json!({ "url": nodes.nodes()[0].url() })).await;
    let refused = refusal(&connection).await;
    assert!(refused.contains("the server is a node of a cluster"), "{refused}");
    assert!(refused.contains("write `kind = \"redis-cluster\"`"), "{refused}");

    let server = Redis::start();
    let connection = cluster("not-a-node", json!({ "nodes": [server.url()] })).await;
    let refused = refusal(&connection).await;
    assert!(refused.contains("the server is no node of a cluster"), "{refused}");
    assert!(refused.contains("write `kind = \"redis\"`"), "{refused}");
}

#[tokio::test]
async fn sentinels_and_servers_are_told_apart() {
    let group = Sentinels::start();
    let connection = redis("a-sentinel", json!({ "url": group.sentinels()[0].url() })).await;
    let refused = refusal(&connection).await;
    assert!(refused.contains("the server is a Sentinel, which keeps no data"), "{refused}");

    let server = Redis::start();
    let sentinel = format!("127.0.0.1:{}", server.port());
    let options = json!({ "sentinels": [sentinel], "master": Sentinels::NAME });
    let refused = refusal(&redis("no-sentinel", options).await).await;
    assert!(refused.contains("the server is no Sentinel"), "{refused}");

    let sentinel = format!("127.0.0.1:{}", group.ports()[0]);
    let options = json!({ "sentinels": [sentinel], "master": "somebody" });
    let refused = refusal(&redis("no-master", options).await).await;
    assert!(refused.contains("the Sentinel watches no primary `somebody`"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_becomes_a_replica_is_not_used_until_it_takes_writes() {
    let (server, other) = (Redis::start(), Redis::start());
    let connection = redis("replica", json!({ "url": server.url(), "timeout": "3s" })).await;
    set(&connection, "k", "v").await.unwrap();
    server.cli(&["REPLICAOF", "127.0.0.1", &other.port().to_string()]);
    let refused = set(&connection, "k", "v").await.unwrap_err();
    let expected = format!("the server is a replica of 127.0.0.1:{}", other.port());
    assert_eq!(refused.message(), expected);
    assert!(refused.to_string().contains("hint: name the primary in `url`"), "{refused}");
    server.cli(&["REPLICAOF", "NO", "ONE"]);
    until_up(&connection).await;
    assert_eq!(set(&connection, "k", "v").await.unwrap(), Value::Okay);
}

#[tokio::test]
async fn a_replica_is_told_from_a_primary_without_the_right_to_ask() {
    let other = Redis::start();
    let user = "app on >secret ~* -@all +get";
    let replica = Redis::start_with(&RedisOptions::new().user(user).replica_of(other.port()));
    let options = json!({ "url": replica.url(), "username": "app", "password": "secret" });
    let refused = refusal(&redis("few-rights-replica", options).await).await;
    assert!(refused.contains("the server is a replica of another server"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_loads_its_data_is_not_waited_for_and_is_used_when_it_is_done() {
    let server = Redis::start();
    let connection = redis("loading", json!({ "url": server.url() })).await;
    let large = "v".repeat(2000);
    for index in 0..100 {
        set(&connection, &format!("k{index}"), &large).await.unwrap();
    }
    // Each key takes its time, and between two of them clients are served.
    server.cli(&["CONFIG", "SET", "rdbcompression", "no"]);
    server.cli(&["CONFIG", "SET", "key-load-delay", "20000"]);
    server.cli(&["CONFIG", "SET", "loading-process-events-interval-bytes", "1024"]);
    server.send(&["DEBUG", "RELOAD"]);
    larder_servers::until("the refusal", PATIENCE, async || {
        let outcome = get(&connection, "k1").await;
        outcome.is_err_and(|error| error.message() == "the server is loading its data")
    })
    .await;
    assert_eq!(connection.health().state, State::Down);
    until_up(&connection).await;
    assert_eq!(get(&connection, "k1").await.unwrap(), text(&large));
}

#[tokio::test]
async fn a_server_that_takes_no_writes_goes_on_with_reads() {
    let server = Redis::start();
    let connection = redis("no-replicas", json!({ "url": server.url() })).await;
    set(&connection, "k", "v").await.unwrap();
    server.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    let Value::ServerError(refused) = set(&connection, "k", "w").await.unwrap() else {
        panic!("the server must refuse");
    };
    let refused = error::of_answer(&refused);
    assert!(refused.to_string().contains("min-replicas-to-write"), "{refused}");
    assert_eq!(get(&connection, "k").await.unwrap(), text("v"));
    assert_eq!(connection.health().state, State::Healthy);
}

#[tokio::test]
async fn a_server_without_a_needed_command_is_refused() {
    let server = Redis::start_with(&RedisOptions::new().without_command("EVALSHA"));
    let connection = redis("no-scripts", json!({ "url": server.url() })).await;
    let refused = refusal(&connection).await;
    assert!(refused.contains("the server does not have `EVALSHA`"), "{refused}");
    assert!(refused.contains("do not rename or disable"), "{refused}");
}

#[tokio::test]
async fn a_server_that_evicts_is_noted() {
    let server = Redis::start_with(&RedisOptions::new().max_memory("50mb", "allkeys-lru"));
    let connection = redis("evicting", json!({ "url": server.url() })).await;
    get(&connection, "k").await.unwrap();
    assert_eq!(connection.health().facts.unwrap().evicts.as_deref(), Some("allkeys-lru"));
    until_count("evicting", telemetry::CONNECTION_EVICTS, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_redis_at_all_is_refused() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await
                .ok();
        }
    });
    let connection = redis("http", json!({ "url": format!("redis://127.0.0.1:{port}") })).await;
    let refused = refusal(&connection).await;
    assert!(refused.contains("the server closes the connection"), "{refused}");
}

#[tokio::test]
async fn a_server_with_too_many_clients_says_so() {
    let server = Redis::start_with(&RedisOptions::new().line("maxclients 2"));
    let first = redis("client-1", json!({ "url": server.url() })).await;
    get(&first, "k").await.unwrap();
    let second = redis("client-2", json!({ "url": server.url() })).await;
    let refused = refusal(&second).await;
    assert!(refused.contains("maxclients"), "{refused}");
    drop(first);
    until_up(&second).await;
}
