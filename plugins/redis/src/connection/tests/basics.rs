//! What a connection does when nothing is wrong.

use std::time::Instant;

use larder_servers::{Direction, Fault, Proxy, Redis, RedisOptions};
use serde_json::json;

use super::*;

#[tokio::test]
async fn nothing_happens_before_the_first_command() {
    let server = Redis::start();
    let proxy = Proxy::start(server.port());
    let connection = redis("lazy", json!({ "url": proxy.url() })).await;
    assert_eq!(connection.health().state, State::Connecting);
    assert_eq!((proxy.accepted(), heard("lazy").len()), (0, 0));

    assert_eq!(get(&connection, "k").await.unwrap(), Value::Nil);
    let health = connection.health();
    assert_eq!((health.state, health.servers), (State::Healthy, (1, 1)));
    assert_eq!(health.server.unwrap(), format!("127.0.0.1:{}", proxy.port()));
    let facts = health.facts.unwrap();
    assert_eq!(facts.version, server.info("redis_version"));
    assert_eq!(facts.run_id, server.info("run_id"));
    assert!(facts.clock_offset_micros.abs() < 5_000_000, "{facts:?}");
    until_count("lazy", telemetry::CONNECTION_UP, 1).await;
    assert_eq!(proxy.accepted(), 1, "one socket serves");
}

#[tokio::test]
async fn answers_come_in_order_and_errors_in_their_place() {
    let server = Redis::start();
    let connection = redis("order", json!({ "url": server.url() })).await;
    let mut commands = redis::pipe();
    commands.cmd("SET").arg("k").arg("v");
    commands.cmd("LPUSH").arg("k").arg("x");
    commands.cmd("GET").arg("k");
    let answers = connection.send(Lane::Small, Route::Any, commands).await.unwrap();
    let [Value::Okay, Value::ServerError(refused), got] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert_eq!((refused.code(), got), ("WRONGTYPE", &text("v")));
    let nothing = connection.send(Lane::Small, Route::Any, redis::pipe()).await.unwrap();
    assert_eq!(nothing, []);
    assert_eq!((connection.layout().await.unwrap().servers, connection.is_cluster()), (1, false));
}

#[tokio::test]
async fn transactions_answer_with_all_their_answers_at_once() {
    let server = Redis::start();
    let connection = redis("atomic", json!({ "url": server.url() })).await;
    let mut commands = redis::pipe();
    commands.atomic().cmd("SET").arg("k").arg("v").cmd("GET").arg("k");
    let answers = connection.send(Lane::Small, Route::Any, commands).await.unwrap();
    assert_eq!(answers, [Value::Array(vec![Value::Okay, text("v")])]);
}

#[tokio::test]
async fn a_database_and_a_socket_file_can_be_chosen() {
    let server = Redis::start_with(&RedisOptions::new().line("unixsocket redis.sock"));
    let path = server.directory().join("redis.sock");
    let url = format!("unix://{}?db=3", path.display());
    let by_file = redis("file", json!({ "url": url })).await;
    set(&by_file, "k", "v").await.unwrap();
    let url = format!("{}/3", server.url());
    let by_port = redis("port", json!({ "url": url, "pool_size": 3 })).await;
    for _ in 0..10 {
        assert_eq!(get(&by_port, "k").await.unwrap(), text("v"));
    }
    let other = redis("other", json!({ "url": server.url() })).await;
    assert_eq!(get(&other, "k").await.unwrap(), Value::Nil);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_value_does_not_hold_up_small_ones() {
    let server = Redis::start();
    let large = "x".repeat(1_200_000);
    server.cli(&["SET", "large", &large]);
    let proxy = Proxy::start(server.port());
    let connection = redis("lanes", json!({ "url": proxy.url(), "timeout": "30s" })).await;
    until_up(&connection).await;
    let bulk = |key: &'static str| {
        let mut commands = redis::pipe();
        commands.cmd("GET").arg(key);
        let connection = connection.clone();
        async move { connection.send(Lane::Bulk, Route::Key(key), commands).await }
    };
    bulk("k").await.unwrap();
    proxy.set(Direction::ToClient, Fault::Throttle(500_000));
    let began = Instant::now();
    let large = tokio::spawn(bulk("large"));
    let mut small = Vec::new();
    while !large.is_finished() {
        let asked = Instant::now();
        get(&connection, "k").await.unwrap();
        small.push(asked.elapsed());
    }
    assert_eq!(large.await.unwrap().unwrap().len(), 1);
    assert!(began.elapsed() > Duration::from_secs(2), "{:?}", began.elapsed());
    small.sort();
    assert!(small[small.len() / 2] < Duration::from_secs(1), "{:?}", small[small.len() / 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_wait_hold_nobody_up_and_are_not_cut_short() {
    let server = Redis::start();
    let options = json!({ "url": server.url(), "timeout": "2s" });
    let connection = redis("waiting", options).await;
    let mut commands = redis::pipe();
    commands.cmd("BLPOP").arg("list").arg(10);
    let waiting = tokio::spawn({
        let connection = connection.clone();
        async move { connection.send(Lane::Blocking, Route::Key("list"), commands).await }
    });
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(3800) {
        get(&connection, "k").await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished(), "it waits longer than the watchdog is patient");
    server.cli(&["RPUSH", "list", "x"]);
    let answers = waiting.await.unwrap().unwrap();
    assert_eq!(answers, [Value::Array(vec![text("list"), text("x")])]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_go_away_leave_the_answers_of_others_alone() {
    let server = Redis::start();
    let proxy = Proxy::start(server.port());
    let connection = redis("gone", json!({ "url": proxy.url(), "timeout": "10s" })).await;
    for index in 0..200 {
        server.cli(&["SET", &format!("k{index}"), &format!("v{index}")]);
    }
    until_up(&connection).await;
    let (least, jitter) = (Duration::from_millis(1), Duration::from_millis(4));
    proxy.set(Direction::ToClient, Fault::Delay { least, jitter });
    let mut callers = tokio::task::JoinSet::new();
    for index in 0..200u64 {
        let connection = connection.clone();
        callers.spawn(async move {
            for _ in 0..5 {
                let limit = Duration::from_millis(index % 10 * 3);
                let key = format!("k{index}");
                if let Ok(answer) = tokio::time::timeout(limit, get(&connection, &key)).await {
                    assert_eq!(answer.unwrap(), text(&format!("v{index}")));
                }
                let answer = get(&connection, &key).await.unwrap();
                assert_eq!(answer, text(&format!("v{index}")));
            }
        });
    }
    callers.join_all().await;
}

/// Both take what is not true for true: see `docs/decisions`, 0012.
#[test]
fn parts_of_the_client_that_cannot_be_relied_on_are_not_built() {
    let manifest = include_str!("../../../../../Cargo.toml");
    let line = manifest.lines().find(|line| line.starts_with("redis = ")).unwrap();
    for feature in ["cache-aio", "connection-manager", "cluster", "sentinel", "r2d2", "bb8"] {
        assert!(!line.contains(&format!("\"{feature}")), "{feature}");
    }
    assert!(line.contains("default-features = false"));
}
