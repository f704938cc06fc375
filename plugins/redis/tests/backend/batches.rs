//! How many commands many calls make.

use futures_util::future::join_all;
use larder_core::Backend;

use crate::{Site, entry};

/// How often a command was called, from `INFO commandstats`.
pub(crate) fn calls(site: &Site, command: &str) -> u64 {
    let stats = site.server.cli(&["INFO", "commandstats"]).text();
    let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:")));
    let calls = line.and_then(|line| line.strip_prefix("calls=")?.split(',').next()?.parse().ok());
    calls.unwrap_or(0)
}

#[tokio::test]
async fn gets_at_the_same_time_go_together() {
    let site = Site::new();
    let users = site.open_still("users:").await;
    let keys: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    for key in &keys {
        users.set(key, entry(key.clone())).await.unwrap();
    }
    let before = calls(&site, "mget");
    let found = join_all(keys.iter().map(|key| users.get(key))).await;
    for (key, found) in keys.iter().zip(found) {
        assert_eq!(found.unwrap(), Some(entry(key.clone())));
    }
    let commands = calls(&site, "mget") - before;
    // Two go alone, for they find nobody under way; the others as 128 at a time.
    assert!((2..=8).contains(&commands), "{commands} commands for 500 gets");
    let counts = users.health().await.unwrap().counts;
    assert_eq!((counts["batches"], counts["batched_keys"]), (commands, 500));
}

#[tokio::test]
async fn a_get_asks_nothing_before_it_is_polled() {
    let site = Site::new();
    let users = site.open_still("users:").await;
    users.set("42", entry("value")).await.unwrap();
    assert!(users.get("42").await.unwrap().is_some());
    let before = calls(&site, "mget");
    // A tier that is left alone lets go of the call that it does not make.
    drop(users.get("42"));
    let later = users.get("42");
    assert_eq!(users.health().await.unwrap().counts["batched_keys"], 1);
    users.set("42", entry("another")).await.unwrap();
    assert_eq!(later.await.unwrap(), Some(entry("another")));
    assert_eq!(calls(&site, "mget") - before, 1);
}

#[tokio::test]
async fn many_keys_go_in_few_commands() {
    let site = Site::new();
    let users = site.open_still("users:").await;
    let keys: Vec<String> = (0..256).map(|number| number.to_string()).collect();
    users.set_many(keys.iter().map(|key| (key.clone(), entry("value"))).collect()).await.unwrap();
    let before = calls(&site, "mget");
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let found = users.get_many(&keys).await.unwrap();
    assert!(found.iter().all(Option::is_some));
    let commands = calls(&site, "mget") - before;
    assert!((2..=4).contains(&commands), "{commands} commands for 256 keys");
    assert_eq!(users.delete_many(&keys).await.unwrap(), 256);
    assert_eq!(users.delete_many(&keys).await.unwrap(), 0);
}

#[tokio::test]
async fn headers_and_touches_carry_no_values() {
    let site = Site::new();
    let users = site.open_still("users:").await;
    users.set("42", entry(vec![7; 1 << 20])).await.unwrap();
    let bytes = || site.server.info("total_net_output_bytes").parse::<u64>().unwrap();
    let before = bytes();
    assert!(users.meta("42").await.unwrap().is_some());
    assert!(users.exists("42").await.unwrap());
    let deadlines = larder_core::backend::Deadlines::default();
    assert!(users.touch("42", deadlines).await.unwrap());
    let sent = bytes() - before;
    assert!(sent < 100_000, "{sent} bytes");
}
