//! Rules by key at run time: which keys they hold for, in every way to store and load.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use larder::{Cache, CacheManager, ErrorKind, Format, Life, ManualClock, SetOptions};
// Links the puppets.
use larder_integration as _;

const RULES: &str = r#"
ttl = "1h"
negative_ttl = "10m"
max_value_size = "64B"
rules = [
    { match = "user:admin", ttl = "1m" },
    { match = ["user:*", "member:?"], ttl = "5m", negative_ttl = "0s", max_value_size = "8B" },
    { match = "once:*", ttl = "never", idle_ttl = "2m", resilience.single_flight = false },
    { match = "slow:*", resilience.hard_timeout = "1ms" },
]
"#;

/// A cache of each kind: memory alone, memory over another tier, and another tier alone.
fn each_kind(test: &impl AsyncFn(&Cache<String, String>, &ManualClock)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let memory = "l1.backend = { kind = \"memory\", capacity = 100 }";
    let puppet = |tier: &str, name: &str| {
        format!("{tier}.backend = {{ kind = \"test.puppet\", name = \"{name}\" }}")
    };
    // The tests run side by side, each with puppets of its own.
    static TESTS: AtomicU32 = AtomicU32::new(0);
    let number = TESTS.fetch_add(1, SeqCst);
    let kinds = [
        memory.to_owned(),
        format!("{memory}\n{}", puppet("l2", &format!("rules-below-{number}"))),
        puppet("l1", &format!("rules-alone-{number}")),
    ];
    for tiers in kinds {
        runtime.block_on(async {
            let clock = ManualClock::new();
            let text = format!("[caches.values]\n{tiers}\n{RULES}");
            let builder = CacheManager::builder().text("caches.toml", Format::Toml, &text);
            let manager = builder.clock(Arc::new(clock.clone())).build().await.unwrap();
            test(&manager.cache("values").unwrap(), &clock).await;
            manager.close().await.unwrap();
        });
    }
}

fn minutes(minutes: u64) -> Life {
    Life::For(Duration::from_secs(minutes * 60))
}

#[test]
fn the_first_rule_that_matches_a_key_counts() {
    each_kind(&async |values, _| {
        for (key, expected) in [
            ("user:admin", minutes(1)),
            ("user:42", minutes(5)),
            ("member:7", minutes(5)),
            ("member:42", minutes(60)),
            ("users", minutes(60)),
        ] {
            values.set(key, "v".to_owned()).await.unwrap();
            assert_eq!(values.ttl(key).await.unwrap(), Some(expected), "{key}");
            let loaded = format!("{key}x");
            let load = async || Ok::<_, String>("v".to_owned());
            values.get_or_load(loaded.as_str(), load).await.unwrap();
        }
        let options = SetOptions::new().ttl(Duration::from_secs(7));
        values.set_with("user:42", "v".to_owned(), &options).await.unwrap();
        let life = values.ttl("user:42").await.unwrap();
        assert_eq!(life, Some(Life::For(Duration::from_secs(7))), "the call is nearer");
        assert_eq!(values.ttl("user:42x").await.unwrap(), Some(minutes(5)), "of a load too");
    });
}

#[test]
fn a_rule_says_how_long_none_is_remembered_and_how_large_a_value_may_be() {
    each_kind(&async |values, _| {
        let loads = Arc::new(AtomicU32::new(0));
        for key in ["user:1", "other", "user:1", "other"] {
            let loads = Arc::clone(&loads);
            let none = async move || {
                loads.fetch_add(1, SeqCst);
                Ok::<_, String>(None)
            };
            assert_eq!(values.get_or_load_optional(key, none).await.unwrap(), None);
        }
        assert_eq!(loads.load(SeqCst), 3, "only that of `other` is remembered");
        let long = "0123456789".to_owned();
        let refused = values.set("user:1", long.clone()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Capacity);
        values.set("other", long).await.unwrap();
    });
}

#[test]
fn a_rule_says_whether_reading_keeps_an_entry() {
    each_kind(&async |values, clock| {
        for key in ["once:1", "other"] {
            values.set(key, "v".to_owned()).await.unwrap();
        }
        for _ in 0..90 {
            clock.advance(Duration::from_secs(60));
            values.get("once:1").await.unwrap();
        }
        assert_eq!(values.get("other").await.unwrap(), None, "its hour is over");
        assert!(values.get("once:1").await.unwrap().is_some(), "it was read");
        clock.advance(Duration::from_secs(121));
        assert_eq!(values.get("once:1").await.unwrap(), None, "nobody read it");
    });
}

#[test]
fn a_rule_limits_loads_of_its_keys_only() {
    each_kind(&async |values, clock| {
        let (started, begun) = tokio::sync::oneshot::channel();
        let hang = values.clone();
        let hang = tokio::spawn(async move {
            let forever = async move || {
                started.send(()).ok();
                std::future::pending::<Result<String, String>>().await
            };
            hang.get_or_load("slow:1", forever).await
        });
        begun.await.unwrap();
        clock.advance(Duration::from_millis(2));
        let refused = hang.await.unwrap().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Timeout);
        assert!(refused.to_string().contains("1ms"), "{refused}");
    });
}
