//! How much a cache holds, what must stay, and input that makes no sense.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use larder::plugin::clock::{Clock, Moment, Sleep, SystemClock, Timestamp};
use larder::plugin::policy::Capacity;
use larder::{CacheManager, CacheOptions, ErrorKind, Format, SetOptions};

const fn entries(count: u64) -> Capacity {
    Capacity { entries: Some(count), weight: None }
}

async fn caches(backend: &str) -> CacheManager {
    let text = format!("[caches.users]\nbackend = {backend}");
    CacheManager::from_str(Format::Toml, &text).await.unwrap()
}

#[tokio::test]
async fn a_cache_is_resized_while_it_runs() {
    let caches = caches("{ kind = \"memory\", capacity = 100 }").await;
    let users = caches.cache::<u64, u64>("users").unwrap();
    for key in 0..100 {
        users.set(&key, key).await.unwrap();
    }
    users.resize(entries(10)).unwrap();
    assert_eq!(users.stats().snapshot().entries, 10);
    users.resize(entries(50)).unwrap();
    for key in 200..300 {
        users.set(&key, key).await.unwrap();
    }
    let snapshot = users.stats().snapshot();
    assert_eq!((snapshot.entries, snapshot.usage), (50, Some(1.0)));
}

#[tokio::test]
async fn a_pinned_entry_is_not_evicted_until_it_is_unpinned() {
    let caches = caches("{ kind = \"memory\", capacity = 100 }").await;
    let users = caches.cache::<String, u64>("users").unwrap();
    users.set("root", 0).await.unwrap();
    assert!(users.pin("root") && !users.pin("nobody"));
    for key in 0..1000 {
        users.set(&key.to_string(), key).await.unwrap();
    }
    assert_eq!(users.get("root").await.unwrap(), Some(0));
    assert!(users.unpin("root"));
    for key in 0..1000 {
        users.set(&key.to_string(), key).await.unwrap();
    }
    assert!(users.delete("root").await.is_ok());
    assert!(!users.pin("root"));
}

#[tokio::test]
async fn what_is_in_memory_can_be_looked_through() {
    let text = "[caches.users]\nnegative_ttl = \"1m\"\nbackend = \"memory\"";
    let caches = CacheManager::from_str(Format::Toml, text).await.unwrap();
    let users = caches.cache::<u64, u64>("users").unwrap();
    for key in 0..3 {
        users.set_with(&key, key + 10, &SetOptions::new().tag("staff")).await.unwrap();
    }
    users.set(&7, 17).await.unwrap();
    let none = || async { std::io::Result::Ok(None) };
    assert_eq!(users.get_or_load_optional(&8, none).await.unwrap(), None);
    let mut entries = users.in_memory();
    entries.sort_unstable();
    assert_eq!(entries, [(0, 10), (1, 11), (2, 12), (7, 17)]);
    users.invalidate_tag("staff").await.unwrap();
    assert_eq!(users.in_memory(), [(7, 17)]);
}

#[tokio::test]
async fn a_cache_of_files_cannot_be_resized_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let backend = format!("{{ kind = \"file\", dir = {:?} }}", folder.path());
    let caches = caches(&backend).await;
    let users = caches.cache::<u64, u64>("users").unwrap();
    let error = users.resize(entries(10)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("`memory`"), "{error}");
    assert!(!users.pin(&1));
}

#[tokio::test]
async fn a_capacity_of_nothing_or_of_everything_is_served() {
    for capacity in [0, 1, u64::MAX] {
        let caches = caches("{ kind = \"memory\", capacity = 10 }").await;
        let users = caches.cache::<u64, u64>("users").unwrap();
        users.resize(entries(capacity)).unwrap();
        for key in 0..100 {
            // A cache without room stores nothing, or says that it is full; it never fails a read.
            let stored = users.set(&key, key).await;
            assert!(stored.is_ok() || stored.unwrap_err().kind() == ErrorKind::Capacity);
            users.get(&key).await.unwrap();
        }
        assert!(users.stats().snapshot().entries <= capacity);
    }
}

/// A key whose hashes all collide.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Colliding(String);

impl Hash for Colliding {
    fn hash<H: Hasher>(&self, state: &mut H) {
        0_u8.hash(state);
    }
}

impl larder::plugin::CacheKey for Colliding {
    fn text(&self) -> std::borrow::Cow<'_, str> {
        self.0.as_str().into()
    }
}

