//! Several tiers: memory over files, and over a backend that fails on command.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use larder::{
    Cache, CacheManager, ErrorKind, Format, Life, LoadOptions, Loaded, Lookup, ManualClock,
    MissCause, SetOptions,
};
use larder_integration::strings;

async fn manager(text: &str, clock: &ManualClock) -> CacheManager {
    CacheManager::builder()
        .text("caches.toml", Format::Toml, text)
        .clock(Arc::new(clock.clone()))
        .build()
        .await
        .unwrap()
}

fn over_files(dir: &Path) -> String {
    format!(
        "[caches.users]\nttl = \"1h\"\nnegative_ttl = \"1m\"\n\
         l1 = {{ backend = \"memory\", ttl = \"1m\" }}\n\
         l2.backend = {{ kind = \"file\", dir = '{}' }}\n",
        dir.display()
    )
}

fn over_puppet(name: &str) -> String {
    format!(
        "[caches.users]\nl1.backend = \"memory\"\n\
         l2.backend = {{ kind = \"test.puppet\", name = \"{name}\" }}\n"
    )
}

async fn users(text: &str, clock: &ManualClock) -> Cache<String, String> {
    manager(text, clock).await.cache("users").unwrap()
}

#[tokio::test]
async fn entries_survive_the_process_in_the_file_tier() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let text = over_files(&dir.path().join("users"));
    let before = users(&text, &clock).await;
    before.set("a", "Ada".into()).await.unwrap();
    before.set("gone", "x".into()).await.unwrap();
    before.delete("gone").await.unwrap();
    before.set_negative("nobody").await.unwrap();
    before.set_with("b", "Bob".into(), &SetOptions::new().tag("org:7")).await.unwrap();
    before.namespace("eu").unwrap().set("c", "Cy".into()).await.unwrap();

    let after = users(&text, &clock).await;
    assert_eq!(after.get("a").await.unwrap().as_deref(), Some("Ada"));
    assert_eq!(after.get("gone").await.unwrap(), None);
    assert_eq!(after.lookup("nobody").await.unwrap(), Lookup::Negative);
    assert_eq!(after.get("b").await.unwrap().as_deref(), Some("Bob"), "its tag is known");
    let namespace = after.namespace("eu").unwrap();
    assert_eq!(namespace.get("c").await.unwrap().as_deref(), Some("Cy"));
    let tiers = after.stats().snapshot().tiers;
    let numbers = |index: usize| (tiers[index].backend.clone(), tiers[index].hits);
    assert_eq!((numbers(0), numbers(1)), (("memory".into(), 0), ("file".into(), 4)));
    after.get("a").await.unwrap();
    assert_eq!(after.stats().snapshot().tiers[0].hits, 1, "the store was filled");
}

#[tokio::test]
async fn a_tag_that_one_process_invalidates_is_invalid_for_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let text = over_files(&dir.path().join("users"));
    let (first, second) = (users(&text, &clock).await, users(&text, &clock).await);
    first.set_with("a", "Ada".into(), &SetOptions::new().tag("org:7")).await.unwrap();
    second.invalidate_tag("org:7").await.unwrap();
    let third = users(&text, &clock).await;
    assert_eq!(third.lookup("a").await.unwrap(), Lookup::Miss(MissCause::Tag));
    third.clear().await.unwrap();
    third.set_with("a", "Ada".into(), &SetOptions::new().tag("org:7")).await.unwrap();
    let fourth = users(&text, &clock).await;
    assert_eq!(fourth.get("a").await.unwrap().as_deref(), Some("Ada"));
}

#[tokio::test]
async fn the_store_never_outlives_the_tier_below_nor_its_own_limit() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let text = over_files(&dir.path().join("users"));
    let before = users(&text, &clock).await;
    before.set("a", "Ada".into()).await.unwrap();
    clock.advance(Duration::from_secs(61));
    assert_eq!(before.get("a").await.unwrap().as_deref(), Some("Ada"), "from the files");
    let stats = before.stats().snapshot();
    assert_eq!((stats.tiers[0].hits, stats.tiers[1].hits), (0, 1), "l1.ttl is a minute");
    let left = Life::For(Duration::from_secs(3600 - 61));
    assert_eq!(before.ttl("a").await.unwrap(), Some(left));
    clock.advance(Duration::from_secs(3600 - 61 - 30));
    let after = users(&text, &clock).await;
    assert!(after.exists("a").await.unwrap());
    after.get("a").await.unwrap();
    clock.advance(Duration::from_secs(30));
    assert_eq!(after.lookup("a").await.unwrap(), Lookup::Miss(MissCause::Expired));
}

