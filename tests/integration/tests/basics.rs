//! The calls of a cache, on memory alone.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::Arc;
use std::time::Duration;

use larder::{
    Cache, CacheManager, CacheOptions, ErrorKind, Format, Life, Lookup, ManualClock, MissCause,
    SetOptions,
};

async fn caches(text: &str) -> (CacheManager, ManualClock) {
    let clock = ManualClock::new();
    let manager = CacheManager::builder()
        .text("caches.toml", Format::Toml, text)
        .clock(Arc::new(clock.clone()))
        .build()
        .await
        .unwrap();
    (manager, clock)
}

async fn users(text: &str) -> (Cache<String, String>, ManualClock) {
    let (manager, clock) = caches(text).await;
    (manager.cache("users").unwrap(), clock)
}

const MEMORY: &str = "[caches.users]\nttl = \"1m\"\nnegative_ttl = \"5s\"\nbackend = \"memory\"";

#[tokio::test]
async fn a_value_is_there_until_its_life_is_over() {
    let (users, clock) = users(MEMORY).await;
    assert_eq!(users.lookup("a").await.unwrap(), Lookup::Miss(MissCause::Cold));
    users.set("a", "Ada".into()).await.unwrap();
    assert_eq!(users.get("a").await.unwrap().as_deref(), Some("Ada"));
    assert!(users.exists("a").await.unwrap());
    assert_eq!(users.ttl("a").await.unwrap(), Some(Life::For(Duration::from_secs(60))));
    clock.advance(Duration::from_secs(60) - Duration::from_nanos(1));
    assert!(users.exists("a").await.unwrap(), "a nanosecond to live");
    clock.advance(Duration::from_nanos(1));
    assert!(!users.exists("a").await.unwrap());
    assert_eq!(users.get_strict("a").await.unwrap_err().kind(), ErrorKind::Expired);
    assert_eq!(users.get_strict("b").await.unwrap_err().kind(), ErrorKind::Key);
}

#[tokio::test]
async fn one_call_may_say_otherwise() {
    let (users, clock) = users(MEMORY).await;
    let short = SetOptions::new().ttl(Duration::from_secs(1));
    users.set_with("short", "x".into(), &short).await.unwrap();
    users.set_with("ever", "x".into(), &SetOptions::new().ttl(Life::Never)).await.unwrap();
    let idle = SetOptions::new().ttl(Life::Never).idle_ttl(Duration::from_secs(10));
    users.set_with("idle", "x".into(), &idle).await.unwrap();
    users.set_with("idler", "x".into(), &idle).await.unwrap();
    clock.advance(Duration::from_secs(9));
    assert!(!users.exists("short").await.unwrap());
    assert!(users.get("idle").await.unwrap().is_some(), "read, so it lives on");
    clock.advance(Duration::from_secs(9));
    assert!(users.get("idle").await.unwrap().is_some());
    assert_eq!(users.get("idler").await.unwrap(), None, "nobody read it for 18 s");
    clock.advance(Duration::from_secs(1_000_000));
    assert_eq!(users.ttl("ever").await.unwrap(), Some(Life::Never));
    users.set_with("ever", "y".into(), &SetOptions::new().ttl(Duration::ZERO)).await.unwrap();
    assert_eq!(users.get("ever").await.unwrap(), None, "a life of zero stores nothing");
}

#[tokio::test]
async fn touch_gives_a_new_life() {
    let (users, clock) = users(MEMORY).await;
    users.set("a", "x".into()).await.unwrap();
    clock.advance(Duration::from_secs(50));
    assert!(users.touch("a", Duration::from_secs(100)).await.unwrap());
    assert!(!users.touch("b", Duration::from_secs(100)).await.unwrap());
    clock.advance(Duration::from_secs(99));
    assert!(users.exists("a").await.unwrap());
    assert!(users.touch("a", Life::Never).await.unwrap());
    clock.advance(Duration::from_secs(1_000_000));
    assert!(users.exists("a").await.unwrap());
}

