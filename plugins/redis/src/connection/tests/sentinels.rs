//! A primary that changes, and Sentinels that know.

use larder_servers::{Redis, RedisOptions, Sentinels, SentinelsOptions};
use serde_json::json;

use super::*;

fn options(group: &Sentinels) -> serde_json::Value {
    let sentinels: Vec<_> = group.ports().iter().map(|port| format!("127.0.0.1:{port}")).collect();
    json!({ "sentinels": sentinels, "master": Sentinels::NAME, "timeout": "2s" })
}

async fn until_written(connection: &RedisConnection, value: &str) {
    larder_servers::until("a write", PATIENCE, async || match set(connection, "k", value).await {
        Ok(Value::ServerError(refused)) => panic!("a caller hears of it: {refused}"),
        outcome => outcome.is_ok(),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fail_over_is_followed_and_no_refusal_reaches_a_caller() {
    let group = Sentinels::start_with(&SentinelsOptions::new().replicas(1));
    let connection = redis("failover", options(&group)).await;
    until_written(&connection, "first").await;
    let first = format!("127.0.0.1:{}", group.primary().port());
    assert_eq!(connection.health().server.unwrap(), first);

    group.failover();
    until_written(&connection, "second").await;
    larder_servers::until("the other primary", PATIENCE, async || {
        connection.health().server.is_some_and(|server| server != first)
            && connection.health().state == State::Healthy
    })
    .await;
    until_written(&connection, "third").await;
    assert_eq!(group.primary().cli(&["GET", "k"]).text(), "third");

    group.kill_primary();
    until_written(&connection, "fourth").await;
    assert_eq!(group.primary().cli(&["GET", "k"]).text(), "fourth");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_and_servers_have_logins_of_their_own() {
    let server = RedisOptions::new().user("app on >secret ~* +@all");
    let group = Sentinels::start_with(&SentinelsOptions::new().replicas(1).server(server));
    let rules = ["ACL", "SETUSER", "watcher", "on", ">hunter2", "+@all"];
    group.sentinels()[0].cli(&rules);
    let mut options = options(&group);
    options["sentinels"].as_array_mut().unwrap().truncate(1);
    options["username"] = json!("app");
    options["password"] = json!("secret");
    options["sentinel_username"] = json!("watcher");
    options["sentinel_password"] = json!("hunter2");
    let connection = redis("two-logins", options.clone()).await;
    until_written(&connection, "v").await;
    options["sentinel_password"] = json!("hunter3");
    let connection = redis("wrong-login", options).await;
    let refused = get(&connection, "k").await.unwrap_err();
    assert_eq!(refused.message(), "the server refuses the user or the password");
    let sentinel = format!("127.0.0.1:{}", group.ports()[0]);
    assert_eq!(refused.context("server"), Some(&*sentinel));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_that_are_away_are_passed_over() {
    let group = Sentinels::start_with(&SentinelsOptions::new().replicas(1));
    group.sentinels()[0].kill();
    let mut options = options(&group);
    options["connect_timeout"] = json!("2s");
    let connection = redis("one-away", options).await;
    until_written(&connection, "v").await;
    group.sentinels()[1].kill();
    group.sentinels()[2].kill();
    // Without any of them the primary that is known serves on.
    assert_eq!(set(&connection, "k", "w").await.unwrap(), Value::Okay);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_serves_on_is_left_when_the_sentinels_name_another() {
    let group = Sentinels::start_with(&SentinelsOptions::new().replicas(1));
    let other = Redis::start();
    let url = format!("redis+sentinel://127.0.0.1:{}/{}", group.ports()[0], Sentinels::NAME);
    let connection = redis("moved", json!({ "url": url })).await;
    until_written(&connection, "first").await;
    // As after a fail-over that the old primary, cut off from the others, has not heard of.
    let port = other.port().to_string();
    group.sentinels()[0].cli(&["SENTINEL", "REMOVE", Sentinels::NAME]);
    let monitor = ["SENTINEL", "MONITOR", Sentinels::NAME, "127.0.0.1", &port, "1"];
    group.sentinels()[0].cli(&monitor);
    larder_servers::until("the news", PATIENCE, async || {
        connection.health().server.unwrap() == format!("127.0.0.1:{port}")
    })
    .await;
    until_written(&connection, "second").await;
    assert_eq!(other.cli(&["GET", "k"]).text(), "second");
    assert_eq!(group.servers()[0].cli(&["GET", "k"]).text(), "first");
    until_count("moved", telemetry::CONNECTION_MOVED, 1).await;
    assert_eq!(count("moved", telemetry::CONNECTION_LOST), 0, "nobody waits for it");
}
