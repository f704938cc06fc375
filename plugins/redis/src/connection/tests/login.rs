//! Users and passwords: refused, changed while the program runs, taken away.

use std::time::Instant;

use larder_servers::{Proxy, Redis, RedisOptions};
use serde_json::json;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_said_once_and_does_not_make_a_storm() {
    let server = Redis::start_with(&RedisOptions::new().password("right"));
    let proxy = Proxy::start(server.port());
    let options = json!({ "url": proxy.url(), "password": "hunter2" });
    let connection = redis("wrong-password", options).await;
    let began = Instant::now();
    let mut refused = get(&connection, "k").await.unwrap_err();
    while began.elapsed() < Duration::from_secs(2) {
        refused = get(&connection, "k").await.unwrap_err();
        tokio::task::yield_now().await;
    }
    assert_eq!(refused.message(), "the server refuses the user or the password");
    assert!(refused.to_string().contains("hint: correct `username` and `password`"), "{refused}");
    assert!(!format!("{refused:?} {connection:?}").contains("hunter2"));
    until_count("wrong-password", telemetry::CONNECTION_DOWN, 1).await;
    assert_eq!(proxy.accepted(), 1, "the next attempt comes after half a minute");
}

#[tokio::test]
async fn a_missing_password_is_told_from_a_wrong_one() {
    let server = Redis::start_with(&RedisOptions::new().password("right"));
    let connection = redis("no-password", json!({ "url": server.url() })).await;
    let refused = get(&connection, "k").await.unwrap_err();
    assert_eq!(refused.message(), "the server asks for a password");
    let url = server.url().replace("redis://", "redis://:right@");
    let connection = redis("right-password", json!({ "url": url })).await;
    get(&connection, "k").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_changes_is_picked_up_without_a_restart() {
    let server = Redis::start_with(&RedisOptions::new().user("app on >first ~* +@all"));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    std::fs::write(&file, "first\n").unwrap();
    let options = json!({ "url": server.url(), "username": "app", "password_file": file });
    let connection = redis("rotated", options).await;
    get(&connection, "k").await.unwrap();

    // The server changes first: the connection breaks, and the old password is refused.
    server.cli(&["ACL", "SETUSER", "app", "resetpass", ">second"]);
    server.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    until_state(&connection, State::Down).await;
    let refused = get(&connection, "k").await.unwrap_err();
    assert_eq!(refused.message(), "the server refuses the user or the password");
    std::fs::write(&file, "second\n").unwrap();
    until_up(&connection).await;

    // The file changes first: the next connection uses it.
    std::fs::write(&file, "third").unwrap();
    server.cli(&["ACL", "SETUSER", "app", "resetpass", ">third"]);
    server.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    until_up(&connection).await;
    until_count("rotated", telemetry::CONNECTION_DOWN, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn further_sockets_use_the_password_of_their_time_and_are_not_tried_all_the_time() {
    let server = Redis::start_with(&RedisOptions::new().user("app on >first ~* +@all"));
    let proxy = Proxy::start(server.port());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    std::fs::write(&file, "first").unwrap();
    let options = json!({ "url": proxy.url(), "username": "app", "password_file": file });
    let connection = redis("further", options).await;
    let bulk = async || {
        let mut commands = redis::pipe();
        commands.cmd("GET").arg("k");
        connection.send(Lane::Bulk, Route::Key("k"), commands).await
    };
    get(&connection, "k").await.unwrap();
    server.cli(&["ACL", "SETUSER", "app", "resetpass", ">second"]);
    for _ in 0..20 {
        let refused = bulk().await.unwrap_err();
        assert_eq!(refused.message(), "the server refuses the user or the password");
    }
    assert_eq!(proxy.accepted(), 2, "the first socket, and one attempt");
    get(&connection, "k").await.unwrap();
    std::fs::write(&file, "second").unwrap();
    larder_servers::until("the socket", PATIENCE, async || bulk().await.is_ok()).await;
}

#[tokio::test]
async fn a_file_with_the_password_that_is_not_there_is_named() {
    let server = Redis::start();
    let options = json!({ "url": server.url(), "password_file": "/nowhere/password" });
    let connection = redis("no-file", options).await;
    let refused = get(&connection, "k").await.unwrap_err();
    assert_eq!(refused.message(), "the file with the password cannot be read");
    assert_eq!(refused.context("path"), Some("/nowhere/password"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_loses_a_right_is_told_so_and_served_again_when_it_is_back() {
    let server = Redis::start_with(&RedisOptions::new().user("app on >secret ~* +@all"));
    let options = json!({ "url": server.url(), "username": "app", "password": "secret" });
    let connection = redis("rights", options).await;
    set(&connection, "k", "v").await.unwrap();
    server.cli(&["ACL", "SETUSER", "app", "-set"]);
    let Value::ServerError(refused) = set(&connection, "k", "w").await.unwrap() else {
        panic!("the server must refuse");
    };
    let refused = error::of_answer(&refused);
    assert_eq!(refused.message(), "the user may not do this");
    assert_eq!(get(&connection, "k").await.unwrap(), text("v"), "what is allowed works");
    server.cli(&["ACL", "SETUSER", "app", "+set"]);
    assert_eq!(set(&connection, "k", "w").await.unwrap(), Value::Okay);
}

#[tokio::test]
async fn a_user_with_few_rights_can_be_used() {
    let rules = "app on >secret ~* -@all +get +set +ping";
    let server = Redis::start_with(&RedisOptions::new().user(rules));
    let options = json!({ "url": server.url(), "username": "app", "password": "secret" });
    let connection = redis("few-rights", options).await;
    assert_eq!(set(&connection, "k", "v").await.unwrap(), Value::Okay);
    assert_eq!(connection.health().state, State::Healthy);
}