#[tokio::test]
async fn delete_clear_and_patterns_remove_what_they_name() {
    let (users, _clock) = users(MEMORY).await;
    let all = ["user:1", "user:2", "order:1", "user"];
    users.set_many(all.map(|key| (key.to_owned(), key.to_owned()))).await.unwrap();
    let found = users.get_many(["user:2", "nobody", "user"]).await.unwrap();
    assert_eq!(found, [Some("user:2".to_owned()), None, Some("user".to_owned())]);
    assert_eq!(users.delete_pattern("user:*").await.unwrap(), 2);
    assert!(users.exists("user").await.unwrap());
    assert!(users.delete("user").await.unwrap());
    assert!(!users.delete("user").await.unwrap(), "gone already");
    assert_eq!(users.delete_many(["order:1", "order:2"]).await.unwrap(), 1);
    users.set("last", "x".into()).await.unwrap();
    users.clear().await.unwrap();
    assert_eq!(users.lookup("last").await.unwrap(), Lookup::Miss(MissCause::Cleared));
    assert_eq!(users.lookup("user").await.unwrap(), Lookup::Miss(MissCause::Deleted));
}

#[tokio::test]
async fn tags_make_groups_of_entries_unusable() {
    let (users, _clock) = users(MEMORY).await;
    let of = |org: &str| SetOptions::new().tag(format!("org:{org}")).tag("user");
    users.set_with("1", "a".into(), &of("7")).await.unwrap();
    users.set_with("2", "b".into(), &of("8")).await.unwrap();
    users.set("3", "c".into()).await.unwrap();
    users.invalidate_tag("org:7").await.unwrap();
    assert_eq!(users.lookup("1").await.unwrap(), Lookup::Miss(MissCause::Tag));
    assert!(users.exists("2").await.unwrap());
    users.set_with("1", "a".into(), &of("7")).await.unwrap();
    assert!(users.exists("1").await.unwrap(), "stored after the invalidation");
    users.invalidate_tag("user").await.unwrap();
    assert_eq!(users.get_many(["1", "2", "3"]).await.unwrap(), [None, None, Some("c".into())]);
    let many = SetOptions::new().tags((0..33).map(|tag| tag.to_string()));
    let error = users.set_with("4", "d".into(), &many).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capacity);
}

#[tokio::test]
async fn a_remembered_none_is_an_answer_for_its_time() {
    let (users, clock) = users(MEMORY).await;
    users.set("a", "x".into()).await.unwrap();
    users.set_negative("a").await.unwrap();
    assert_eq!(users.lookup("a").await.unwrap(), Lookup::Negative);
    assert_eq!(users.get("a").await.unwrap(), None);
    assert!(!users.exists("a").await.unwrap());
    assert_eq!(users.stats().snapshot().negative_hits, 2);
    clock.advance(Duration::from_secs(5));
    assert_eq!(users.lookup("a").await.unwrap(), Lookup::Miss(MissCause::Expired));
    let (strict, _clock) = self::users("[caches.users]\nbackend = \"memory\"").await;
    strict.set("a", "x".into()).await.unwrap();
    strict.set_negative("a").await.unwrap();
    assert!(matches!(strict.lookup("a").await.unwrap(), Lookup::Miss(_)), "no negative_ttl");
}

#[tokio::test]
async fn keys_that_no_tier_could_keep_are_refused() {
    let (users, _clock) = users(MEMORY).await;
    for key in [String::new(), "k".repeat(1025), "\u{1}tag:0".to_owned()] {
        for outcome in [
            users.set(&key, "x".into()).await,
            users.get(&key).await.map(drop),
            users.delete(&key).await.map(drop),
            users.get_or_load(&key, || async { Ok::<_, String>("x".into()) }).await.map(drop),
        ] {
            let error = outcome.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Key, "{error}");
            assert_eq!(error.context("cache"), Some("users"));
        }
    }
    users.set(&"k".repeat(1024), "x".into()).await.unwrap();
}

#[tokio::test]
async fn a_full_cache_evicts_or_refuses_as_it_was_told() {
    let evict = "[caches.users]\nbackend = { kind = \"memory\", capacity = 3 }\npolicy = \"lru\"";
    let (users, _clock) = users(evict).await;
    for key in ["a", "b", "c"] {
        users.set(key, "x".into()).await.unwrap();
    }
    users.get("a").await.unwrap();
    users.set("d", "x".into()).await.unwrap();
    assert_eq!(users.lookup("b").await.unwrap(), Lookup::Miss(MissCause::Evicted));
    assert!(users.exists("a").await.unwrap());

    let reject = evict.replace("capacity = 3", "capacity = 3, on_full = \"reject\"");
    let (users, _clock) = self::users(&reject).await;
    for key in ["a", "b", "c"] {
        users.set(key, "x".into()).await.unwrap();
    }
    let error = users.set("d", "x".into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capacity);
    assert_eq!((error.context("max_size"), error.context("current_size")), (Some("3"), Some("3")));
    users.set("a", "replaced".into()).await.unwrap();
    assert_eq!(users.get("a").await.unwrap().as_deref(), Some("replaced"));
    assert_eq!(users.stats().snapshot().rejections, 1);
}

