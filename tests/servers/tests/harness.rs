//! The harness does what the fault tests rely on.

#![cfg(unix)]

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use larder_servers::{
    Certificates, Cluster, Direction, Fault, Identity, Node, Proxy, Redis, RedisOptions, Sentinels,
    eventually,
};

const LIMIT: Duration = Duration::from_secs(30);

/// A plain connection of a client, which never waits for long.
fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    stream.set_read_timeout(Some(LIMIT)).expect("the limit is not zero");
    stream
}

fn ping(stream: &mut TcpStream) -> std::io::Result<String> {
    stream.write_all(b"PING\r\n")?;
    let mut reply = [0; 7];
    stream.read_exact(&mut reply)?;
    Ok(String::from_utf8_lossy(&reply).into_owned())
}

fn is_alive(process: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // A zombie is dead; what started it has not looked yet.
    !stat.is_empty() && !stat.contains(") Z ")
}

#[test]
fn a_killed_server_comes_back_empty_on_its_port() {
    let redis = Redis::start();
    redis.cli(&["SET", "key", "value"]);
    assert_eq!(redis.cli(&["GET", "key"]).text(), "value");
    redis.kill();
    assert!(redis.try_cli(&["PING"]).is_err());
    redis.restart();
    assert_eq!(redis.cli(&["DBSIZE"]).integer(), 0);
}

#[test]
fn a_server_with_a_log_on_disk_keeps_its_keys() {
    let redis = Redis::start_with(&RedisOptions::new().append_only());
    redis.cli(&["SET", "key", "value"]);
    redis.restart();
    assert_eq!(redis.cli(&["GET", "key"]).text(), "value");
}

#[test]
fn a_stopped_server_answers_when_it_goes_on() {
    let redis = Redis::start();
    let mut client = connect(redis.port());
    redis.stop();
    client.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let error = ping(&mut client).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    redis.cont();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    let mut reply = [0; 7];
    client.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"+PONG\r\n");
}

#[test]
fn a_server_ends_when_it_is_dropped_even_when_it_is_stopped() {
    let redis = Redis::start();
    let process = redis.process_id();
    assert!(is_alive(process));
    redis.stop();
    drop(redis);
    eventually("the end of the server", LIMIT, || (!is_alive(process)).then_some(()));
}

/// Is run by the test below in a process of its own, and does nothing otherwise.
#[test]
fn a_process_that_holds_a_server() {
    if std::env::var_os(HOLDER).is_none() {
        return;
    }
    let redis = Redis::start();
    println!("server {}", redis.process_id());
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

const HOLDER: &str = "LARDER_TEST_HOLDS_A_SERVER";

#[test]
fn a_server_ends_with_the_test_process_that_is_killed() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_process_that_holds_a_server", "--nocapture"]).env(HOLDER, "1");
    let node = Node::start(command);
    let server = eventually("a server in another process", LIMIT, || {
        node.answer().strip_prefix("server ").and_then(|id| id.parse().ok())
    });
    assert!(is_alive(server));
    node.kill();
    eventually("the end of the server", LIMIT, || (!is_alive(server)).then_some(()));
}

#[test]
fn a_node_answers_line_by_line() {
    let node = Node::start(Command::new("cat"));
    assert_eq!(node.ask("one"), "one");
    node.stop();
    node.send("two");
    node.cont();
    assert_eq!(node.answer(), "two");
}

#[test]
fn users_and_passwords_do_not_lock_the_harness_out() {
    let options = RedisOptions::new().password("secret").user("app on >other ~app:* +get");
    let redis = Redis::start_with(&options);
    redis.cli(&["ACL", "SETUSER", "default", "off"]);
    assert_eq!(redis.cli(&["ACL", "DRYRUN", "app", "GET", "app:1"]).text(), "OK");
    assert!(ping(&mut connect(redis.port())).unwrap().starts_with("-NOAUTH"));
}

#[test]
fn certificates_serve_tls() {
    let certificates = Certificates::generate();
    let options = RedisOptions::new().tls(&certificates, Identity::Server).tls_clients();
    let redis = Redis::start_with(&options);
    let path = |file: &str| certificates.path(file).display().to_string();
    let ping = |extra: &[&str]| {
        let port = redis.tls_port().to_string();
        let output = Command::new("redis-cli")
            .args(["-h", "localhost", "-p", &port, "--tls", "--cacert", &path("ca.pem")])
            .args(extra)
            .arg("PING")
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(ping(&["--cert", &path("client.pem"), "--key", &path("client.key")]), "PONG\n");
    assert_eq!(ping(&[]), "");
    assert_eq!(redis.cli(&["PING"]).text(), "PONG");
}

#[test]
fn a_black_hole_keeps_what_it_swallowed_until_it_is_healed() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port());
    let mut client = connect(proxy.port());
    assert_eq!(ping(&mut client).unwrap(), "+PONG\r\n");
    for direction in [Direction::ToServer, Direction::ToClient] {
        proxy.set(direction, Fault::Blackhole);
        client.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        ping(&mut client).unwrap_err();
        proxy.heal();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        let mut reply = [0; 7];
        client.read_exact(&mut reply).unwrap();
        assert_eq!(&reply, b"+PONG\r\n");
    }
    assert_eq!((proxy.accepted(), proxy.open()), (1, 1));
}

