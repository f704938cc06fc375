//! Several processes with one cache.

use std::env;
use std::fs;
use std::process::Command;
use std::time::Instant;

use larder_faults::Config;
use larder_servers::{Node, Redis, eventually};
use tempfile::TempDir;

use crate::{SOON, holds};

/// Processes that have opened the same cache.
struct Fleet {
    nodes: Vec<Node>,
    _directory: TempDir,
}

impl Fleet {
    fn start(config: &Config, count: usize) -> Self {
        let program = env!("CARGO_BIN_EXE_larder-node");
        Self::of(config, (0..count).map(|_| Command::new(program)))
    }

    /// Processes that may have so many files open.
    fn with_few_files(config: &Config, files: usize) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {files}; exec \"$0\"")]);
        command.arg(env!("CARGO_BIN_EXE_larder-node"));
        Self::of(config, std::iter::once(command))
    }

    fn of(config: &Config, commands: impl Iterator<Item = Command>) -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("caches.toml");
        fs::write(&path, config.text()).unwrap();
        let nodes: Vec<_> = commands.map(Node::start).collect();
        for node in &nodes {
            assert_eq!(node.ask(&format!("open {} {}", path.display(), config.name())), "ok");
        }
        Self { nodes, _directory: directory }
    }

    fn loads(&self) -> usize {
        self.nodes.iter().map(|node| node.ask("loads").parse::<usize>().unwrap()).sum()
    }
}

/// All processes together.
const CALLERS: usize = 10_000;

/// How often all of them ask; more often with `LARDER_SOAK`.
fn rounds() -> usize {
    if env::var_os("LARDER_SOAK").is_some() { 50 } else { 2 }
}

#[test]
fn ten_thousand_callers_in_four_processes_load_a_cold_key_once() {
    let redis = Redis::start();
    // A machine that is busy is no server that is away, which every process would load without.
    let patient = Config::redis(&redis.url())
        .connection("connect_timeout = \"20s\"")
        .connection("timeout = \"20s\"")
        .tier("timeout = \"20s\"");
    let fleet = Fleet::start(&patient, 4);
    let each = CALLERS / fleet.nodes.len();
    for round in 0..rounds() {
        let start = Instant::now();
        fleet.nodes.iter().for_each(|node| node.send(&format!("many {each} key{round}")));
        for node in &fleet.nodes {
            assert_eq!(node.answer(), "versions {1}");
        }
        println!("{} callers answered in {:?}", each * fleet.nodes.len(), start.elapsed());
        assert_eq!(fleet.loads(), round + 1);
    }
}

#[test]
fn a_key_that_expires_under_load_is_loaded_once_each_time() {
    let redis = Redis::start();
    let config = Config::redis(&redis.url()).cache("ttl = \"500ms\"");
    let fleet = Fleet::start(&config, 4);
    fleet.nodes.iter().for_each(|node| node.send("storm 3 25 key"));
    let start = Instant::now();
    for node in &fleet.nodes {
        assert_eq!(node.answer(), "ok");
    }
    let expiries = start.elapsed().as_millis() / 500 + 1;
    let loads = fleet.loads();
    println!("{loads} loads of 100 callers, about {expiries} expiries");
    assert!(loads as u128 <= expiries + 1, "{loads} loads, about {expiries} expiries");
}

#[test]
fn without_a_server_each_process_loads_a_cold_key_once() {
    let redis = Redis::start();
    let fleet = Fleet::start(&Config::redis(&redis.url()), 4);
    redis.kill();
    fleet.nodes.iter().for_each(|node| node.send("many 100 key"));
    for node in &fleet.nodes {
        assert_eq!(node.answer(), "versions {1}");
    }
    assert_eq!(fleet.loads(), 4);
}

#[test]
fn a_load_that_dies_with_its_process_is_done_by_another() {
    let redis = Redis::start();
    let fleet = Fleet::start(&Config::redis(&redis.url()), 2);
    let [first, second] = &fleet.nodes[..] else { unreachable!("two were started") };
    assert_eq!(first.ask("begin key"), "loading");
    first.kill();
    let start = Instant::now();
    assert!(second.ask("load key").starts_with("value 1 "));
    println!("loaded after {:?}", start.elapsed());
    assert!(start.elapsed() < SOON);
    assert_eq!(second.ask("loads"), "1");
}

#[test]
fn a_process_that_slept_through_its_lease_stores_nothing() {
    let redis = Redis::start();
    let fleet = Fleet::start(&Config::redis(&redis.url()), 3);
    let [first, second, third] = &fleet.nodes[..] else { unreachable!("three were started") };
    assert_eq!(first.ask("begin key"), "loading");
    first.stop();
    assert_eq!(second.ask("version 2"), "ok");
    assert!(second.ask("load key").starts_with("value 2 "));
    first.cont();
    first.ask("finish");
    // Who waited until the lease was over may have loaded for itself only.
    let seen = third.ask("get key");
    assert!(seen == "none" || seen.starts_with("value 2 "), "{seen}");
}

#[test]
fn a_process_without_another_file_to_open_loads_and_connects_when_there_is_one() {
    let redis = Redis::start();
    let fleet = Fleet::with_few_files(&Config::redis(&redis.url()), 40);
    let node = &fleet.nodes[0];
    assert_eq!(node.ask("set before 1"), "ok");
    assert_eq!(node.ask("hoard"), "ok");
    redis.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    for key in 0..20 {
        assert!(node.ask(&format!("load key{key}")).starts_with("value 1 "));
    }
    assert_eq!(node.ask("let-go"), "ok");
    eventually("a connection that is made again", SOON, || {
        node.ask("set after 1");
        holds(&redis, "after").then_some(())
    });
}
