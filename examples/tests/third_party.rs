//! Plugins of a third party are as good as those that come with Larder.

use std::path::Path;
use std::sync::{Arc, Mutex};

use acme_cache as _;
use larder::plugin::Slot;
use larder::{CacheManager, CacheOptions, ErrorKind, Format, Result};
use tempfile::TempDir;

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/third-party.toml");

/// The caches of the example, with the log in another place.
async fn caches(directory: &Path) -> Result<CacheManager> {
    let path = directory.join("pages.log");
    let set = format!("caches.pages.l2.backend.path={}", path.display());
    CacheManager::builder().file(CONFIG).set(set).build().await
}

#[tokio::test]
async fn entries_survive_a_restart_in_the_log() {
    let directory = TempDir::new().unwrap();
    let first = caches(directory.path()).await.unwrap();
    let pages = first.cache::<String, String>("pages").unwrap();
    pages.set("home", "welcome".to_owned()).await.unwrap();
    pages.set("gone", "bye".to_owned()).await.unwrap();
    pages.delete("gone").await.unwrap();
    first.close().await.unwrap();

    let second = caches(directory.path()).await.unwrap();
    let pages = second.cache::<String, String>("pages").unwrap();
    assert_eq!(pages.get("home").await.unwrap().as_deref(), Some("welcome"));
    assert_eq!(pages.get("gone").await.unwrap(), None);
    let tiers = pages.stats().snapshot().tiers;
    assert_eq!((tiers[1].backend.as_str(), tiers[1].hits), ("acme.log", 1));
}

/// Fills a cache of three, uses `a` and `b` once more each, but not `c`, and inserts `d`;
/// the keys that had to go, in their order. Least recently used is `a`, used only once `c`.
async fn evicted_by(policy: &str) -> Result<Vec<String>> {
    let config = format!(
        "[caches.pages]\nl1.policy = \"{policy}\"\n\
         l1.backend = {{ kind = \"memory\", capacity = 3, shards = 1 }}\n"
    );
    let caches = CacheManager::from_str(Format::Toml, &config).await?;
    let evicted = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&evicted);
    let options = CacheOptions::new().on_removal(move |removed: larder::Removed<String, u8>| {
        log.lock().expect("nothing panicked").push(removed.key)
    });
    let pages = caches.cache_with::<String, u8>("pages", options)?;
    pages.set("a", 1).await?;
    pages.get("a").await?;
    pages.set("b", 1).await?;
    pages.get("b").await?;
    pages.set("c", 1).await?;
    pages.set("d", 1).await?;
    drop((pages, caches));
    let evicted = Arc::into_inner(evicted).expect("the listener went with the cache");
    Ok(evicted.into_inner().expect("nothing panicked"))
}

#[tokio::test]
async fn the_policy_evicts_what_was_used_once_where_lru_evicts_what_is_oldest() {
    assert_eq!(evicted_by("acme.lru-k").await.unwrap(), ["c"]);
    assert_eq!(evicted_by("lru").await.unwrap(), ["a"]);
}

#[tokio::test]
async fn a_typo_in_an_option_of_the_plugin_is_reported_with_line_and_column() {
    let text =
        "[caches.pages.l1.backend]\nkind = \"acme.log\"\npath = \"p.log\"\nmax_byte = \"1MiB\"\n";
    let error = CacheManager::from_str(Format::Toml, text).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let message = error.to_string();
    assert!(message.contains(":4:1"), "{message}");
    assert!(message.contains("did you mean `max_bytes`"), "{message}");
}

#[tokio::test]
async fn what_only_the_plugin_knows_to_be_wrong_is_reported_with_its_place() {
    let text =
        "[caches.pages]\nl1.backend = \"memory\"\nl1.policy = { kind = \"acme.lru-k\", k = 9 }\n";
    let error = CacheManager::from_str(Format::Toml, text).await.unwrap_err();
    let message = error.to_string();
    assert!(message.contains(":3:"), "{message}");
    assert!(message.contains("between 1 and 8"), "{message}");
}

#[test]
fn the_registry_knows_the_options_of_the_plugins() {
    let registry = larder::registry();
    for (slot, kind, option) in
        [(Slot::Policy, "acme.lru-k", "remembered"), (Slot::Backend, "acme.log", "max_bytes")]
    {
        let found = registry.find(slot, kind).expect("the plugin is linked");
        assert_eq!(found.descriptor.origin, "acme-cache");
        let schema = found.descriptor.factory.config().schema();
        let text = schema.pointer(&format!("/properties/{option}/description"));
        assert!(text.is_some(), "{kind} documents `{option}`: {schema:?}");
    }
}
