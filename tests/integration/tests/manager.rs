//! From a config to caches, and everything that can go wrong on the way.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use larder::{CacheManager, CacheOptions, ConfigError, ErrorKind, Format, ManualClock, get_cache};
use larder_integration::strings;
use serde_json::json;

const TWO: &str = "[caches.users]\ndescription = \"who may log in\"\nbackend = \"memory\"\n\
                   [caches.orders]\nbackend = { kind = \"memory\", capacity = 10 }\n";

async fn from_toml(text: &str) -> larder::Result<CacheManager> {
    CacheManager::from_str(Format::Toml, text).await
}

#[tokio::test]
async fn a_file_of_each_format_makes_the_same_caches() {
    let dir = tempfile::tempdir().unwrap();
    let texts = [
        ("caches.toml", "[caches.users]\nttl = \"5s\"\nbackend = \"memory\"\n".to_owned()),
        ("caches.yaml", "caches:\n  users:\n    ttl: 5s\n    backend: memory\n".to_owned()),
        (
            "caches.json",
            json!({"caches": {"users": {"ttl": "5s", "backend": "memory"}}}).to_string(),
        ),
    ];
    for (name, text) in texts {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        let manager = CacheManager::from_file(&path).await.unwrap();
        assert_eq!(manager.list(), ["users"], "{name}");
        let users = manager.cache::<u64, u64>("users").unwrap();
        users.set(&1, 1).await.unwrap();
        let left = users.ttl(&1).await.unwrap().unwrap().duration().unwrap();
        assert!(left <= Duration::from_secs(5), "{name}");
    }
}

#[tokio::test]
async fn figment_environment_and_arguments_are_layers() {
    let figment =
        figment::Figment::from(("caches.users.backend", "memory")).join(("caches.users.ttl", "1h"));
    let manager = CacheManager::from_figment(figment).await.unwrap();
    assert_eq!(manager.list(), ["users"]);

    let clock = ManualClock::new();
    let manager = CacheManager::builder()
        .text("caches.toml", Format::Toml, TWO)
        .environment([("LARDER__CACHES__USERS__TTL".to_owned(), "2h".to_owned())])
        .set("caches.orders.ttl=3h")
        .clock(Arc::new(clock))
        .build()
        .await
        .unwrap();
    for (name, hours) in [("users", 2), ("orders", 3)] {
        let cache = manager.cache::<u64, u64>(name).unwrap();
        cache.set(&1, 1).await.unwrap();
        let left = cache.ttl(&1).await.unwrap().unwrap().duration();
        assert_eq!(left, Some(Duration::from_secs(hours * 3600)), "{name}");
    }
}

#[tokio::test]
async fn one_cache_has_one_pair_of_types() {
    let manager = from_toml(TWO).await.unwrap();
    let users = manager.cache::<u64, String>("users").unwrap();
    let same = manager.cache::<u64, String>("users").unwrap();
    users.set(&1, "Ada".into()).await.unwrap();
    assert_eq!(same.get(&1).await.unwrap().as_deref(), Some("Ada"));
    let error = manager.cache::<String, u64>("users").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TypeMismatch);
    let types = ["opened_with", "asked_for"].map(|key| error.context(key).unwrap());
    assert_eq!(types, ["u64 -> alloc::string::String", "alloc::string::String -> u64"]);
    let late = CacheOptions::<u64, String>::new().on_removal(|_| ());
    let error = manager.cache_with("users", late).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn an_unknown_cache_is_an_error_that_names_the_nearest() {
    let manager = from_toml(TWO).await.unwrap();
    let error = manager.cache::<u64, u64>("user").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    assert!(text.contains("did you mean `users`?") && text.contains("orders, users"), "{text}");
}

#[tokio::test]
async fn values_without_serde_stay_in_the_process() {
    struct Socket(u16);
    let text = format!(
        "{TWO}[caches.files]\nl1.backend = \"memory\"\n\
         l2.backend = {{ kind = \"test.puppet\", name = \"local\" }}\n"
    );
    let manager = from_toml(&text).await.unwrap();
    let sockets = manager.local_cache("users", CacheOptions::<u8, Arc<Socket>>::new()).unwrap();
    sockets.set(&1, Arc::new(Socket(80))).await.unwrap();
    assert_eq!(sockets.get(&1).await.unwrap().unwrap().0, 80);
    let error = manager.local_cache("files", CacheOptions::<u8, Arc<Socket>>::new()).unwrap_err();
    assert_eq!((error.kind(), error.context("tier")), (ErrorKind::Config, Some("l2")));
}

