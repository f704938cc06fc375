//! Statistics, and what a hit costs.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::{Cache, CacheManager, Clock, Format, ManualClock};
use larder_core::clock::{Moment, Sleep, Timestamp};

/// Counts how often it is asked.
#[derive(Debug, Default)]
struct CountingClock {
    clock: ManualClock,
    reads: AtomicU64,
}

impl Clock for CountingClock {
    fn now(&self) -> Moment {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.clock.now()
    }

    fn wall(&self) -> Timestamp {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.clock.wall()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.clock.sleep(duration)
    }
}

async fn users(text: &str, clock: Arc<dyn Clock>) -> Cache<String, Arc<str>> {
    let text = format!("[caches.users]\n{text}");
    let builder = CacheManager::builder().text("caches.toml", Format::Toml, text).clock(clock);
    builder.build().await.unwrap().cache("users").unwrap()
}

#[tokio::test]
async fn a_hit_neither_allocates_nor_reads_the_clock() {
    let clock = Arc::new(CountingClock::default());
    let policies = [
        "2q",
        "arc",
        "auto",
        "clock",
        "clock-pro",
        "fifo",
        "gdsf",
        "lfu",
        "lirs",
        "lru",
        "random",
        "s3-fifo",
        "sieve",
        "slru",
        "tinylfu",
        "ttl",
        "w-tinylfu",
    ];
    for policy in policies {
        let text = format!("backend = \"memory\"\npolicy = \"{policy}\"");
        let users = users(&text, Arc::clone(&clock) as _).await;
        users.set("a", "Ada".into()).await.unwrap();
        let blocking = users.blocking();
        // The first look-up of a thread leases it a number.
        assert!(blocking.get("a").unwrap().is_some());
        clock.reads.store(0, Ordering::SeqCst);
        let mut hits = 0;
        // More than the sketch of hot keys looks at one by one.
        let allocated = allocation_counter::measure(|| {
            for _ in 0..10_000 {
                hits += u64::from(blocking.get("a").unwrap().is_some());
            }
        });
        assert_eq!((hits, allocated.count_total), (10_000, 0), "{policy}");
        assert_eq!(clock.reads.load(Ordering::SeqCst), 0, "{policy}");
        let allocated = allocation_counter::measure(|| {
            let mut get = std::pin::pin!(users.get("a"));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(get.as_mut().poll(&mut context).is_ready(), "at the first poll");
        });
        assert_eq!(allocated.count_total, 0, "{policy}, asynchronous");
    }
    let mortal = users("backend = \"memory\"\nttl = \"1m\"", Arc::clone(&clock) as _).await;
    mortal.set("a", "Ada".into()).await.unwrap();
    clock.reads.store(0, Ordering::SeqCst);
    mortal.blocking().get("a").unwrap();
    assert_eq!(clock.reads.load(Ordering::SeqCst), 1, "a life is looked at");
}

#[tokio::test]
async fn statistics_tell_what_happened() {
    let clock = ManualClock::new();
    let text = "backend = { kind = \"memory\", capacity = 100, shards = 1 }\npolicy = \"lru\"";
    let users = users(text, Arc::new(clock.clone())).await;
    for key in 0..110 {
        users.set(&key.to_string(), "x".into()).await.unwrap();
    }
    for key in 105..110 {
        for _ in 0..=key {
            users.get(&key.to_string()).await.unwrap();
        }
    }
    users.get("9").await.unwrap();
    users.get("never").await.unwrap();
    users.delete("50").await.unwrap();
    clock.advance(Duration::from_secs(5));
    let stats = users.stats();
    let numbers = stats.snapshot();
    assert_eq!((numbers.hits, numbers.misses), (540, 2));
    assert_eq!((numbers.sets, numbers.deletes, numbers.evictions), (110, 1, 10));
    assert_eq!((numbers.entries, numbers.usage), (99, Some(0.99)));
    assert_eq!(stats.eviction_rate(), 2.0);
    let causes: Vec<_> = numbers.miss_causes.iter().filter(|(_, misses)| *misses > 0).collect();
    assert_eq!(causes, [&("cold".to_owned(), 1), &("evicted".to_owned(), 1)]);
    let hottest = stats.hottest_keys(2);
    assert_eq!(hottest, [("109".to_owned(), 110), ("108".to_owned(), 109)]);
    let text = stats.to_string();
    let expected = "users (last 5s)\n  \
                    hits        540 of 542 (99.6%)\n  \
                    misses      1 cold, 1 evicted\n  \
                    entries     99 (99.0% of the capacity)\n  \
                    removed     10 evicted, 0 expired, 1 deleted\n  \
                    loads       0 (0 failed, 0 callers waited along)\n  \
                    l1 memory   540 hits, 2 misses\n";
    assert_eq!(text, expected);
    let dict = serde_json::to_value(&numbers).unwrap();
    assert_eq!((&dict["hits"], &dict["tiers"][0]["backend"]), (&540.into(), &"memory".into()));
    stats.reset();
    let numbers = stats.snapshot();
    assert_eq!((numbers.hits, numbers.misses, numbers.evictions, numbers.entries), (0, 0, 0, 99));
}