#[test]
fn delays_and_throttles_take_their_time_and_change_nothing() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port());
    let mut client = connect(proxy.port());
    let least = Duration::from_millis(50);
    proxy.set(Direction::Both, Fault::Delay { least, jitter: least });
    let start = Instant::now();
    assert_eq!(ping(&mut client).unwrap(), "+PONG\r\n");
    assert!(start.elapsed() >= least * 2);

    redis.cli(&["SET", "big", &"x".repeat(20_000)]);
    proxy.set(Direction::Both, Fault::Throttle(100_000));
    let start = Instant::now();
    client.write_all(b"GET big\r\n").unwrap();
    let mut reply = vec![0; 20_010];
    client.read_exact(&mut reply).unwrap();
    assert!(reply.starts_with(b"$20000\r\nxxx") && reply.ends_with(b"xxx\r\n"));
    assert!(start.elapsed() >= Duration::from_millis(150));
}

#[test]
fn bytes_are_cut_and_changed_where_it_was_said() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port());
    let mut client = connect(proxy.port());
    proxy.set(Direction::ToClient, Fault::CorruptAfter(8));
    assert_eq!(ping(&mut client).unwrap(), "+PONG\r\n");
    assert_eq!(ping(&mut client).unwrap(), "+QONG\r\n");
    assert_eq!(ping(&mut client).unwrap(), "+PONG\r\n");
    proxy.set(Direction::ToClient, Fault::CutAfter(3));
    let mut client = connect(proxy.port());
    client.write_all(b"PING\r\n").unwrap();
    let mut reply = Vec::new();
    client.read_to_end(&mut reply).unwrap();
    assert_eq!(reply, b"+PO");
}

#[test]
fn connections_are_reset_half_closed_and_refused() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port());
    let mut client = connect(proxy.port());
    ping(&mut client).unwrap();
    proxy.set(Direction::ToClient, Fault::HalfClose);
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
    drop(client);
    proxy.heal();
    eventually("connections that are gone", LIMIT, || (proxy.open() == 0).then_some(()));

    let mut client = connect(proxy.port());
    ping(&mut client).unwrap();
    proxy.set(Direction::Both, Fault::Reset);
    assert_eq!(client.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    proxy.refuse();
    eventually("a port that refuses", LIMIT, || {
        let error = TcpStream::connect(("127.0.0.1", proxy.port())).err()?;
        (error.kind() == ErrorKind::ConnectionRefused).then_some(())
    });
    proxy.heal();
    eventually("a port that listens again", LIMIT, || {
        TcpStream::connect(("127.0.0.1", proxy.port())).ok()
    });
    let mut client = connect(proxy.port());
    assert_eq!(ping(&mut client).unwrap(), "+PONG\r\n");
    proxy.cut();
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn sentinels_make_a_replica_the_primary_on_command_and_on_death() {
    let sentinels = Sentinels::start();
    let first = sentinels.primary().port();
    sentinels.primary().cli(&["SET", "key", "value"]);
    sentinels.failover();
    let second = sentinels.primary().port();
    assert_ne!(first, second);
    sentinels.primary().cli(&["SET", "key", "later"]);
    // The old primary has to follow, or it could be named again before it knows the key.
    eventually("all replicas", LIMIT, || {
        (sentinels.primary().info("connected_slaves") == "2").then_some(())
    });
    sentinels.kill_primary();
    assert_ne!(sentinels.primary().port(), second);
}

#[test]
fn a_cluster_moves_a_slot_and_replaces_a_primary() {
    let cluster = Cluster::start(3, 1);
    let slot = cluster.slot("key");
    let from = cluster.owner(slot);
    let to = (from + 1) % 3;
    cluster.nodes()[from].cli(&["SET", "key", "value"]);
    cluster.reshard(slot, to);
    assert_eq!(cluster.owner(slot), to);
    assert_eq!(cluster.nodes()[to].cli(&["GET", "key"]).text(), "value");
    let moved = cluster.nodes()[from].try_cli(&["GET", "key"]).unwrap_err();
    assert!(moved.starts_with("MOVED"), "{moved}");

    cluster.nodes()[to].kill();
    let replica = to + 3;
    eventually("a replica in its place", LIMIT, || {
        (cluster.nodes()[replica].info("role") == "master").then_some(())
    });
}
