//! Libraries in processes of their own, from a config to a cache.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "support/mod.rs"]
#[expect(dead_code, reason = "other programs of tests use the rest of it")]
mod support;

use std::time::Duration;

use larder::{Cache, CacheError, CacheManager, ErrorKind, Format, Lookup, MissCause, Result};

/// How long a test waits for what must come.
const LIMIT: Duration = Duration::from_secs(60);

/// A config with a library in a process of its own, and more.
async fn build(library: &support::Compiled, provides: &str, more: &str) -> Result<CacheManager> {
    let (path, name, runner) = (library.path(), library.name(), support::RUNNER);
    let text = format!(
        "[plugins.{name}]\nlibrary = \"{}\"\ntrust = \"path\"\nprovides = [\"{provides}\"]\n\
         isolation = \"process\"\nrunner = \"{runner}\"\n{more}",
        path.display()
    );
    CacheManager::builder().text("caches.toml", Format::Toml, text).build().await
}

#[tokio::test]
async fn a_cache_goes_on_without_a_tier_that_crashed_until_it_is_back() {
    let library = support::poisonous("tiered");
    let config = "[caches.users]\nl1.backend = \"memory\"\nl2.backend = \"acme.tiered\"\n\
                  l2.breaker = { failures = 1000 }\n";
    let manager = build(&library, "backend:acme.tiered", config).await.unwrap();
    let users = manager.cache::<String, String>("users").unwrap();
    users.set("kept", "Ada".to_owned()).await.unwrap();
    assert_eq!(users.get("abort").await.unwrap(), None, "a miss, and no error");
    assert_eq!(users.get("kept").await.unwrap().as_deref(), Some("Ada"), "from the memory");
    larder_servers::until("the tier is used again", LIMIT, async || {
        users.lookup("unknown").await.unwrap() == Lookup::Miss(MissCause::Cold)
    })
    .await;
    users.set("other", "Grace".to_owned()).await.unwrap();
    manager.close().await.unwrap();
}

/// A cache in files whose values a library in a process of its own writes, and wraps.
async fn coded(
    library: &support::Compiled,
    folder: &tempfile::TempDir,
) -> (CacheManager, Cache<String, String>) {
    let name = library.name();
    let config = format!(
        "[caches.users]\nbackend = {{ kind = \"file\", dir = {:?} }}\n\
         serializer = {{ kind = \"acme.{name}\", encode = \"acme.{name}-wrapper\" }}\n",
        folder.path()
    );
    let provides = format!("serializer:acme.{name}\", \"wrapper:acme.{name}-wrapper");
    let manager = build(library, &provides, &config).await;
    let manager = manager.unwrap_or_else(|error| panic!("{error}"));
    let users = manager.cache("users").unwrap();
    (manager, users)
}

#[tokio::test]
async fn a_serializer_that_dies_costs_a_write_and_a_while_of_misses() {
    let (library, folder) = (support::codec("fragile"), tempfile::tempdir().unwrap());
    let (manager, users) = coded(&library, &folder).await;
    users.set("kept", "Ada".to_owned()).await.unwrap();
    assert_eq!(users.get("kept").await.unwrap().as_deref(), Some("Ada"));
    let error = users.set("other", "abort".to_owned()).await.unwrap_err().to_string();
    for part in ["the process of the plugin ended", "SIGABRT", "fragile", "serialize"] {
        assert!(error.contains(part), "no {part} in {error}");
    }
    // It is down: a miss, and the entry stays.
    assert_eq!(users.lookup("kept").await.unwrap(), Lookup::Miss(MissCause::Decode));
    larder_servers::until("it is read again", LIMIT, async || {
        users.get("kept").await.unwrap().as_deref() == Some("Ada")
    })
    .await;
    users.set("other", "Grace".to_owned()).await.unwrap();
    assert_eq!(users.get("other").await.unwrap().as_deref(), Some("Grace"));
    manager.close().await.unwrap();
}

