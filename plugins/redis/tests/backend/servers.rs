//! Servers that forget, are old, or cannot be reached.

use std::time::Duration;

use larder_core::backend::Lease;
use larder_core::{Backend, ErrorKind};
use larder_servers::{Redis, RedisOptions};

use crate::{LIMIT, Site, entry};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forgets_its_scripts_is_told_them_again() {
    let site = Site::new();
    let users = site.open("users:").await;
    for round in 0..3_u8 {
        users.set("42", entry(vec![round])).await.unwrap();
        site.server.cli(&["SCRIPT", "FLUSH"]);
        let many = (0..10).map(|number| (number.to_string(), entry(vec![round]))).collect();
        users.set_many(many).await.unwrap();
        site.server.cli(&["SCRIPT", "FLUSH"]);
        let Lease::Granted { token } = users.lease("42", LIMIT).await.unwrap() else {
            panic!("nobody else asks");
        };
        assert!(users.fill("42", entry("filled"), token).await.unwrap());
        site.server.cli(&["SCRIPT", "FLUSH"]);
        users.clear().await.unwrap();
        assert_eq!(users.get("42").await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_over_a_dead_server_can_be_opened_and_says_so() {
    let site = Site::new();
    site.server.kill();
    let users = site.open("users:").await;
    let error = users.get("42").await.unwrap_err();
    let kinds = [ErrorKind::Connection, ErrorKind::Timeout];
    assert!(kinds.contains(&error.kind()), "{error}");
    assert!(kinds.contains(&users.health().await.unwrap_err().kind()));
    site.server.restart();
    let mut attempts = tokio::time::interval(Duration::from_millis(20));
    let back = async {
        while users.set("42", entry("value")).await.is_err() {
            attempts.tick().await;
        }
    };
    tokio::time::timeout(LIMIT, back).await.expect("it comes back by itself");
    assert_eq!(users.get("42").await.unwrap(), Some(entry("value")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_the_server_lacks_is_named() {
    let server = Redis::start_with(&RedisOptions::new().without_command("UNLINK"));
    let site = Site { server };
    let users = site.open_still("users:").await;
    let error = users.delete("42").await.unwrap_err();
    assert!(error.to_string().to_lowercase().contains("unlink"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_server_has_nothing_to_complain_of() {
    let site = Site::new();
    let users = site.open("users:").await;
    let health = users.health().await.unwrap();
    assert_eq!((health.degraded, health.corrupt), (None, 0));
}
