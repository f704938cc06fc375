//! What the documentation promises in half a sentence.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use larder::{
    Blocking, Cache, CacheManager, CacheStats, ErrorKind, Format, Life, Lookup, ManualClock,
    MissCause, NamespacedCache, SetOptions, TtlManager,
};
use larder_integration::{strings, until};

type Users = Cache<String, String>;

async fn users(text: &str, clock: &ManualClock) -> Users {
    let text = format!("[caches.users]\n{text}");
    let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
    let manager = builder.clock(Arc::new(clock.clone())).build().await.unwrap();
    manager.cache("users").unwrap()
}

fn over_puppet(name: &str) -> String {
    format!(
        "negative_ttl = \"1m\"\nl1.backend = \"memory\"\n\
         l2.backend = {{ kind = \"test.puppet\", name = \"{name}\" }}\n"
    )
}

fn load() -> impl FnOnce() -> std::future::Ready<Result<String, String>> + Send {
    || std::future::ready(Ok("loaded".to_owned()))
}

/// Compiles only while all of this can be used on any thread.
#[test]
fn handles_and_futures_can_be_sent() {
    fn handle<T: Send + Sync + Unpin + Clone + std::fmt::Debug>() {}
    fn future<T: Send>(_: &T) {}
    handle::<Users>();
    handle::<Blocking<String, String>>();
    handle::<NamespacedCache<String>>();
    handle::<CacheManager>();
    handle::<CacheStats>();
    handle::<TtlManager>();
    let _ = |manager: &CacheManager, users: &Users, names: &NamespacedCache<String>| {
        let options = SetOptions::new();
        future(&CacheManager::from_file("caches.toml"));
        future(&manager.close());
        future(&manager.clear_all());
        future(&users.get("a"));
        future(&users.get_strict("a"));
        future(&users.get_many(["a"]));
        future(&users.set_with("a", String::new(), &options));
        future(&users.set_many([("a".to_owned(), String::new())]));
        future(&users.delete("a"));
        future(&users.delete_pattern("a"));
        future(&users.touch("a", Life::Never));
        future(&users.ttl("a"));
        future(&users.exists("a"));
        future(&users.keys("a"));
        future(&users.clear());
        future(&users.invalidate_tag("a"));
        future(&users.get_or_load("a", load()));
        future(&names.get_or_load("a", load()));
        future(&names.set("a", String::new()));
    };
}

#[tokio::test]
async fn tags_and_namespaces_work_while_their_tier_is_down() {
    let puppet = strings("tags-down");
    let clock = ManualClock::new();
    let text = over_puppet("tags-down");
    let before = users(&text, &clock).await;
    let tagged = SetOptions::new().tag("t");
    puppet.fails.store(true, SeqCst);
    before.set_with("a", "x".into(), &tagged).await.unwrap();
    assert_eq!(before.get("a").await.unwrap().as_deref(), Some("x"), "from the store");
    let namespace = before.namespace("eu").unwrap();
    assert_eq!(namespace.get_or_load("b", load()).await.unwrap(), "loaded");
    before.invalidate_tag("t").await.unwrap();
    assert_eq!(before.get("a").await.unwrap(), None, "invalidated here");
    puppet.fails.store(false, SeqCst);
    until("the replay", || {
        clock.advance(Duration::from_secs(1));
        before.stats().snapshot().tiers[1].pending == 0
    })
    .await;
    before.set_with("a", "y".into(), &tagged).await.unwrap();
    let after = users(&text, &clock).await;
    assert_eq!(after.get("a").await.unwrap().as_deref(), Some("y"), "the marker was made");
}

#[tokio::test]
async fn a_marker_that_a_tier_lost_is_made_anew() {
    let puppet = strings("marker");
    let clock = ManualClock::new();
    let text = over_puppet("marker");
    let tagged = SetOptions::new().tag("t");
    let before = users(&text, &clock).await;
    before.set_with("a", "old".into(), &tagged).await.unwrap();
    puppet.entries.lock().unwrap().retain(|key, _| !key.contains("tag:"));
    let after = users(&text, &clock).await;
    assert_eq!(after.lookup("a").await.unwrap(), Lookup::Miss(MissCause::Tag));
    after.set_with("a", "new".into(), &tagged).await.unwrap();
    let later = users(&text, &clock).await;
    assert_eq!(later.get("a").await.unwrap().as_deref(), Some("new"));
    puppet.entries.lock().unwrap().retain(|key, _| !key.contains("tag:"));
    let text = "backend = { kind = \"test.puppet\", name = \"marker\" }";
    let alone = users(text, &clock).await;
    alone.set_with("a", "x".into(), &tagged).await.unwrap();
    puppet.entries.lock().unwrap().retain(|key, _| !key.contains("tag:"));
    assert_eq!(alone.get("a").await.unwrap(), None);
    alone.set_with("a", "y".into(), &tagged).await.unwrap();
    assert_eq!(alone.get("a").await.unwrap().as_deref(), Some("y"), "not lost for good");
}

