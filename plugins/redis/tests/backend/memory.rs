//! Servers whose memory is full.

use std::time::Duration;

use larder_core::backend::Lease;
use larder_core::{Backend, ErrorKind};
use larder_servers::{Redis, RedisOptions};

use crate::{Site, entry};

#[tokio::test(flavor = "multi_thread")]
async fn a_set_without_room_fails_and_leaves_no_old_value() {
    let site = Site::new();
    let users = site.open("users:").await;
    users.set("42", entry("old")).await.unwrap();
    users.set("43", entry("old")).await.unwrap();
    let lease = users.lease("43", Duration::from_secs(10)).await.unwrap();
    let Lease::Granted { token } = lease else { panic!("nobody else asks") };
    site.server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let error = users.set("42", entry("new")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capacity);
    assert!(error.to_string().contains("hint: raise `maxmemory` at the server"), "{error}");
    assert_eq!(users.get("42").await.unwrap(), None, "reads go on, and it is not the old one");
    let error = users.fill("43", entry("new"), token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capacity);
    assert_eq!(users.get("43").await.unwrap(), None);
    let degraded = users.health().await.unwrap().degraded.unwrap();
    assert!(degraded.contains("evicts nothing"), "{degraded}");
    users.clear().await.expect("a full server can be cleared");
    site.server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    users.set("42", entry("new")).await.unwrap();
    assert_eq!(users.get("42").await.unwrap(), Some(entry("new")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_evicts_costs_misses_and_nothing_else() {
    let options = RedisOptions::new().max_memory("4mb", "allkeys-random");
    let site = Site { server: Redis::start_with(&options) };
    let users = site.open_still("users:").await;
    let value = |number: u32| entry(number.to_string().repeat(1000));
    let mut found = 0;
    for number in 0..4000 {
        let key = (number % 1500).to_string();
        users.set(&key, value(number % 1500)).await.unwrap();
        let other = (number * 7919) % 1500;
        if let Some(entry) = users.get(&other.to_string()).await.unwrap() {
            assert_eq!(entry, value(other), "{other}");
            found += 1;
        }
    }
    assert!(found > 0, "not all is evicted");
    assert_ne!(site.server.info("evicted_keys"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_was_evicted_fills_nothing() {
    let site = Site::new();
    let users = site.open("users:").await;
    let lease = users.lease("42", Duration::from_secs(10)).await.unwrap();
    let Lease::Granted { token } = lease else { panic!("nobody else asks") };
    site.server.cli(&["DEL", &site.name("ldr1:l:*")]);
    assert!(!users.fill("42", entry("late"), token).await.unwrap());
    assert_eq!(users.get("42").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_and_leases_end_at_the_server_as_well() {
    let site = Site::new();
    let users = site.open("users:").await;
    let mut mortal = entry("mortal");
    let now = larder_core::Clock::wall(&larder_core::SystemClock);
    mortal.meta.hard_deadline = Some(now.after(Duration::from_secs(600)));
    users.set("42", mortal).await.unwrap();
    users.set("43", entry("for ever")).await.unwrap();
    users.lease("42", Duration::from_secs(600)).await.unwrap();
    for (pattern, lasts) in [("ldr1:e:*{42}", true), ("ldr1:e:*{43}", false), ("ldr1:l:*", true)] {
        let left = site.server.cli(&["PTTL", &site.name(pattern)]).integer();
        let expected = if lasts { 500_000..=600_000 } else { -1..=-1 };
        assert!(expected.contains(&left), "{pattern}: {left}");
    }
}
