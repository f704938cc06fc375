//! `larder check --online`, with real servers.

use std::fs;

use larder_servers::{Certificates, Cluster, Identity, Redis, RedisOptions};

use crate::support::{Folder, golden, said};

/// What is checked: a connection with these lines, and a cache over it.
fn folder(kind: &str, lines: &str) -> Folder {
    Folder::with(&format!(
        "[connections.main]\nkind = \"{kind}\"\n{lines}\n\
         connect_timeout = \"10s\"\ntimeout = \"10s\"\n\n\
         [caches.users]\nbackend = {{ kind = \"redis\", connection = \"main\" }}\n"
    ))
}

/// Compares what is said with a golden file in which these ports have names.
fn check(name: &str, folder: &Folder, ports: &[u16]) {
    let arguments = ["check", "--online"];
    let mut said = said(folder.command(&arguments));
    for port in ports {
        said.stdout = said.stdout.replace(&port.to_string(), "[PORT]");
    }
    // The mark below an address is as long as the address.
    said.stdout = said.stdout.lines().map(|line| shortened(line) + "\n").collect();
    golden(name, &arguments, &said);
}

/// A line whose mark does not depend on the length of what it marks.
fn shortened(line: &str) -> String {
    let is_mark = line.trim_start().starts_with("| ") && line.contains("^^");
    let is_gone = |char: &char| *char != '^';
    match is_mark {
        true => line.replacen('^', "[MARK]", 1).chars().filter(is_gone).collect(),
        false => line.to_owned(),
    }
}

#[test]
fn a_connection_that_works_is_said_to() {
    let redis = Redis::start();
    let folder = folder("redis", &format!("url = \"{}\"", redis.url()));
    check("online", &folder, &[redis.port()]);
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let redis = Redis::start();
    redis.kill();
    let folder = folder("redis", &format!("url = \"{}\"", redis.url()));
    check("online-unreachable", &folder, &[redis.port()]);
}

#[test]
fn a_wrong_password_is_named_and_not_shown() {
    let redis = Redis::start_with(&RedisOptions::new().password("right"));
    let lines = format!("url = \"{}\"\npassword = \"hunter2\"", redis.url());
    check("online-password", &folder("redis", &lines), &[redis.port()]);
    let lines = format!("url = \"{}\"", redis.url());
    check("online-no-password", &folder("redis", &lines), &[redis.port()]);
    let lines = format!("url = \"redis://:hunter2@127.0.0.1:{}\"", redis.port());
    check("online-url-password", &folder("redis", &lines), &[redis.port()]);
}

#[test]
fn an_authority_that_did_not_sign_is_named() {
    let certificates = Certificates::generate();
    let redis = Redis::start_with(&RedisOptions::new().tls(&certificates, Identity::Server));
    let lines = format!("url = \"{}\"\ntls = {{ ca = \"ca.pem\" }}", redis.tls_url());
    let folder = folder("redis", &lines);
    let other = fs::read_to_string(certificates.path("other-ca.pem")).expect("it was written");
    folder.write("ca.pem", &other);
    check("online-authority", &folder, &[redis.tls_port()]);
    let plain = self::folder("redis", &format!("url = \"rediss://127.0.0.1:{}\"", redis.port()));
    // The server says nothing to the greeting of TLS, so this is how long it takes.
    let text =
        plain.read("caches.toml").replace("connect_timeout = \"10s\"", "connect_timeout = \"1s\"");
    plain.write("caches.toml", &text);
    check("online-no-tls", &plain, &[redis.port()]);
}

#[test]
fn a_server_of_another_kind_is_named() {
    let (cluster, redis) = (Cluster::start(1, 0), Redis::start());
    let node = &cluster.nodes()[0];
    let one = folder("redis", &format!("url = \"{}\"", node.url()));
    check("online-cluster", &one, &[node.port()]);
    let many = folder("redis-cluster", &format!("nodes = [\"{}\"]", redis.url()));
    check("online-no-cluster", &many, &[redis.port()]);
    let right = folder("redis-cluster", &format!("nodes = [\"{}\"]", node.url()));
    let said = right.run(&["check", "--online"]);
    assert_eq!(said.code, 0, "{}", said.stdout);
}

#[test]
fn a_server_without_a_command_is_named() {
    let redis = Redis::start_with(&RedisOptions::new().without_command("UNLINK"));
    let folder = folder("redis", &format!("url = \"{}\"", redis.url()));
    check("online-command", &folder, &[redis.port()]);
}

#[test]
fn a_server_that_evicts_is_doubtful_until_that_is_accepted() {
    let options = RedisOptions::new().max_memory("100mb", "allkeys-lru");
    let redis = Redis::start_with(&options);
    let folder = folder("redis", &format!("url = \"{}\"", redis.url()));
    check("online-evicts", &folder, &[redis.port()]);
    assert_eq!(folder.run(&["check", "--online", "--deny-warnings"]).code, 1);
    let text = folder.read("caches.toml");
    folder.write("caches.toml", &format!("allow = [\"W0501\"]\n{text}"));
    assert_eq!(folder.run(&["check", "--online", "--deny-warnings"]).code, 0);
}

#[test]
fn a_config_with_errors_is_not_tried() {
    let redis = Redis::start();
    let lines = format!("url = \"{}\"\npool_size = 0", redis.url());
    let before = redis.info("total_connections_received");
    let said = folder("redis", &lines).run(&["check", "--online"]);
    assert_eq!(said.code, 78, "{}", said.stdout);
    assert_eq!(redis.info("total_connections_received"), before);
}