#[tokio::test]
async fn weights_follow_the_size_of_values() {
    let text = "[caches.users]\nbackend = { kind = \"memory\", max_bytes = \"10kB\" }";
    let (users, _clock) = users(text).await;
    for key in 0..100 {
        users.set(&key.to_string(), "x".repeat(1000)).await.unwrap();
    }
    let stats = users.stats().snapshot();
    assert!((7..=9).contains(&stats.entries), "about ten entries of 1 kB fit: {stats:?}");
    assert!(stats.weight <= 10_000);
    users.set("large", "x".repeat(5000)).await.unwrap();
    assert!(users.exists("large").await.unwrap(), "half of the budget in one entry");
    let error = users.set("huge", "x".repeat(20_000)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capacity);

    let (manager, _clock) = caches(text).await;
    let options = CacheOptions::<u64, Arc<str>>::new().weigher(|_, value| value.len() as u32 * 10);
    let weighed = manager.cache_with("users", options);
    let weighed = weighed.unwrap();
    weighed.set(&1, "x".repeat(500).into()).await.unwrap();
    assert_eq!(weighed.stats().snapshot().weight, 5000);
}

#[tokio::test]
async fn a_value_over_the_limit_is_refused_and_the_old_one_stays() {
    let text = "[caches.users]\nmax_value_size = \"1kB\"\nbackend = \"memory\"";
    let (users, _clock) = users(text).await;
    users.set("a", "small".into()).await.unwrap();
    let error = users.set("a", "x".repeat(2000)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capacity);
    assert_eq!(error.context("max_size"), Some("1000"));
    assert_eq!(users.get("a").await.unwrap().as_deref(), Some("small"));
}

#[tokio::test]
async fn a_listener_hears_why_entries_leave_and_may_use_the_cache() {
    use std::sync::{Mutex, OnceLock};

    let text = "[caches.users]\nttl = \"1m\"\nbackend = { kind = \"memory\", capacity = 2 }\n\
                policy = \"fifo\"";
    let (manager, clock) = caches(text).await;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let cache: Arc<OnceLock<Cache<String, u32>>> = Arc::default();
    let options = CacheOptions::new().on_removal({
        let (heard, cache) = (Arc::clone(&heard), Arc::clone(&cache));
        move |removed: larder::Removed<String, u32>| {
            let line = format!("{}={} {}", removed.key, removed.value, removed.reason);
            heard.lock().unwrap().push(line);
            let blocking = cache.get().unwrap().blocking();
            blocking.exists("a").unwrap();
            if removed.key == "evicted" {
                blocking.delete("a").unwrap();
            }
        }
    });
    let users = cache.get_or_init(|| manager.cache_with("users", options).unwrap());
    users.set("a", 1).await.unwrap();
    users.set("a", 2).await.unwrap();
    users.delete("a").await.unwrap();
    users.set("evicted", 3).await.unwrap();
    users.set("a", 4).await.unwrap();
    users.set("c", 5).await.unwrap();
    clock.advance(Duration::from_secs(60));
    manager.ttl_manager().cleanup();
    users.set("d", 6).await.unwrap();
    users.clear().await.unwrap();
    let expected = [
        "a=1 replaced",
        "a=2 deleted",
        "evicted=3 evicted",
        "a=4 deleted",
        "c=5 expired",
        "d=6 cleared",
    ];
    assert_eq!(*heard.lock().unwrap(), expected);
}

