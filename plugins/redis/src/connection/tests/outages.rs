//! Servers that die, stop, fall silent or are slow, and networks that do.

use std::time::Instant;

use larder_core::ErrorKind;
use larder_servers::{Direction, Fault, Proxy, Redis};
use serde_json::json;

use super::*;
use crate::config::Address;
use crate::connection::link::{Link, Lost, Patience, Pulse};

/// The longest that a call may take which is answered at once, on a busy machine. Those that wait
/// take longer.
const AT_ONCE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_of_a_dead_server_are_told_at_once_and_served_soon_after_its_return() {
    let server = Redis::start();
    let connection = redis("killed", json!({ "url": server.url() })).await;
    set(&connection, "k", "v").await.unwrap();
    server.kill();
    until_state(&connection, State::Down).await;
    for _ in 0..50 {
        let asked = Instant::now();
        let error = get(&connection, "k").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connection);
        assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
    }
    let error = get(&connection, "k").await.unwrap_err();
    assert_eq!(error.message(), "cannot reach the server");
    assert_eq!(error.context("server"), Some(&*format!("127.0.0.1:{}", server.port())));

    server.restart();
    until_up(&connection).await;
    until_count("killed", telemetry::CONNECTION_UP, 2).await;
    let names: Vec<_> = heard("killed").into_iter().map(|event| event.name).collect();
    let expected = [
        telemetry::CONNECTION_UP,
        telemetry::CONNECTION_LOST,
        telemetry::CONNECTION_DOWN,
        telemetry::CONNECTION_UP,
    ];
    assert_eq!(names, expected, "one event for each change, whatever the number of attempts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_back_is_connected_to_soon_although_nobody_asks() {
    let server = Redis::start();
    let connection = redis("unasked", json!({ "url": server.url() })).await;
    until_up(&connection).await;
    // A busy machine may be slow once, and not each time.
    let mut fastest = PATIENCE;
    for _ in 0..5 {
        server.kill();
        until_state(&connection, State::Down).await;
        server.restart();
        let back = Instant::now();
        until_state(&connection, State::Healthy).await;
        fastest = fastest.min(back.elapsed());
        if fastest < Duration::from_secs(2) {
            return;
        }
    }
    panic!("{fastest:?} at best");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_is_made_anew_before_anybody_notices() {
    let server = Redis::start();
    let connection = redis("cut", json!({ "url": server.url(), "pool_size": 2 })).await;
    for losses in 1..=5 {
        set(&connection, "k", "v").await.unwrap();
        server.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        larder_servers::until("the loss", PATIENCE, async || {
            count("cut", telemetry::CONNECTION_LOST) == losses
        })
        .await;
        until_up(&connection).await;
    }
    assert_eq!(count("cut", telemetry::CONNECTION_DOWN), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_into_a_black_hole_is_given_up_within_seconds() {
    tokio::join!(
        into_a_black_hole("hole", Direction::Both),
        into_a_black_hole("hole-to-client", Direction::ToClient),
        into_a_black_hole("hole-to-server", Direction::ToServer),
    );
}

async fn into_a_black_hole(name: &str, direction: Direction) {
    let server = Redis::start();
    let proxy = Proxy::start(server.port());
    let options = json!({ "url": proxy.url(), "connect_timeout": "1s" });
    let connection = redis(name, options).await;
    until_up(&connection).await;
    proxy.set(direction, Fault::Blackhole);
    let began = Instant::now();
    until_state(&connection, State::Down).await;
    assert!(began.elapsed() < Duration::from_secs(10), "{name}: {:?}", began.elapsed());
    // Each question without an answer would make three. What was on its way may come late, and
    // then the silence begins a second time.
    let suspected = count(name, telemetry::CONNECTION_SUSPECT);
    assert!((1..3).contains(&suspected), "{name}: {suspected} events");
    let asked = Instant::now();
    get(&connection, "k").await.unwrap_err();
    assert!(asked.elapsed() < AT_ONCE, "{name}: {:?}", asked.elapsed());
    proxy.heal();
    until_up(&connection).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_server_costs_callers_their_limit_and_gives_no_wrong_answers() {
    let server = Redis::start();
    let options = json!({ "url": server.url(), "timeout": "1s", "connect_timeout": "1s" });
    let connection = redis("stopped", options).await;
    for index in 0..20 {
        set(&connection, &format!("k{index}"), &format!("v{index}")).await.unwrap();
    }
    server.stop();
    let mut callers = tokio::task::JoinSet::new();
    for index in 0..20 {
        let connection = connection.clone();
        callers.spawn(async move {
            let asked = Instant::now();
            let outcome = get(&connection, &format!("k{index}")).await;
            (outcome.is_err(), asked.elapsed())
        });
    }
    for (has_failed, took) in callers.join_all().await {
        assert!(has_failed && took < Duration::from_secs(8), "{took:?}");
    }
    // So many waited in vain that those who come now need not.
    let turned_away = get(&connection, "k1").await.unwrap_err();
    assert_eq!(turned_away.kind(), ErrorKind::Connection, "{turned_away}");
    server.cont();
    until_up(&connection).await;
    for index in 0..20 {
        let answer = get(&connection, &format!("k{index}")).await.unwrap();
        assert_eq!(answer, text(&format!("v{index}")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_server_is_left_alone_until_it_answers_again() {
    let server = Redis::start();
    let proxy = Proxy::start(server.port());
    let options = json!({ "url": proxy.url(), "timeout": "300ms" });
    let connection = redis("slow", options).await;
    until_up(&connection).await;
    let (least, jitter) = (Duration::from_millis(700), Duration::ZERO);
    proxy.set(Direction::ToClient, Fault::Delay { least, jitter });
    larder_servers::until("callers turned away", PATIENCE, async || {
        let error = get(&connection, "k").await.unwrap_err();
        error.message().contains("has left others waiting")
    })
    .await;
    until_state(&connection, State::Suspect).await;
    larder_servers::until("the event", PATIENCE, async || {
        count("slow", telemetry::CONNECTION_SUSPECT) >= 1
    })
    .await;
    let before = connection.comebacks();
    proxy.heal();
    until_up(&connection).await;
    until_state(&connection, State::Healthy).await;
    // Once for whoever tries it, and once for those who were turned away meanwhile.
    larder_servers::until("it is said that it is back", PATIENCE, async || {
        connection.comebacks() > before + 1 || connection.health().reconnects > 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_is_too_thin_for_large_values_is_not_closed_to_small_ones() {
    let server = Redis::start();
    let proxy = Proxy::start(server.port());
    let connection = redis("thin", json!({ "url": proxy.url(), "timeout": "1s" })).await;
    until_up(&connection).await;
    proxy.set(Direction::ToServer, Fault::Throttle(100_000));
    let large = "x".repeat(500_000);
    larder_servers::until("large values turned away", PATIENCE, async || {
        let mut commands = redis::pipe();
        commands.cmd("SET").arg("large").arg(&large);
        let error = connection.send(Lane::Bulk, Route::Key("large"), commands).await.unwrap_err();
        // Whether this one is late is another matter.
        if let Err(error) = get(&connection, "k").await {
            assert!(!error.message().contains("has left others waiting"), "{error}");
        }
        error.message().contains("has left others waiting")
    })
    .await;
    proxy.heal();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_value_over_a_slow_line_is_not_taken_for_silence() {
    let server = Redis::start();
    let proxy = Proxy::start(server.port());
    let options = json!({ "url": proxy.url(), "timeout": "30s" });
    let connection = redis("upload", options).await;
    until_up(&connection).await;
    proxy.set(Direction::ToServer, Fault::Throttle(400_000));
    let mut commands = redis::pipe();
    commands.cmd("SET").arg("large").arg("x".repeat(1_300_000));
    let began = Instant::now();
    let answers = connection.send(Lane::Bulk, Route::Key("large"), commands).await.unwrap();
    assert_eq!(answers, [Value::Okay]);
    assert!(began.elapsed() > Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(count("upload", telemetry::CONNECTION_LOST), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_resets_makes_neither_a_storm_of_attempts_nor_a_leak() {
    let server = Redis::start();
    let proxy = Proxy::start(server.port());
    let connection = redis("resets", json!({ "url": proxy.url() })).await;
    until_up(&connection).await;
    proxy.set(Direction::Both, Fault::Reset);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        get(&connection, "k").await.unwrap_err();
        tokio::task::yield_now().await;
    }
    assert!(proxy.accepted() < 60, "{} attempts", proxy.accepted());
    proxy.heal();
    until_up(&connection).await;
    larder_servers::until("one socket", PATIENCE, async || proxy.open() == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_not_redis_break_the_connection_and_nothing_else() {
    let server = Redis::start();
    let proxy = Proxy::start(server.port());
    let connection = redis("corrupt", json!({ "url": proxy.url() })).await;
    set(&connection, "k", "v").await.unwrap();
    // The first byte of an answer says of which type it is.
    proxy.set(Direction::ToClient, Fault::CorruptAfter(0));
    assert_ne!(get(&connection, "k").await.ok(), Some(text("v")));
    proxy.heal();
    until_up(&connection).await;
    assert_eq!(get(&connection, "k").await.unwrap(), text("v"));
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_does_not_pile_up_without_end() {
    let server = Redis::start();
    let proxy = Proxy::start(server.port());
    let far = tokio::time::Instant::now() + PATIENCE;
    let address = Address::tcp("127.0.0.1", proxy.port());
    let link = Link::open(&address, None, Patience::Answers, far).await.unwrap();
    let mut ping = redis::pipe();
    ping.cmd("PING");
    link.send(&ping, far).await.unwrap();
    proxy.set(Direction::Both, Fault::Blackhole);
    let mut sent = 0;
    while link.send(&ping, tokio::time::Instant::now()).await != Err(Lost::Full) {
        sent += 1;
        assert!(sent < 20_000, "there is a bound");
    }
    assert!(sent > 10_000, "{sent}");
    let mut pulse = link.follow();
    pulse.wait_for(|pulse| *pulse == Pulse::Dead).await.unwrap();
}

#[test]
fn a_runtime_that_is_gone_does_not_take_the_connection_with_it() {
    let server = Redis::start();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let connection = first.block_on(async {
        let connection = redis("runtimes", json!({ "url": server.url() })).await;
        until_up(&connection).await;
        connection
    });
    drop(first);
    runtime().block_on(until_up(&connection));
    // Without any runtime it says so.
    let mut commands = redis::pipe();
    commands.cmd("PING");
    let outside = redis_without_runtime(&server);
    let mut sent = std::pin::pin!(outside.send(Lane::Small, Route::Any, commands));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(outcome) = sent.as_mut().poll(&mut context) else {
        panic!("nothing to wait for");
    };
    assert_eq!(outcome.unwrap_err().message(), "there is no tokio runtime");
}

fn redis_without_runtime(server: &Redis) -> RedisConnection {
    let mut built = std::pin::pin!(redis("outside", json!({ "url": server.url() })));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match built.as_mut().poll(&mut context) {
        std::task::Poll::Ready(connection) => connection,
        std::task::Poll::Pending => panic!("building does nothing that takes time"),
    }
}