#[tokio::test]
async fn the_hit_rate_of_a_window_forgets_what_was_before() {
    let clock = ManualClock::new();
    let users = users("backend = \"memory\"", Arc::new(clock.clone())).await;
    users.set("a", "x".into()).await.unwrap();
    for _ in 0..30 {
        users.get("a").await.unwrap();
    }
    clock.advance(Duration::from_secs(60));
    for _ in 0..10 {
        users.get("a").await.unwrap();
        users.get("b").await.unwrap();
    }
    clock.advance(Duration::from_secs(30));
    let stats = users.stats();
    assert_eq!(stats.hit_rate(), 0.8);
    // The window begins at the first miss after the minute, the first thing that was written down.
    let recent = stats.hit_rate_window(Duration::from_secs(30)).unwrap();
    assert!((0.45..=0.55).contains(&recent), "{recent}");
    assert_eq!(stats.hit_rate_window(Duration::from_secs(3600)), Some(0.8));
    clock.advance(Duration::from_secs(60));
    assert_eq!(stats.hit_rate_window(Duration::from_secs(1)), None, "nobody asked since");
}

#[tokio::test]
async fn every_look_up_counts_once_in_every_tier_it_asks() {
    let users = users("backend = \"memory\"", Arc::new(ManualClock::new())).await;
    let load = || async { Ok::<Arc<str>, String>("x".into()) };
    let none = || async { Ok::<Option<Arc<str>>, String>(None) };
    users.get("1").await.unwrap();
    users.blocking().get("1").unwrap();
    users.get_or_load("2", load).await.unwrap();
    users.get_or_load_optional("3", none).await.unwrap();
    users.blocking().get_or_load("4", || Ok::<Arc<str>, String>("x".into())).unwrap();
    users.get_many(["5", "6"]).await.unwrap();
    let stats = users.stats().snapshot();
    assert_eq!((stats.misses, stats.tiers[0].misses), (7, 7));
    users.get("2").await.unwrap();
    users.get_or_load("4", load).await.unwrap();
    let stats = users.stats().snapshot();
    assert_eq!((stats.hits, stats.tiers[0].hits, stats.misses), (2, 2, 7));
}

#[tokio::test]
async fn what_is_refused_is_neither_a_miss_nor_a_set_nor_a_load() {
    let text = "backend = { kind = \"memory\", capacity = 2, on_full = \"reject\" }";
    let users = users(text, Arc::new(ManualClock::new())).await;
    for key in ["a", "b"] {
        users.set(key, "x".into()).await.unwrap();
    }
    assert!(users.set("c", "x".into()).await.is_err());
    assert!(users.get("").await.is_err());
    assert!(users.blocking().get("").is_err());
    assert!(users.get_many([""]).await.is_err());
    let load = || Ok::<Arc<str>, String>("x".into());
    assert!(users.blocking().get_or_load("", load).is_err());
    assert!(users.get_or_load("", move || async move { load() }).await.is_err());
    let stats = users.stats().snapshot();
    assert_eq!((stats.hits, stats.misses, stats.sets, stats.loads), (0, 0, 2, 0));
    assert_eq!(stats.miss_causes.iter().map(|(_, misses)| misses).sum::<u64>(), 0);
}

#[tokio::test]
async fn a_cache_that_chooses_its_policy_tells_what_others_would_answer() {
    let text = "backend = { kind = \"memory\", capacity = 100 }";
    let users = users(text, Arc::new(ManualClock::new())).await;
    let blocking = users.blocking();
    let ask = |key: u32| {
        let key = key.to_string();
        if blocking.get(&key).unwrap().is_none() {
            blocking.set(&key, "x".into()).unwrap();
        }
    };
    (0..100).for_each(ask);
    let stats = users.stats();
    assert_eq!(stats.snapshot().estimates, None, "it was never full");
    assert!(!stats.to_string().contains("would hit"), "{stats}");
    (0..110).cycle().take(10_000).for_each(ask);
    let snapshot = stats.snapshot();
    let estimates = snapshot.estimates.as_ref().expect("it has been full");
    let policies: Vec<_> = estimates.policies.iter().map(|one| one.policy.as_str()).collect();
    assert_eq!(policies, ["lirs", "clock-pro", "w-tinylfu", "lru"]);
    assert!(estimates.policies[3].hit_ratio < 0.05, "lru and a loop: {estimates:?}");
    let sizes: Vec<_> = estimates.sizes.iter().map(|one| (one.factor, one.entries)).collect();
    assert_eq!(sizes, [(0.25, Some(25)), (0.5, Some(50)), (2.0, Some(200)), (4.0, Some(400))]);
    assert!(estimates.sizes[2].hit_ratio > 0.95, "all keys fit: {estimates:?}");
    let text = snapshot.to_string();
    assert!(text.contains("  would hit   lirs "), "{text}");
    assert!(text.contains(" (in use)"), "{text}");
    assert!(text.contains("%, 2x "), "{text}");
    let json = serde_json::to_value(&snapshot).unwrap();
    assert_eq!(json["estimates"]["sizes"][3]["entries"], 400);
}

#[tokio::test]
async fn a_cache_with_a_policy_of_its_own_estimates_other_capacities_if_it_is_told_to() {
    for (option, is_told) in [("", false), (", estimates = true", true)] {
        let text =
            format!("backend = {{ kind = \"memory\", capacity = 100{option} }}\npolicy = \"lru\"");
        let users = users(&text, Arc::new(ManualClock::new())).await;
        let blocking = users.blocking();
        for key in (0..150).cycle().take(5000).map(|key| key.to_string()) {
            if blocking.get(&key).unwrap().is_none() {
                blocking.set(&key, "x".into()).unwrap();
            }
        }
        let estimates = users.stats().snapshot().estimates;
        assert_eq!(estimates.is_some(), is_told);
        let Some(estimates) = estimates else { continue };
        assert_eq!((estimates.policy.as_str(), estimates.policies.len()), ("lru", 1));
        assert!(estimates.sizes[1].hit_ratio < 0.05, "{estimates:?}");
        assert!(estimates.sizes[2].hit_ratio > 0.95, "{estimates:?}");
    }
}
