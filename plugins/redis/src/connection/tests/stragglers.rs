//! Callers who still wait at a socket when another one has taken its place.

use std::convert::Infallible;

use futures_util::future::join_all;
use larder_core::ErrorKind;
use larder_servers::{Redis, RedisOptions};
use serde_json::json;

use super::*;

/// More than the breaker takes in a row.
const STRAGGLERS: usize = 8;

/// Keeps the socket for small values busy. One that is quiet is asked whether it is there, which a
/// busy machine may not answer in time.
async fn talk(connection: &RedisConnection) -> Infallible {
    let mut turns = tokio::time::interval(Duration::from_millis(100));
    loop {
        turns.tick().await;
        get(connection, "k").await.ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_wait_at_a_socket_of_before_say_nothing_about_the_next_one() {
    let server = Redis::start_with(&RedisOptions::new().password("secret"));
    let options = json!({ "url": server.url(), "password": "secret", "timeout": "5s" });
    let connection = redis("stragglers", options).await;
    set(&connection, "k", "v").await.unwrap();
    let stragglers = (0..STRAGGLERS).map(|_| {
        let mut commands = redis::pipe();
        commands.cmd("XREAD").arg("BLOCK").arg(0).arg("STREAMS").arg("never").arg("$");
        connection.send(Lane::Bulk, Route::Key("k"), commands)
    });
    let stragglers = join_all(stragglers);
    let replaced = async {
        larder_servers::until("the wait of the stragglers", PATIENCE, async || {
            server.info("blocked_clients") == "1"
        })
        .await;
        // A socket that has forgotten who we are is of no use any more.
        let mut commands = redis::pipe();
        commands.cmd("RESET").cmd("SET").arg("k").arg("w");
        let answers = connection.send(Lane::Small, Route::Key("k"), commands).await.unwrap();
        assert_eq!(answers[1], Value::Okay, "over another socket");
        until_up(&connection).await;
    };
    let both = async { tokio::join!(stragglers, replaced) };
    let (outcomes, ()) = tokio::select! {
        both = both => both,
        never = talk(&connection) => match never {},
    };
    for outcome in outcomes {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Timeout);
    }
    assert_eq!(connection.health().state, State::Healthy);
    set(&connection, "k", "x").await.expect("nobody waited in vain at this socket");
    let mut commands = redis::pipe();
    commands.cmd("SET").arg("k").arg("y");
    let sent = connection.send(Lane::Bulk, Route::Key("k"), commands).await;
    sent.expect("nor at the one for large values");
    assert_eq!(count("stragglers", telemetry::CONNECTION_SUSPECT), 0);
}
