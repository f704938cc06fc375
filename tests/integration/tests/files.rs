//! The file backend with the rest of the framework: every policy evicts from it.

use larder::{CacheManager, Format};
use larder_core::Slot;

#[tokio::test]
async fn every_registered_policy_keeps_files_within_their_limit() {
    let registry = larder::registry();
    let policies: Vec<_> =
        registry.of_slot(Slot::Policy).map(|found| found.descriptor.kind).collect();
    assert!(policies.len() >= 17, "{policies:?}");
    let dir = tempfile::tempdir().unwrap();
    for policy in policies {
        let text = format!(
            "[caches.users]\npolicy = \"{policy}\"\n\
             backend = {{ kind = \"file\", dir = '{}', max_entries = 40 }}\n",
            dir.path().join(policy).display()
        );
        let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
        let manager = builder.build().await.unwrap();
        let users = manager.cache::<u64, String>("users").unwrap();
        for number in 0..100 {
            users.set(&number, number.to_string()).await.unwrap();
        }
        let mut left = 0;
        for number in 0..100 {
            if let Some(found) = users.get(&number).await.unwrap() {
                assert_eq!(found, number.to_string(), "{policy}");
                left += 1;
            }
        }
        assert!((36..=40).contains(&left), "{policy}: {left} entries");
        manager.close().await.unwrap();
    }
}