#[tokio::test]
async fn patterns_make_caches_on_demand() {
    let text = "[patterns.\"tenant-*\"]\nbackend = { kind = \"memory\", capacity = 2 }\n\
                max_instances = 2\n";
    let manager = from_toml(text).await.unwrap();
    assert!(!manager.has("tenant-1"));
    let first = manager.cache::<u64, u64>("tenant-1").unwrap();
    let second = manager.cache::<u64, u64>("tenant-2").unwrap();
    first.set(&1, 1).await.unwrap();
    assert_eq!(second.get(&1).await.unwrap(), None, "each for itself");
    assert_eq!(manager.list(), ["tenant-1", "tenant-2"]);
    let error = manager.cache::<u64, u64>("tenant-3").unwrap_err();
    assert_eq!((error.kind(), error.context("max_size")), (ErrorKind::Capacity, Some("2")));
    assert!(manager.remove("tenant-1").await.unwrap());
    manager.cache::<u64, u64>("tenant-3").unwrap();
    assert!(manager.cache::<u64, u64>("lodger-1").is_err());
}

#[tokio::test]
async fn a_pattern_may_use_a_cache_as_its_tier_and_that_one_cannot_be_removed() {
    let text = "[caches.shared]\nbackend = \"memory\"\n\
                [patterns.\"tenant-*\"]\nl1.backend = \"memory\"\nl2.cache = \"shared\"\n";
    let manager = from_toml(text).await.unwrap();
    let tenant = manager.cache::<String, u32>("tenant-1").unwrap();
    let shared = manager.cache::<String, u32>("shared").unwrap();
    tenant.set("a", 7).await.unwrap();
    assert_eq!(shared.get("a").await.unwrap(), Some(7));
    let error = manager.remove("shared").await.unwrap_err();
    assert_eq!((error.kind(), error.context("used_by")), (ErrorKind::Config, Some("tenant-1")));
    assert_eq!(shared.get("a").await.unwrap(), Some(7), "it stays");
    assert!(manager.remove("tenant-1").await.unwrap());
    assert!(manager.remove("shared").await.unwrap());
}