#[tokio::test]
async fn an_entry_that_ends_its_serializer_is_dropped() {
    let (library, folder) = (support::codec("trapped"), tempfile::tempdir().unwrap());
    let (manager, users) = coded(&library, &folder).await;
    users.set("bad", "trap".to_owned()).await.unwrap();
    assert_eq!(users.lookup("bad").await.unwrap(), Lookup::Miss(MissCause::Decode));
    assert_eq!(users.lookup("bad").await.unwrap(), Lookup::Miss(MissCause::Cold));
    larder_servers::until("it writes again", LIMIT, async || {
        users.set("bad", "well".to_owned()).await.is_ok()
    })
    .await;
    assert_eq!(users.get("bad").await.unwrap().as_deref(), Some("well"));
    manager.close().await.unwrap();
}

#[tokio::test]
async fn a_serializer_that_hangs_is_killed_and_started_again() {
    let (library, folder) = (support::codec("hung"), tempfile::tempdir().unwrap());
    let (manager, users) = coded(&library, &folder).await;
    let error = users.set("key", "hang".to_owned()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    larder_servers::until("it writes again", LIMIT, async || {
        users.set("key", "well".to_owned()).await.is_ok()
    })
    .await;
    let loaded = users.get_or_load("new", || async { Ok::<_, CacheError>("abort".to_owned()) });
    assert_eq!(loaded.await.unwrap(), "abort", "what is not stored is returned all the same");
    manager.close().await.unwrap();
}

#[tokio::test]
async fn a_process_that_is_back_is_used_although_the_tier_is_left_alone_for_an_hour() {
    let library = support::poisonous("back");
    let config = "[caches.users.l1]\nbackend = \"acme.back\"\n\
                  breaker = { failures = 1, open_for = \"1h\", max_open_for = \"1h\" }\n";
    let manager = build(&library, "backend:acme.back", config).await.unwrap();
    let users = manager.cache::<String, String>("users").unwrap();
    assert_eq!(users.get("abort").await.unwrap(), None, "a miss, and no error");
    assert_eq!(users.stats().snapshot().tiers[0].breaker_opened, 1);
    larder_servers::until("the tier is used again", LIMIT, async || {
        users.lookup("unknown").await.unwrap() == Lookup::Miss(MissCause::Cold)
    })
    .await;
    manager.close().await.unwrap();
}

#[tokio::test]
async fn a_typo_in_the_options_is_shown_where_it_stands() {
    let library = support::poisonous("typed");
    let config = "[caches.users.l2]\nbackend = { kind = \"acme.typed\", capacty = 12 }\n";
    let error = build(&library, "backend:acme.typed", config).await.unwrap_err().to_string();
    for part in ["caches.toml:8:", "capacty", "`capacity`"] {
        assert!(error.contains(part), "no {part} in {error}");
    }
    let config = "[caches.users.l2]\nbackend = { kind = \"acme.typed\", capacity = 13 }\n";
    let error = build(&library, "backend:acme.typed", config).await.unwrap_err().to_string();
    for part in ["caches.toml:8:", "13 brings bad luck"] {
        assert!(error.contains(part), "no {part} in {error}");
    }
}

#[tokio::test]
async fn a_policy_is_refused_where_the_config_names_it() {
    let library = support::example("c-clock", "c-clock/clock.c");
    let config = "[caches.users]\nl1.backend = { kind = \"memory\", capacity = 10 }\n\
                  l1.policy = \"acme.c-clock\"\n";
    let error = build(&library, "policy:acme.c-clock", config).await.unwrap_err().to_string();
    for part in ["C0624", "caches.toml:9:", "5 | isolation", "a process of its own"] {
        assert!(error.contains(part), "no {part} in {error}");
    }
}

#[tokio::test]
async fn a_runner_that_is_not_there_is_shown_where_it_is_named() {
    let library = support::poisonous("unrun");
    let text = format!(
        "[plugins.unrun]\nlibrary = \"{}\"\ntrust = \"path\"\nprovides = [\"backend:acme.unrun\"]\n\
         isolation = \"process\"\nrunner = \"/nowhere/larder-runner\"\n",
        library.path().display()
    );
    let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
    let error = builder.build().await.unwrap_err().to_string();
    for part in ["C0623", "caches.toml:6:", "/nowhere/larder-runner", "LARDER_RUNNER"] {
        assert!(error.contains(part), "no {part} in {error}");
    }
}
