//! Memory over Redis from a file, as two programs see it.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use std::fs;
use std::time::Duration;

use larder::{Cache, CacheManager, Lookup, SetOptions};
use larder_servers::{Cluster, Redis};
use tempfile::TempDir;

/// The folder of a program whose config names this connection.
fn folder(connection: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "version = 1\n\
         [connections.main]\n{connection}\n\
         [caches.users]\n\
         ttl = \"10m\"\n\
         negative_ttl = \"1m\"\n\
         allow = [\"W0401\"]\n\
         l1.backend = {{ kind = \"memory\", capacity = 1000 }}\n\
         l2.backend = {{ kind = \"redis\", connection = \"main\" }}\n\
         invalidation.tags = true\n"
    );
    fs::write(folder.path().join("caches.toml"), text).unwrap();
    folder
}

/// A program that starts.
async fn program(folder: &TempDir) -> (CacheManager, Cache<String, String>) {
    let path = folder.path().join("caches.toml");
    let caches = CacheManager::builder().file(path).build().await.unwrap();
    let users = caches.cache::<String, String>("users").unwrap();
    (caches, users)
}

async fn share_everything(folder: &TempDir) {
    let (first_caches, first) = program(folder).await;
    let (second_caches, second) = program(folder).await;
    let tagged = SetOptions::new().tag("eu");
    first.set("42", "Ada".to_owned()).await.unwrap();
    first.set_with("43", "Grace".to_owned(), &tagged).await.unwrap();
    first.set_with("44", "Edsger".to_owned(), &tagged).await.unwrap();
    first.set_negative("45").await.unwrap();
    assert_eq!(second.get("42").await.unwrap().as_deref(), Some("Ada"));
    assert_eq!(second.get("43").await.unwrap().as_deref(), Some("Grace"));
    assert!(matches!(second.lookup("45").await.unwrap(), Lookup::Negative));
    let many = second.get_many(["42", "44", "46"]).await.unwrap();
    assert_eq!(many, [Some("Ada".to_owned()), Some("Edsger".to_owned()), None]);
    first.invalidate_tag("eu").await.unwrap();
    let berlin = first.namespace("berlin").unwrap();
    berlin.set("1", "Konrad".to_owned()).await.unwrap();
    first_caches.close().await.unwrap();
    second_caches.close().await.unwrap();

    let (caches, third) = program(folder).await;
    assert_eq!(third.get("42").await.unwrap().as_deref(), Some("Ada"));
    assert_eq!(third.get("43").await.unwrap(), None, "its tag is invalid for all");
    let berlin = third.namespace("berlin").unwrap();
    assert_eq!(berlin.get("1").await.unwrap().as_deref(), Some("Konrad"));
    assert!(third.delete("42").await.unwrap());
    third.clear().await.unwrap();
    for key in ["42", "43", "44", "45"] {
        assert!(matches!(third.lookup(key).await.unwrap(), Lookup::Miss(_)), "{key}");
    }
    caches.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_share_what_they_store_on_a_server() {
    let server = Redis::start();
    share_everything(&folder(&format!("kind = \"redis\"\nurl = \"{}\"", server.url()))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_share_what_they_store_in_a_cluster() {
    let cluster = Cluster::start(3, 0);
    let nodes: Vec<String> = cluster.nodes().iter().map(Redis::url).collect();
    share_everything(&folder(&format!("kind = \"redis-cluster\"\nnodes = {nodes:?}"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_server_costs_no_hit_in_memory_and_no_error() {
    let server = Redis::start();
    let folder = folder(&format!("kind = \"redis\"\nurl = \"{}\"", server.url()));
    let (caches, users) = program(&folder).await;
    users.set("42", "Ada".to_owned()).await.unwrap();
    server.kill();
    assert_eq!(users.get("42").await.unwrap().as_deref(), Some("Ada"), "it is in memory");
    assert_eq!(users.get("43").await.unwrap(), None, "a tier that is down is skipped");
    let loaded = users.get_or_load("44", || async { Ok::<_, std::io::Error>("Alan".to_owned()) });
    assert_eq!(loaded.await.unwrap(), "Alan");
    server.restart();
    let mut attempts = tokio::time::interval(Duration::from_millis(20));
    let back = async {
        while server.cli(&["KEYS", "ldr1:e:*{45}"]).text().is_empty() {
            attempts.tick().await;
            users.set("45", "Barbara".to_owned()).await.ok();
        }
    };
    tokio::time::timeout(Duration::from_secs(30), back).await.expect("it is used again");
    caches.close().await.unwrap();
}
