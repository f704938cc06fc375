//! Encrypted connections: who trusts whom, and what is said when they do not.

use larder_servers::{Certificates, Cluster, ClusterOptions, Identity, Redis, RedisOptions};
use serde_json::{Value as Json, json};

use super::*;

fn server(certificates: &Certificates, identity: Identity) -> Redis {
    Redis::start_with(&RedisOptions::new().tls(certificates, identity))
}

async fn refusal(name: &str, url: String, tls: Json) -> String {
    let connection = redis(name, json!({ "url": url, "tls": tls })).await;
    get(&connection, "k").await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_server_of_a_known_authority_is_trusted() {
    let certificates = Certificates::generate();
    let server = server(&certificates, Identity::Server);
    let tls = json!({ "ca": certificates.path("ca.pem") });
    let connection = redis("tls", json!({ "url": server.tls_url(), "tls": tls })).await;
    assert_eq!(set(&connection, "k", "v").await.unwrap(), Value::Okay);
    let mut large = redis::pipe();
    large.cmd("SET").arg("large").arg("x".repeat(1_000_000));
    let answers = connection.send(Lane::Bulk, Route::Key("large"), large).await.unwrap();
    assert_eq!(answers, [Value::Okay]);
}

#[tokio::test]
async fn a_server_that_cannot_be_trusted_is_refused_with_the_reason() {
    let certificates = Certificates::generate();
    let ca = certificates.path("ca.pem");
    let good = server(&certificates, Identity::Server);
    let other = json!({ "ca": certificates.path("other-ca.pem") });
    let refused = refusal("other-ca", good.tls_url(), other).await;
    assert!(refused.contains("signed by an unknown authority"), "{refused}");
    assert!(refused.contains("set `ca` in `tls`"), "{refused}");

    let expired = server(&certificates, Identity::Expired);
    let refused = refusal("expired", expired.tls_url(), json!({ "ca": ca })).await;
    assert!(refused.contains("the certificate of the server has expired"), "{refused}");

    let elsewhere = server(&certificates, Identity::WrongName);
    let refused = refusal("wrong-name", elsewhere.tls_url(), json!({ "ca": ca })).await;
    assert!(refused.contains("is not for `localhost`, but for:"), "{refused}");
    assert!(refused.contains("elsewhere.example"), "{refused}");
    let tls = json!({ "ca": ca, "server_name": "elsewhere.example" });
    let connection = redis("named", json!({ "url": elsewhere.tls_url(), "tls": tls })).await;
    get(&connection, "k").await.unwrap();
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_ours() {
    let certificates = Certificates::generate();
    let options = RedisOptions::new().tls(&certificates, Identity::Server).tls_clients();
    let server = Redis::start_with(&options);
    let ca = certificates.path("ca.pem");
    let refused = refusal("no-certificate", server.tls_url(), json!({ "ca": ca })).await;
    assert!(refused.contains("the server asks for a certificate of ours"), "{refused}");
    assert!(refused.contains("set `cert` and `key` in `tls`"), "{refused}");
    let tls = json!({
        "ca": ca, "cert": certificates.path("client.pem"), "key": certificates.path("client.key")
    });
    let connection = redis("mutual", json!({ "url": server.tls_url(), "tls": tls })).await;
    get(&connection, "k").await.unwrap();
}

#[tokio::test]
async fn encrypted_and_plain_are_not_mixed_up() {
    let certificates = Certificates::generate();
    let server = server(&certificates, Identity::Server);
    let tls = json!({ "ca": certificates.path("ca.pem") });
    let plain_port = format!("rediss://localhost:{}", server.port());
    let options = json!({ "url": plain_port, "tls": tls, "connect_timeout": "1s" });
    let connection = redis("to-plain", options).await;
    let refused = get(&connection, "k").await.unwrap_err().to_string();
    assert!(refused.contains("a server without TLS says nothing"), "{refused}");

    let plain = json!({ "url": format!("redis://localhost:{}", server.tls_port()) });
    let connection = redis("to-tls", plain).await;
    let refused = get(&connection, "k").await.unwrap_err().to_string();
    assert!(refused.contains("it may expect TLS"), "{refused}");
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let certificates = Certificates::generate();
    let server = server(&certificates, Identity::Server);
    let missing = refusal("no-ca", server.tls_url(), json!({ "ca": "/nowhere/ca.pem" })).await;
    assert!(missing.contains("the certificate in `/nowhere/ca.pem` cannot be used"), "{missing}");
    let tls = json!({
        "ca": certificates.path("ca.pem"),
        "cert": certificates.path("client.pem"),
        "key": certificates.path("server.key"),
    });
    let mismatch = refusal("other-key", server.tls_url(), tls).await;
    assert!(mismatch.contains("check that `key` belongs to `cert`"), "{mismatch}");
    let no_key = json!({
        "ca": certificates.path("ca.pem"),
        "cert": certificates.path("client.pem"),
        "key": certificates.path("client.pem"),
    });
    let missing = refusal("no-key", server.tls_url(), no_key).await;
    assert!(missing.contains("the private key in"), "{missing}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_nodes_of_a_cluster_are_encrypted_as_well() {
    let certificates = Certificates::generate();
    let file = |name| certificates.path(name).display().to_string();
    let node = RedisOptions::new()
        .tls(&certificates, Identity::Server)
        .line("tls-cluster yes")
        .line(format!("tls-client-cert-file {}", file("client.pem")))
        .line(format!("tls-client-key-file {}", file("client.key")));
    let nodes = Cluster::start_with(&ClusterOptions::new(2).node(node));
    let seed = format!("rediss://127.0.0.1:{}", nodes.nodes()[0].tls_port());
    let tls = json!({ "ca": certificates.path("ca.pem") });
    let connection = cluster("tls-cluster", json!({ "nodes": [seed], "tls": tls })).await;
    for index in 0..20 {
        let key = format!("k{index}");
        assert_eq!(set(&connection, &key, "v").await.unwrap(), Value::Okay);
    }
    assert_eq!(connection.health().servers, (2, 2));
}