#[tokio::test]
async fn bytes_that_make_no_value_are_a_miss_and_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let text = over_files(&dir.path().join("users"));
    users(&text, &clock).await.set("1", "not a number".into()).await.unwrap();
    let manager = manager(&text, &clock).await;
    let numbers = manager.cache::<u64, u64>("users").unwrap();
    assert_eq!(numbers.lookup(&1).await.unwrap(), Lookup::Miss(MissCause::Decode));
    let stats = numbers.stats().snapshot();
    assert_eq!(stats.tiers[1].undecodable, 1);
    assert_eq!(numbers.lookup(&1).await.unwrap(), Lookup::Miss(MissCause::Cold), "removed");
    let loaded = numbers.get_or_load(&1, || async { Ok::<_, String>(7) }).await.unwrap();
    assert_eq!(loaded, 7);
}

#[tokio::test]
async fn entries_of_another_serializer_stay_readable() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let text = over_files(&dir.path().join("users"));
    let json = format!("{text}serializer = \"json\"\n");
    users(&json, &clock).await.set("a", "Ada".into()).await.unwrap();
    let after = users(&text, &clock).await;
    assert_eq!(after.get("a").await.unwrap().as_deref(), Some("Ada"));
}

#[tokio::test]
async fn a_damaged_file_is_a_miss() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let root = dir.path().join("users");
    let text = over_files(&root);
    users(&text, &clock).await.set("a", "Ada".repeat(100)).await.unwrap();
    let mut damaged = 0;
    let mut folders = vec![root.join("v1/d")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let mut bytes = std::fs::read(&path).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 0xff;
                std::fs::write(&path, bytes).unwrap();
                damaged += 1;
            }
        }
    }
    assert_eq!(damaged, 1);
    let after = users(&text, &clock).await;
    assert_eq!(after.get("a").await.unwrap(), None);
    after.set("a", "new".into()).await.unwrap();
    assert_eq!(users(&text, &clock).await.get("a").await.unwrap().as_deref(), Some("new"));
}

#[tokio::test]
async fn a_tier_that_fails_is_skipped_and_reported() {
    let puppet = strings("skipped");
    let users = users(&over_puppet("skipped"), &ManualClock::new()).await;
    users.set("a", "Ada".into()).await.unwrap();
    puppet.fails.store(true, SeqCst);
    assert_eq!(users.get("a").await.unwrap().as_deref(), Some("Ada"), "from the store");
    assert_eq!(users.lookup("b").await.unwrap(), Lookup::Miss(MissCause::TierDown));
    users.set("b", "Bob".into()).await.unwrap();
    assert_eq!(users.get("b").await.unwrap().as_deref(), Some("Bob"));
    let loaded = users.get_or_load("c", || async { Ok::<_, String>("Cy".into()) }).await;
    assert_eq!(loaded.unwrap(), "Cy");
    assert!(users.delete("a").await.unwrap(), "the store had it");
    assert_eq!(users.get("a").await.unwrap(), None);
    users.invalidate_tag("t").await.unwrap();
    users.clear().await.unwrap();
    let tier = &users.stats().snapshot().tiers[1];
    assert_eq!((tier.failures, &*tier.breaker), (5, "open"));
    assert!(tier.skipped >= 3, "{tier:?}");
}

