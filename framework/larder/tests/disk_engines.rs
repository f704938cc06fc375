//! The backends behind features, as a config makes them and an application uses them.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use std::path::Path;

use larder::{CacheManager, Format};

async fn manager(dir: &Path, backend: &str) -> CacheManager {
    let dir = dir.display();
    let text = format!(
        "version = 1\n\
         [caches.users]\n\
         l1.backend = {{ kind = \"memory\", capacity = 10 }}\n\
         l2.backend = {{ dir = \"{dir}/users\", {backend} }}\n"
    );
    CacheManager::builder().text("caches.toml", Format::Toml, text).build().await.unwrap()
}

async fn outlive_a_restart(backend: &str) {
    let outer = tempfile::tempdir().unwrap();
    let caches = manager(outer.path(), backend).await;
    let users = caches.cache::<u64, String>("users").unwrap();
    for id in 0..100 {
        users.set(&id, format!("user {id}")).await.unwrap();
    }
    users.delete(&7).await.unwrap();
    caches.close().await.unwrap();
    let caches = manager(outer.path(), backend).await;
    let users = caches.cache::<u64, String>("users").unwrap();
    for id in 0..100 {
        let expected = (id != 7).then(|| format!("user {id}"));
        assert_eq!(users.get(&id).await.unwrap(), expected, "{backend}");
    }
    users.clear().await.unwrap();
    assert_eq!(users.get(&42).await.unwrap(), None, "{backend}");
    caches.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_foyer_outlive_a_restart() {
    outlive_a_restart("kind = \"foyer\", max_bytes = \"16MiB\"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_redb_outlive_a_restart() {
    outlive_a_restart("kind = \"redb\", durability = \"none\"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_caches_in_one_directory_are_refused() {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().display();
    let text = format!(
        "version = 1\n\
         [caches.users]\n\
         l1.backend = {{ kind = \"redb\", dir = \"{dir}/cache\" }}\n\
         [caches.orders]\n\
         l1.backend = {{ kind = \"foyer\", dir = \"{dir}/cache\", max_bytes = \"16MiB\" }}\n"
    );
    let built = CacheManager::builder().text("caches.toml", Format::Toml, text).build().await;
    let error = built.unwrap_err().to_string();
    assert!(error.contains("users") && error.contains("orders"), "{error}");
}