#[tokio::test]
async fn namespaces_keep_to_themselves() {
    let (users, _clock) = users(MEMORY).await;
    let (eu, us) = (users.namespace("eu").unwrap(), users.namespace("us").unwrap());
    let berlin = eu.namespace("berlin").unwrap();
    assert_eq!(berlin.prefix(), "eu:berlin:");
    eu.set("1", "a".into()).await.unwrap();
    us.set("1", "b".into()).await.unwrap();
    berlin.set(&1_u8, "c".into()).await.unwrap();
    users.set("1", "d".into()).await.unwrap();
    assert_eq!(eu.get("1").await.unwrap().as_deref(), Some("a"));
    berlin.clear().await.unwrap();
    assert_eq!(berlin.get(&1_u8).await.unwrap(), None);
    assert!(eu.exists("1").await.unwrap());
    berlin.set("2", "c".into()).await.unwrap();
    eu.clear().await.unwrap();
    assert!(!eu.exists("1").await.unwrap());
    assert!(!berlin.exists("2").await.unwrap(), "within the one that was cleared");
    assert_eq!(us.get("1").await.unwrap().as_deref(), Some("b"));
    assert_eq!(users.get("1").await.unwrap().as_deref(), Some("d"));
    let stats = eu.stats();
    assert_eq!((stats.hits, stats.misses, stats.sets), (1, 0, 1));
    let loaded = us.get_or_load("9", || async { Ok::<_, String>("l".into()) }).await.unwrap();
    assert_eq!(loaded, "l");
    let none = us.get_or_load_optional("8", || async { Ok::<_, String>(None) }).await;
    assert_eq!(none.unwrap(), None);
    assert_eq!(
        us.get_many(["1", "8", "9"]).await.unwrap(),
        [Some("b".into()), None, Some("l".into())]
    );
    assert!(us.touch("1", Life::Never).await.unwrap());
    assert_eq!(us.ttl("1").await.unwrap(), Some(Life::Never));
    us.clear().await.unwrap();
    let again = us.get_or_load_optional("8", || async { Ok::<_, String>(Some("n".into())) }).await;
    assert_eq!(again.unwrap().as_deref(), Some("n"), "the remembered none is cleared as well");
    for name in ["", "a:b", "\u{1}"] {
        assert_eq!(users.namespace(name).unwrap_err().kind(), ErrorKind::Key);
    }
    assert_eq!(eu.get("").await.unwrap_err().kind(), ErrorKind::Key);
}

#[test]
fn a_program_without_a_runtime_has_the_same_cache() {
    let manager = futures_block(CacheManager::from_str(Format::Toml, MEMORY)).unwrap();
    let users = manager.cache::<u64, String>("users").unwrap().blocking();
    let load = || users.get_or_load(&1, || Ok::<_, std::io::Error>("Ada".to_owned()));
    assert_eq!(load().unwrap(), "Ada");
    assert_eq!(users.get(&1).unwrap().as_deref(), Some("Ada"));
    let error = users.get_or_load(&2, || Err("no such user")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Load);
    let none = users.get_or_load_optional(&3, || Ok::<_, String>(None));
    assert_eq!(none.unwrap(), None);
    assert_eq!(users.lookup(&3).unwrap(), Lookup::Negative);
    assert!(users.delete(&1).unwrap());
    let loads = std::sync::atomic::AtomicU32::new(0);
    let barrier = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        let (barrier, users, loads) = (&barrier, &users, &loads);
        for _ in 0..8 {
            scope.spawn(move || {
                barrier.wait();
                let value = users.get_or_load(&4, || {
                    loads.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    Ok::<_, String>("once".to_owned())
                });
                assert_eq!(value.unwrap(), "once");
            });
        }
    });
    assert_eq!(loads.into_inner(), 1);
}

#[tokio::test]
async fn code_may_say_how_long_an_entry_lives() {
    let (manager, clock) = caches(MEMORY).await;
    let options = CacheOptions::new().ttl_by(|key: &String, seconds: &u64| match key.as_str() {
        "ever" => Some(Life::Never),
        "config" => None,
        _ => Some(Duration::from_secs(*seconds).into()),
    });
    let users = manager.cache_with("users", options).unwrap();
    users.set("a", 10).await.unwrap();
    users.get_or_load("b", || async { Ok::<_, String>(20) }).await.unwrap();
    users.blocking().get_or_load("c", || Ok::<_, String>(30)).unwrap();
    let said = SetOptions::new().ttl(Duration::from_secs(40));
    users.set_with("d", 1, &said).await.unwrap();
    users.set_many([("ever".to_owned(), 1), ("config".to_owned(), 1)]).await.unwrap();
    users.set("gone", 5).await.unwrap();
    users.set("gone", 0).await.unwrap();
    let mut lives = [("gone", 0), ("a", 10), ("b", 20), ("c", 30), ("d", 40), ("config", 60)];
    for (key, seconds) in &mut lives {
        let life = users.ttl(*key).await.unwrap();
        let expected = (*seconds > 0).then(|| Duration::from_secs(*seconds).into());
        assert_eq!(life, expected, "{key}");
    }
    assert_eq!(users.ttl("ever").await.unwrap(), Some(Life::Never));
    clock.advance(Duration::from_secs(20));
    assert_eq!(users.get_many(["a", "b", "c"]).await.unwrap(), [None, None, Some(30)]);
}

/// Waits without any runtime.
fn futures_block<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::yield_now();
    }
}
