//! Replicas that are read.

use futures_util::future::join_all;
use larder_servers::{Redis, RedisOptions};
use serde_json::json;

use super::*;

/// Reads at a replica, or at the primary. Whether the answer comes in time is another matter.
async fn read(connection: &RedisConnection) {
    let name = |out: &mut Vec<u8>| out.push(b'k');
    let read = Read { name: &name, head: None, weight: 1, is_alone: true };
    connection.read(Route::Replica("k"), &read).await.ok();
}

/// How many reads a server has answered.
fn reads(server: &Redis) -> u64 {
    let stats = server.cli(&["INFO", "commandstats"]).text();
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_get:calls="));
    line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_left_some_waiting_is_read_again_when_it_answers() {
    let primary = Redis::start();
    let replica = Redis::start_with(&RedisOptions::new().replica_of(primary.port()));
    let options = json!({ "url": primary.url(), "timeout": "400ms" });
    let connection = redis("replicas", options).await;
    until_up(&connection).await;
    let until_read = async |count| {
        larder_servers::until("answers of the replica", PATIENCE, async || {
            read(&connection).await;
            reads(&replica) >= count
        })
        .await;
    };
    until_read(1).await;
    // Long enough for the breaker, and too short for its connection to be given up.
    replica.cli(&["CLIENT", "PAUSE", "1000", "ALL"]);
    for _ in 0..5 {
        join_all((0..3).map(|_| read(&connection))).await;
    }
    // More than can have been on their way.
    until_read(reads(&replica) + 30).await;
}