#[tokio::test]
async fn asking_about_an_entry_does_not_keep_it_awake() {
    let clock = ManualClock::new();
    let text = "idle_ttl = \"10s\"\nbackend = { kind = \"test.puppet\", name = \"asked\" }";
    let users = users(text, &clock).await;
    users.set("a", "x".into()).await.unwrap();
    clock.advance(Duration::from_secs(6));
    assert!(users.exists("a").await.unwrap());
    users.ttl("a").await.unwrap();
    clock.advance(Duration::from_secs(6));
    assert!(!users.exists("a").await.unwrap());
}

#[tokio::test]
async fn a_touch_leaves_the_idle_life_and_what_cannot_be_read() {
    let clock = ManualClock::new();
    let text = format!("idle_ttl = \"10s\"\n{}", over_puppet("touched"));
    let users_1 = users(&text, &clock).await;
    let hour = Duration::from_secs(3600);
    users_1.set("a", "x".into()).await.unwrap();
    assert!(users_1.touch("a", hour).await.unwrap());
    users_1.set_negative("b").await.unwrap();
    assert!(!users_1.touch("b", hour).await.unwrap(), "there is no value");
    assert_eq!(users_1.ttl("b").await.unwrap(), None);
    users_1.set_with("c", "x".into(), &SetOptions::new().tag("t")).await.unwrap();
    users_1.invalidate_tag("t").await.unwrap();
    assert!(!users_1.touch("c", hour).await.unwrap());
    assert_eq!(users_1.ttl("c").await.unwrap(), None);
    clock.advance(Duration::from_secs(11));
    assert_eq!(users_1.get("a").await.unwrap(), None);
    assert_eq!(users(&text, &clock).await.get("a").await.unwrap(), None, "in no tier");
}

#[tokio::test]
async fn an_idle_life_can_be_switched_off_for_an_entry() {
    let clock = ManualClock::new();
    let users = users("idle_ttl = \"10s\"\nbackend = \"memory\"", &clock).await;
    let awake = SetOptions::new().idle_ttl(Life::Never);
    users.set_with("a", "x".into(), &awake).await.unwrap();
    users.set("b", "x".into()).await.unwrap();
    clock.advance(Duration::from_secs(60));
    assert_eq!(users.get("b").await.unwrap(), None);
    assert_eq!(users.get("a").await.unwrap().as_deref(), Some("x"));
}

#[tokio::test]
async fn batches_tell_the_cause_of_each_miss() {
    let puppet = strings("causes");
    let users = users(&over_puppet("causes"), &ManualClock::new()).await;
    puppet.fails.store(true, SeqCst);
    assert_eq!(users.get_many(["a", "b"]).await.unwrap(), [None, None]);
    let causes = users.stats().snapshot().miss_causes;
    assert!(causes.contains(&("tier_down".to_owned(), 2)), "{causes:?}");
}

#[tokio::test]
async fn every_call_counts_as_one_hit_or_one_miss() {
    let text = "negative_ttl = \"1m\"\nbackend = \"memory\"";
    let users = users(text, &ManualClock::new()).await;
    let namespace = users.namespace("eu").unwrap();
    namespace.get_or_load("a", load()).await.unwrap();
    let stats = users.stats().snapshot();
    assert_eq!((stats.hits, stats.misses, stats.tiers[0].misses), (0, 1, 1));
    users.set_negative("b").await.unwrap();
    users.get_or_load("b", load()).await.unwrap();
    let stats = users.stats().snapshot();
    assert_eq!((stats.hits, stats.misses, stats.negative_hits), (0, 2, 0));
}

#[tokio::test]
async fn nothing_gets_into_a_cache_that_is_closed() {
    let text = "[caches.users]\nbackend = \"memory\"";
    let manager = CacheManager::from_str(Format::Toml, text).await.unwrap();
    let users: Users = manager.cache("users").unwrap();
    let load = || async move {
        manager.close().await.unwrap();
        Ok::<_, String>("loaded".to_owned())
    };
    assert_eq!(users.get_or_load("a", load).await.unwrap(), "loaded");
    assert_eq!(users.get("a").await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn an_interval_of_nothing_does_not_stop_the_runtime() {
    let manager = TtlManager::new(Arc::new(ManualClock::new()));
    manager.start(Duration::ZERO);
    tokio::task::yield_now().await;
    manager.stop();
}