#[tokio::test]
async fn without_a_store_in_front_a_failing_tier_fails_the_set() {
    let text = "[caches.users]\nbackend = { kind = \"test.puppet\", name = \"alone\" }";
    let puppet = strings("alone");
    let users = users(text, &ManualClock::new()).await;
    puppet.fails.store(true, SeqCst);
    let error = users.set("a", "x".into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    let named = ["cache", "tier", "backend"].map(|key| error.context(key).unwrap());
    assert_eq!(named, ["users", "l1", "test.puppet"]);
    assert_eq!(users.get("a").await.unwrap(), None, "a read is a miss");
}

#[tokio::test]
async fn a_set_that_is_dropped_half_way_leaves_no_two_values() {
    let puppet = strings("dropped");
    let users = users(&over_puppet("dropped"), &ManualClock::new()).await;
    users.set("a", "old".into()).await.unwrap();
    puppet.hang_in("set");
    let set = tokio::spawn({
        let users = users.clone();
        async move { users.set("a", "new".into()).await }
    });
    puppet.hangs().await;
    assert_eq!(users.get("a").await.unwrap().as_deref(), Some("old"), "not set yet");
    set.abort();
    assert!(set.await.unwrap_err().is_cancelled());
    puppet.hang_in(None);
    let in_tier = puppet.entries.lock().unwrap().get("a").cloned().unwrap();
    assert!(!in_tier.value.is_empty());
    let gets = puppet.gets.load(SeqCst);
    assert_eq!(users.get("a").await.unwrap().as_deref(), Some("old"));
    assert!(puppet.gets.load(SeqCst) > gets, "the tier was asked, not the store");
}

#[tokio::test]
async fn batches_ask_each_tier_once_for_what_is_missing_above() {
    let puppet = strings("batch");
    let text = over_puppet("batch");
    let before = users(&text, &ManualClock::new()).await;
    before.set_many((0..9).map(|n| (n.to_string(), format!("v{n}")))).await.unwrap();
    let after = users(&text, &ManualClock::new()).await;
    after.get("0").await.unwrap();
    puppet.gets.store(0, SeqCst);
    let found = after.get_many(["0", "1", "x", "2"]).await.unwrap();
    let value = |text: &str| Some(text.to_owned());
    assert_eq!(found, [value("v0"), value("v1"), None, value("v2")]);
    assert_eq!(puppet.gets.load(SeqCst), 3, "not for the one in the store");
    assert_eq!(after.keys("[0-9]").await.unwrap(), [""; 0], "brackets mean themselves");
    assert_eq!(after.keys("?").await.unwrap().join(""), "012345678");
    assert_eq!(after.delete_pattern("[0-9]").await.unwrap(), 0, "brackets mean themselves");
    assert_eq!(after.delete_pattern("?").await.unwrap(), 9);
    assert!(puppet.entries.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_idle_entry_ends_in_every_tier() {
    let text = format!("{}idle_ttl = \"10s\"\n", "[caches.users]\n")
        + &over_puppet("idle").replace("[caches.users]\n", "");
    let clock = ManualClock::new();
    let users = users(&text, &clock).await;
    users.set("a", "x".into()).await.unwrap();
    users.set("b", "x".into()).await.unwrap();
    for _ in 0..5 {
        clock.advance(Duration::from_secs(6));
        let later = manager(&text, &clock).await.cache::<String, String>("users").unwrap();
        assert!(later.get("a").await.unwrap().is_some(), "read every six seconds");
    }
    assert_eq!(users.get("b").await.unwrap(), None, "nobody read it");
    clock.advance(Duration::from_secs(11));
    assert_eq!(users.get("a").await.unwrap(), None);
}

#[tokio::test]
async fn a_cache_can_be_the_tier_of_another() {
    let text = "[caches.shared]\nbackend = \"memory\"\n\
                [caches.front]\nl1.backend = \"memory\"\nl2.cache = \"shared\"\n\
                [caches.other]\nl1.backend = \"memory\"\nl2.cache = \"shared\"\n";
    let manager = manager(text, &ManualClock::new()).await;
    let [front, other, shared] =
        ["front", "other", "shared"].map(|name| manager.cache::<String, u32>(name).unwrap());
    front.set("a", 7).await.unwrap();
    assert_eq!(shared.get("a").await.unwrap(), Some(7));
    assert_eq!(other.get("a").await.unwrap(), Some(7));
    front.delete("a").await.unwrap();
    assert_eq!(shared.get("a").await.unwrap(), None);
    assert_eq!(other.get("a").await.unwrap(), Some(7), "in its own store until its ttl is over");
    manager.close().await.unwrap();
}

#[tokio::test]
async fn a_part_of_a_tier_that_fails_costs_no_other_keys_of_a_batch() {
    let text = "[caches.users]\nbackend = { kind = \"test.puppet\", name = \"in-parts\" }\n";
    let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
    let manager = builder.build().await.unwrap();
    let users = manager.cache::<String, String>("users").unwrap();
    let puppet = strings("in-parts");
    let batch = |version: u32| {
        ["a1", "b1", "b2", "a2"].map(|key| (key.to_owned(), format!("{key}:{version}")))
    };
    users.set_many(batch(1)).await.unwrap();
    *puppet.fails_for.lock().unwrap() = Some("b");
    let found = users.get_many(["b1", "a1", "b2", "a2"]).await.unwrap();
    let value = |text: &str| Some(text.to_owned());
    assert_eq!(found, [None, value("a1:1"), None, value("a2:1")]);
    let tier = users.stats().snapshot().tiers[0].clone();
    assert_eq!((tier.hits, tier.misses), (2, 0), "who cannot be asked has no misses");
    assert!(users.set_many(batch(2)).await.unwrap_err().is_of_a_part());
    assert!(users.blocking().set_many(batch(3)).unwrap_err().is_of_a_part());
    *puppet.fails_for.lock().unwrap() = None;
    assert_eq!(users.get("a2").await.unwrap(), value("a2:3"), "it stands behind those that failed");
    let tier = users.stats().snapshot().tiers[0].clone();
    assert_eq!((tier.breaker_opened, &*tier.breaker), (0, "closed"));
    let calls = || puppet.sets.load(SeqCst);
    puppet.fails.store(true, SeqCst);
    let before = calls();
    users.set_many((0..50).map(|number| (number.to_string(), String::new()))).await.unwrap_err();
    assert_eq!(calls() - before, 1, "there is no use in trying the others");
}

#[tokio::test]
async fn the_tags_of_a_batch_are_looked_up_once() {
    let (text, clock) = (over_puppet("batch-of-tags"), ManualClock::new());
    let puppet = strings("batch-of-tags");
    let before = users(&text, &clock).await;
    let keys: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    for key in &keys {
        let options = SetOptions::new().tag("all").tag(format!("odd-{}", key.len() % 2));
        before.set_with(key, key.clone(), &options).await.unwrap();
    }
    let after = users(&text, &clock).await;
    puppet.gets.store(0, SeqCst);
    let found = after.get_many(&keys).await.unwrap();
    assert!(found.iter().zip(&keys).all(|(found, key)| found.as_ref() == Some(key)), "{found:?}");
    assert_eq!(puppet.gets.load(SeqCst), 12, "ten entries and two tags");
    before.invalidate_tag("all").await.unwrap();
    let again = users(&text, &clock).await;
    assert_eq!(again.get_many(&keys).await.unwrap(), vec![None; 10]);
}

/// A cache whose entries live while they are read, but in the tier for twelve seconds at most.
fn while_read(name: &str, options: &str) -> String {
    format!(
        "[caches.users]\nidle_ttl = \"10s\"\nl1.backend = \"memory\"\n{options}\n\
         [caches.users.l2]\nbackend = {{ kind = \"test.puppet\", name = \"{name}\" }}\n\
         ttl = \"12s\"\n"
    )
}

#[tokio::test]
async fn a_read_never_shortens_a_life_that_was_given_by_a_touch() {
    let (text, clock) = (while_read("awake-touch", "ttl = \"1h\""), ManualClock::new());
    let first = users(&text, &clock).await;
    first.set("a", "x".into()).await.unwrap();
    clock.advance(Duration::from_secs(9));
    assert!(first.touch("a", Duration::from_secs(3600)).await.unwrap());
    clock.advance(Duration::from_secs(1));
    assert!(users(&text, &clock).await.get("a").await.unwrap().is_some());
    clock.advance(Duration::from_secs(8));
    assert!(users(&text, &clock).await.get("a").await.unwrap().is_some(), "touched 9 s ago");
}

#[tokio::test]
async fn an_entry_that_a_load_found_unchanged_lives_as_long_as_a_new_one() {
    let options = "ttl = \"5s\"\nresilience.stale_for = \"1h\"";
    let (text, clock) = (while_read("awake-renewed", options), ManualClock::new());
    let first = users(&text, &clock).await;
    first.set("a", "x".into()).await.unwrap();
    clock.advance(Duration::from_secs(6));
    let load = |_| async { Ok::<_, String>(Loaded::not_modified()) };
    let loaded = first.get_or_load_with_context("a", LoadOptions::new(), load).await.unwrap();
    assert_eq!(loaded.as_deref(), Some("x"));
    for _ in 0..2 {
        clock.advance(Duration::from_secs(4));
        let stale = users(&text, &clock).await.get_stale("a").await.unwrap();
        assert_eq!(stale.as_deref(), Some("x"));
    }
}