#[tokio::test]
async fn keys_that_all_collide_are_told_apart() {
    let caches = caches("{ kind = \"memory\", capacity = 200 }").await;
    let users = caches.cache::<Colliding, usize>("users").unwrap();
    let key = |number: usize| Colliding(number.to_string());
    for number in 0..300 {
        users.set(&key(number), number).await.unwrap();
    }
    let mut found = 0;
    for number in 0..300 {
        if let Some(value) = users.get(&key(number)).await.unwrap() {
            assert_eq!(value, number);
            found += 1;
        }
    }
    assert_eq!(found, 200);
    for number in 0..300 {
        users.delete(&key(number)).await.unwrap();
    }
    assert_eq!(users.stats().snapshot().entries, 0);
}

#[tokio::test]
async fn a_weigher_that_panics_costs_one_call_and_nothing_else() {
    let caches = caches("{ kind = \"memory\", max_bytes = \"1 KiB\" }").await;
    let is_broken = Arc::new(AtomicBool::new(false));
    let broken = Arc::clone(&is_broken);
    let options = CacheOptions::new().weigher(move |_: &u64, value: &u64| {
        assert!(!broken.load(Ordering::SeqCst), "the weigher is broken");
        u32::try_from(*value).unwrap_or(u32::MAX)
    });
    let users = caches.cache_with::<u64, u64>("users", options).unwrap();
    users.set(&1, 300).await.unwrap();
    is_broken.store(true, Ordering::SeqCst);
    let caller = {
        let users = users.clone();
        tokio::spawn(async move { users.set(&2, 300).await })
    };
    assert!(caller.await.unwrap_err().is_panic());
    is_broken.store(false, Ordering::SeqCst);
    assert_eq!(users.get(&1).await.unwrap(), Some(300));
    assert_eq!(users.get(&2).await.unwrap(), None);
    // Weights of nothing and of more than all.
    users.set(&3, 0).await.unwrap();
    assert_eq!(users.get(&3).await.unwrap(), Some(0));
    let too_heavy = users.set(&1, u64::MAX).await;
    assert!(too_heavy.is_err() || users.get(&1).await.unwrap().is_none());
    users.set(&4, 1000).await.unwrap();
    assert!(users.stats().snapshot().weight <= 1024);
}

#[tokio::test]
async fn a_listener_that_panics_costs_one_call_and_nothing_else() {
    let caches = caches("{ kind = \"memory\", capacity = 1 }").await;
    let options = CacheOptions::new().on_removal(|_: larder::Removed<u64, u64>| panic!("deaf"));
    let users = caches.cache_with::<u64, u64>("users", options).unwrap();
    users.set(&1, 1).await.unwrap();
    let caller = {
        let users = users.clone();
        tokio::spawn(async move { users.set(&2, 2).await })
    };
    assert!(caller.await.unwrap_err().is_panic());
    assert_eq!(users.get(&1).await.unwrap(), None);
    assert_eq!(users.get(&2).await.unwrap(), Some(2));
    assert_eq!(users.stats().snapshot().entries, 1);
}

/// A clock that shows what the test wants, also less than before.
#[derive(Debug)]
struct WildClock(AtomicU64);

impl Clock for WildClock {
    fn now(&self) -> Moment {
        Moment::from_nanos(self.0.load(Ordering::SeqCst))
    }

    fn wall(&self) -> Timestamp {
        Timestamp::default()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        SystemClock.sleep(duration)
    }
}

#[tokio::test]
async fn a_clock_that_goes_backwards_never_lets_an_entry_outlive_its_deadline() {
    let clock = Arc::new(WildClock(AtomicU64::new(1000)));
    let caches = CacheManager::builder()
        .text("caches.toml", Format::Toml, "[caches.users]\nbackend = \"memory\"")
        .clock(Arc::clone(&clock) as _)
        .build()
        .await
        .unwrap();
    let users = caches.cache::<u64, u64>("users").unwrap();
    for key in 0..2 {
        let options =
            SetOptions::new().ttl(Duration::from_nanos(10)).idle_ttl(Duration::from_nanos(9));
        users.set_with(&key, key, &options).await.unwrap();
    }
    clock.0.store(3, Ordering::SeqCst);
    assert_eq!(users.get(&1).await.unwrap(), Some(1), "its end is far away");
    clock.0.store(1010, Ordering::SeqCst);
    assert_eq!(users.get(&1).await.unwrap(), None);
    clock.0.store(3, Ordering::SeqCst);
    assert_eq!(users.get(&1).await.unwrap(), None, "what expired stays away");
    clock.0.store(u64::MAX, Ordering::SeqCst);
    assert_eq!(users.get(&0).await.unwrap(), None);
}