#[tokio::test]
async fn the_manager_lists_clears_removes_and_closes() {
    let manager = from_toml(TWO).await.unwrap();
    let users = manager.cache::<u64, u64>("users").unwrap();
    users.set(&1, 1).await.unwrap();
    users.get(&1).await.unwrap();
    assert_eq!(manager.count(), 2);
    let summary = &manager.summary()[1];
    assert_eq!((summary.name.as_str(), summary.entries), ("users", 1));
    assert_eq!(summary.description.as_deref(), Some("who may log in"));
    assert_eq!((summary.tiers.join(""), summary.hit_rate), ("l1 memory".to_owned(), Some(1.0)));
    assert_eq!(manager.summary()[0].types, None, "nobody opened it");
    assert_eq!(manager.stats("users").unwrap().snapshot().hits, 1);
    assert!(manager.stats("orders").is_none());
    manager.clear_all().await.unwrap();
    assert_eq!(users.get(&1).await.unwrap(), None);
    users.set(&2, 2).await.unwrap();
    assert!(manager.remove("users").await.unwrap());
    assert!(!manager.remove("users").await.unwrap());
    assert!(!manager.has("users"));
    assert_eq!(users.get(&2).await.unwrap_err().kind(), ErrorKind::Closed);
    let orders = manager.cache::<u64, u64>("orders").unwrap();
    manager.close().await.unwrap();
    manager.close().await.unwrap();
    assert_eq!(orders.set(&1, 1).await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn a_config_that_cannot_be_used_says_everything_at_once() {
    let text = "[caches.users]\nttl = 1800\nbackend = \"memmory\"\n";
    let error = from_toml(text).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let shown = error.to_string();
    assert!(shown.contains("error[C0205]") && shown.contains("error[C0201]"), "{shown}");
    assert!(shown.contains("<text>:2:7"), "{shown}");
    let config = error.source().unwrap().downcast_ref::<ConfigError>().unwrap();
    assert_eq!(config.diagnostics().len(), 2);
}

#[tokio::test]
async fn a_file_that_is_not_there_or_not_a_config_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let broken = dir.path().join("broken.toml");
    std::fs::write(&broken, b"[caches\xff\xfe").unwrap();
    let strange = dir.path().join("caches.ini");
    std::fs::write(&strange, "x").unwrap();
    for path in [dir.path().join("absent.toml"), broken, strange, dir.path().to_owned()] {
        let error = CacheManager::from_file(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(error.to_string().contains(&name), "{error}");
    }
}

#[tokio::test]
async fn a_build_that_fails_leaves_nothing_half_started() {
    let text = "[caches.a]\nbackend = { kind = \"test.puppet\", name = \"half-a\" }\n\
                [caches.b]\nbackend = { kind = \"test.puppet\", name = \"half-b\" }\n";
    let (a, b) = (strings("half-a"), strings("half-b"));
    b.fails_to_build.store(true, SeqCst);
    let error = from_toml(text).await.unwrap_err();
    assert_eq!((error.kind(), error.context("cache")), (ErrorKind::Plugin, Some("b")));
    assert_eq!(error.context("option"), Some("caches.b.backend"));
    assert_eq!((a.alive.load(SeqCst), b.alive.load(SeqCst)), (0, 0));
    b.fails_to_build.store(false, SeqCst);
    b.fails_to_start.store(true, SeqCst);
    assert_eq!(from_toml(text).await.unwrap_err().kind(), ErrorKind::Plugin);
    assert_eq!((a.alive.load(SeqCst), b.alive.load(SeqCst)), (0, 0));
    b.fails_to_start.store(false, SeqCst);
    let manager = from_toml(text).await.unwrap();
    assert_eq!((a.alive.load(SeqCst), b.alive.load(SeqCst)), (1, 1));
    manager.close().await.unwrap();
    assert_eq!((a.alive.load(SeqCst), b.alive.load(SeqCst)), (0, 0));
}

#[tokio::test]
async fn only_some_caches_can_be_built() {
    let text = "[caches.broken]\nbackend = { kind = \"test.puppet\", name = \"not-built\" }\n\
                [caches.below]\nbackend = \"memory\"\n\
                [caches.users]\nl1.backend = \"memory\"\nl2.cache = \"below\"\n";
    strings("not-built").fails_to_build.store(true, SeqCst);
    let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
    let manager = builder.only(["users", "no-such-cache"]).build().await.unwrap();
    assert_eq!(manager.list(), ["below", "users"]);
}

#[test]
fn a_manager_can_be_built_without_a_runtime() {
    let builder = CacheManager::builder().text("caches.toml", Format::Toml, TWO);
    let manager = builder.build_blocking().unwrap();
    let users = manager.cache::<u64, u64>("users").unwrap().blocking();
    users.set(&1, 1).unwrap();
    assert_eq!(users.get(&1).unwrap(), Some(1));
    assert!(!manager.ttl_manager().is_running());
}

#[tokio::test]
async fn two_caches_in_one_directory_are_refused_before_anything_is_built() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("shared");
    let text = format!(
        "[caches.a]\nbackend = {{ kind = \"file\", dir = '{0}' }}\n\
         [caches.b]\nbackend = {{ kind = \"file\", dir = '{0}/../shared' }}\n",
        root.display()
    );
    let error = from_toml(&text).await.unwrap_err();
    assert!(error.to_string().contains("C0404"), "{error}");
    assert!(!root.exists());
}

#[tokio::test]
async fn two_plugins_of_one_kind_are_an_error_that_names_both() {
    use larder_core::Descriptor;

    let twin = Descriptor::backend::<larder_integration::PuppetConfig>("another-crate", "9.9.9");
    let error = CacheManager::builder().plugin(twin).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    assert!(text.contains("larder-integration") && text.contains("another-crate"), "{text}");
}

#[tokio::test]
async fn get_cache_makes_a_cache_of_json_values() {
    let cache = get_cache("made-on-the-spot", "memory").await.unwrap();
    cache.set("a", json!({"b": [1, 2]})).await.unwrap();
    let again = get_cache("made-on-the-spot", "memory").await.unwrap();
    assert_eq!(again.get("a").await.unwrap(), Some(json!({"b": [1, 2]})));
    let error = get_cache("made-on-the-spot", "file").await.unwrap_err();
    assert_eq!((error.kind(), error.context("backend")), (ErrorKind::Config, Some("memory")));
    assert_eq!(get_cache("x", "no-such-backend").await.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(get_cache("../x", "file").await.unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn the_ttl_manager_frees_what_nobody_asks_for() {
    let clock = ManualClock::new();
    let text = "[caches.users]\nttl = \"10s\"\nbackend = \"memory\"";
    let manager = CacheManager::builder()
        .text("caches.toml", Format::Toml, text)
        .clock(Arc::new(clock.clone()))
        .build()
        .await
        .unwrap();
    let users = manager.cache::<u64, u64>("users").unwrap();
    users.set_many((0..100).map(|n| (n, n))).await.unwrap();
    let ttl = manager.ttl_manager();
    assert!(ttl.is_running(), "by itself inside of a runtime");
    assert_eq!(ttl.cleanup(), 0);
    clock.advance(Duration::from_secs(10));
    assert_eq!(ttl.cleanup(), 100);
    assert_eq!(users.stats().snapshot().entries, 0);

    users.set_many((0..100).map(|n| (n, n))).await.unwrap();
    clock.advance(Duration::from_secs(10));
    let own = larder::TtlManager::new(Arc::new(clock.clone()));
    own.register(&users);
    assert_eq!(own.cleanup(), 100);

    users.set_many((0..100).map(|n| (n, n))).await.unwrap();
    ttl.start(Duration::from_secs(60));
    while clock.sleepers() == 0 {
        tokio::task::yield_now().await;
    }
    clock.advance(Duration::from_secs(60));
    while users.stats().snapshot().entries > 0 {
        tokio::task::yield_now().await;
    }
    ttl.stop();
    while ttl.is_running() {
        tokio::task::yield_now().await;
    }
}
