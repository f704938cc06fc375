use larder_core::{KeyPath, PluginConfig};
use serde_json::{Value, json};

use crate::config::{RedisClusterConfig, RedisConnectionConfig};

fn problems<C: PluginConfig>(options: Value) -> Vec<(String, String)> {
    let config: C = serde_json::from_value(options).unwrap();
    let found = config.validate(&KeyPath::from_segments(["main"]));
    let found = found.err().unwrap_or_default();
    let with_help = found.iter().filter(|problem| problem.help.is_some()).count();
    assert_eq!(with_help, found.iter().count(), "each problem says what to do");
    found.iter().map(|problem| (problem.path.to_string(), problem.message.clone())).collect()
}

fn one(problems: &[(String, String)]) -> (&str, &str) {
    match problems {
        [(path, message)] => (path, message),
        other => panic!("one problem is expected: {other:?}"),
    }
}

#[test]
fn options_that_can_work_have_no_problems() {
    for options in [
        json!({ "url": "redis://localhost" }),
        json!({ "url": "redis://u:p@localhost/3", "pool_size": 4, "timeout": "2s" }),
        json!({ "url": "unix:///run/redis.sock" }),
        json!({ "url": "redis+sentinel://a,b/mymaster", "sentinel_password": "x" }),
        json!({ "url": "redis+sentinel://a,b", "master": "mymaster" }),
        json!({ "sentinels": ["a:1", "b:2"], "master": "m", "password_file": "p" }),
    ] {
        assert_eq!(problems::<RedisConnectionConfig>(options.clone()), [], "{options}");
    }
    let nodes = json!({ "nodes": ["redis://a", "redis://b:7"], "username": "u", "password": "p" });
    assert_eq!(problems::<RedisClusterConfig>(nodes), []);
}

#[test]
fn what_is_wrong_with_a_server_is_named_with_its_option() {
    for (options, path, message) in [
        (json!({}), "main", "there is no server to connect to"),
        (json!({ "url": "http://a" }), "main.url", "unknown scheme `http`"),
        (
            json!({ "url": "redis://a", "sentinels": ["b"] , "master": "m" }),
            "main.sentinels",
            "`url` names the server already",
        ),
        (
            json!({ "sentinels": ["a", "a:x"], "master": "m" }),
            "main.sentinels.1",
            "the port is not a number from 1 to 65535",
        ),
        (
            json!({ "sentinels": ["a/3"], "master": "m" }),
            "main.sentinels.0",
            "a Sentinel is a host and a port",
        ),
        (
            json!({ "sentinels": ["redis://:x@a"], "master": "m" }),
            "main.sentinels.0",
            "the login of the Sentinels stands elsewhere",
        ),
        (
            json!({ "url": "redis+sentinel://a" }),
            "main",
            "the Sentinels are not told which primary to look for",
        ),
        (
            json!({ "url": "redis+sentinel://a/m", "master": "m" }),
            "main.master",
            "`url` names the primary already",
        ),
        (
            json!({ "url": "redis://a", "master": "m" }),
            "main.master",
            "there are no Sentinels to ask for it",
        ),
        (
            json!({ "url": "redis://a", "sentinel_password": "m" }),
            "main.sentinel_password",
            "there are no Sentinels",
        ),
        (json!({ "url": "redis://a/1", "db": 2 }), "main.db", "`url` has another one"),
        (
            json!({ "url": "redis://:x@a", "password": "y" }),
            "main.password",
            "`url` has another one",
        ),
        (
            json!({ "url": "redis://a", "password": "y", "password_file": "f" }),
            "main.password_file",
            "`password` is there as well",
        ),
        (
            json!({ "url": "redis://a", "pool_size": 0 }),
            "main.pool_size",
            "the size is not from 1 to 64",
        ),
        (
            json!({ "url": "redis://a", "timeout": "0s" }),
            "main.timeout",
            "nothing is done in no time",
        ),
        (
            json!({ "url": "redis://a", "connect_timeout": "1000000000w" }),
            "main.connect_timeout",
            "nobody waits for longer than a day",
        ),
    ] {
        let found = problems::<RedisConnectionConfig>(options.clone());
        assert_eq!(one(&found), (path, message), "{options}");
    }
}

#[test]
fn what_is_wrong_with_the_nodes_of_a_cluster_is_named() {
    for (nodes, path, message) in [
        (json!([]), "main.nodes", "there is no node to connect to"),
        (json!(["redis://a", "redis://"]), "main.nodes.1", "the host is missing"),
        (json!(["redis+sentinel://a/m"]), "main.nodes.0", "a cluster has no Sentinels"),
        (json!(["unix:///a"]), "main.nodes.0", "the nodes of a cluster cannot be socket files"),
        (json!(["redis://a/1"]), "main.nodes.0", "a cluster has no database but 0"),
    ] {
        let found = problems::<RedisClusterConfig>(json!({ "nodes": nodes }));
        assert_eq!(one(&found), (path, message), "{nodes}");
    }
}

#[cfg(feature = "tls")]
#[test]
fn what_is_wrong_with_tls_is_named() {
    let url = "rediss://a";
    for (tls, path, message) in [
        (json!({ "cert": "c" }), "main.tls.cert", "the key of the certificate is missing"),
        (json!({ "key": "c" }), "main.tls.key", "the certificate of the key is missing"),
    ] {
        let found = problems::<RedisConnectionConfig>(json!({ "url": url, "tls": tls }));
        assert_eq!(one(&found), (path, message), "{tls}");
    }
    let socket = json!({ "url": "unix:///a", "tls": {} });
    let found = problems::<RedisConnectionConfig>(socket);
    assert_eq!(one(&found), ("main.tls", "a socket file cannot be encrypted"));
    let mixed = json!({ "nodes": ["redis://a", "rediss://b"] });
    let found = problems::<RedisClusterConfig>(mixed);
    assert_eq!(one(&found), ("main.nodes.1", "some nodes are with TLS and some without"));
}

#[test]
fn nothing_that_is_printed_holds_a_secret() {
    let options = json!({
        "url": "redis://u:hunter2@a", "sentinel_password": "hunter2", "password": "hunter2"
    });
    let config: RedisConnectionConfig = serde_json::from_value(options).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    let found = config.validate(&KeyPath::root()).unwrap_err();
    assert!(!found.to_string().contains("hunter2"));
    let nodes = json!({ "nodes": ["redis://:hunter2@a"], "password": "hunter2" });
    let config: RedisClusterConfig = serde_json::from_value(nodes).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}
