//! Reads that the first tier settles alone. Where it answers at once they take no future, no timer
//! and no memory, and they keep every rule that those keep which have to wait.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use larder::{Cache, CacheManager, Format, MissCause, SetOptions};
use larder_core::ManualClock;
use larder_integration::{Strings, strings, until};

struct Setup {
    cache: Cache<String, u64>,
    puppet: Arc<Strings>,
    clock: ManualClock,
}

/// A cache over a puppet of this name that answers at once.
async fn setup(name: &str, config: &str) -> Setup {
    let clock = ManualClock::new();
    let text = format!("[caches.it]\n{}", config.replace("PUPPET", &quick(name)));
    let builder = CacheManager::builder().text("it.toml", Format::Toml, text);
    let manager = builder.clock(Arc::new(clock.clone())).build().await.unwrap();
    let puppet = strings(name);
    puppet.is_quick.store(true, Ordering::SeqCst);
    Setup { cache: manager.cache("it").unwrap(), puppet, clock }
}

fn quick(name: &str) -> String {
    format!("{{ kind = \"test.puppet\", name = \"{name}\" }}")
}

impl Setup {
    /// The value of the key, if it is there at the first poll.
    fn at_once(&self) -> Option<Option<u64>> {
        let mut get = std::pin::pin!(self.cache.get("a"));
        match get.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(found) => Some(found.unwrap()),
            Poll::Pending => None,
        }
    }

    fn slow_gets(&self) -> u64 {
        self.puppet.gets.load(Ordering::SeqCst)
    }

    fn quick_gets(&self) -> u64 {
        self.puppet.quick_gets.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_hit_at_once_takes_no_memory_and_no_timer() {
    let setup = setup("quick memory", "backend = PUPPET").await;
    setup.cache.set("a", 7).await.unwrap();
    // The first clone of the value makes a count of who has it.
    assert_eq!(setup.at_once(), Some(Some(7)));
    let counted = allocation_counter::measure(|| {
        assert_eq!(setup.at_once(), Some(Some(7)));
    });
    assert_eq!(counted.count_total, 0);
    assert_eq!((setup.slow_gets(), setup.clock.sleepers()), (0, 0));
    let stats = setup.cache.stats().snapshot();
    assert_eq!((stats.hits, stats.tiers[0].hits), (2, 2));
}

#[tokio::test]
async fn a_miss_at_once_is_one_and_is_counted() {
    let setup = setup("quick miss", "backend = PUPPET").await;
    assert_eq!(setup.at_once(), Some(None));
    let stats = setup.cache.stats().snapshot();
    assert_eq!((stats.misses, stats.tiers[0].misses), (1, 1));
    assert_eq!((setup.slow_gets(), setup.quick_gets()), (0, 1));
}

#[tokio::test]
async fn what_is_not_in_the_first_tier_is_asked_of_the_next() {
    let below = strings("quick below");
    let l2 = "l2 = { backend = { kind = \"test.puppet\", name = \"quick below\" } }";
    let setup = setup("quick above", &format!("l1 = {{ backend = PUPPET }}\n{l2}")).await;
    setup.cache.set("a", 7).await.unwrap();
    setup.puppet.entries.lock().unwrap().clear();
    assert_eq!(setup.cache.get("a").await.unwrap(), Some(7));
    assert_eq!((setup.quick_gets(), below.gets.load(Ordering::SeqCst)), (1, 1), "each once");
    until("it is copied into the first", || setup.puppet.entries.lock().unwrap().contains_key("a"))
        .await;
    assert_eq!(setup.at_once(), Some(Some(7)));
    assert_eq!(below.gets.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_tier_that_fails_at_once_is_left_alone_and_found_again() {
    let setup = setup("quick failure", "backend = PUPPET").await;
    setup.cache.set("a", 7).await.unwrap();
    setup.puppet.fails.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        assert_eq!(setup.at_once(), Some(None));
    }
    assert_eq!(setup.cache.get("a").await.unwrap(), None);
    assert_eq!(setup.quick_gets() + setup.slow_gets(), 5, "it is not asked any more");
    let stats = setup.cache.stats().snapshot();
    assert_eq!((stats.tiers[0].failures, stats.tiers[0].breaker_opened), (5, 1));
    setup.puppet.fails.store(false, Ordering::SeqCst);
    setup.clock.advance(Duration::from_secs(2));
    assert_eq!(setup.cache.get("a").await.unwrap(), Some(7), "the call that finds out");
    assert_eq!(setup.at_once(), Some(Some(7)));
}

#[tokio::test]
async fn an_entry_past_its_end_is_not_served_at_once() {
    let setup = setup("quick end", "backend = PUPPET\nttl = \"1m\"").await;
    setup.cache.set("a", 7).await.unwrap();
    for entry in setup.puppet.entries.lock().unwrap().values_mut() {
        entry.meta.hard_deadline = None;
    }
    setup.clock.advance(Duration::from_millis(59_999));
    assert_eq!(setup.at_once(), Some(Some(7)));
    setup.clock.advance(Duration::from_millis(1));
    let found = setup.cache.lookup("a").await.unwrap();
    assert!(matches!(found, larder::Lookup::Miss(MissCause::Expired)), "{found:?}");
}

#[tokio::test]
async fn a_tier_that_has_to_be_waited_for_is_asked_once_whatever_it_says() {
    let setup = setup("waited for once", "backend = PUPPET\nttl = \"1m\"").await;
    setup.puppet.is_quick.store(false, Ordering::SeqCst);
    assert_eq!(setup.cache.get("a").await.unwrap(), None);
    assert_eq!(setup.slow_gets(), 1);
    setup.cache.set("a", 7).await.unwrap();
    for entry in setup.puppet.entries.lock().unwrap().values_mut() {
        entry.meta.hard_deadline = None;
    }
    assert_eq!(setup.cache.get("a").await.unwrap(), Some(7));
    assert_eq!(setup.slow_gets(), 2);
    setup.clock.advance(Duration::from_secs(60));
    let found = setup.cache.lookup("a").await.unwrap();
    assert!(matches!(found, larder::Lookup::Miss(MissCause::Expired)), "{found:?}");
    assert_eq!(setup.slow_gets(), 3);
    let stats = setup.cache.stats().snapshot();
    assert_eq!((stats.hits, stats.tiers[0].hits, stats.misses), (1, 1, 2));
}

#[tokio::test]
async fn an_entry_whose_tag_was_invalidated_is_not_served_at_once() {
    let setup = setup("quick tag", "backend = PUPPET").await;
    let tagged = SetOptions::new().tags(["t"]);
    setup.cache.set_with("a", 7, &tagged).await.unwrap();
    assert_eq!(setup.cache.get("a").await.unwrap(), Some(7));
    setup.cache.invalidate_tag("t").await.unwrap();
    assert_eq!(setup.cache.get("a").await.unwrap(), None);
}

#[tokio::test]
async fn an_entry_that_makes_no_value_is_removed() {
    let setup = setup("quick garbage", "backend = PUPPET").await;
    setup.cache.set("a", 7).await.unwrap();
    for entry in setup.puppet.entries.lock().unwrap().values_mut() {
        entry.value = vec![0xc1].into();
    }
    let found = setup.cache.lookup("a").await.unwrap();
    assert!(matches!(found, larder::Lookup::Miss(MissCause::Decode)), "{found:?}");
    assert!(setup.puppet.entries.lock().unwrap().is_empty());
    let stats = setup.cache.stats().snapshot();
    assert_eq!((stats.tiers[0].undecodable, stats.hits), (1, 0));
}

#[tokio::test]
async fn a_delete_that_could_not_be_delivered_hides_what_is_there_at_once() {
    let setup = setup("quick hidden", "backend = PUPPET").await;
    setup.cache.set("a", 7).await.unwrap();
    setup.puppet.fails.store(true, Ordering::SeqCst);
    // What it says is the business of others.
    setup.cache.delete("a").await.ok();
    setup.puppet.fails.store(false, Ordering::SeqCst);
    assert_eq!(setup.cache.get("a").await.unwrap(), None);
    assert_eq!(setup.quick_gets(), 0, "what waits for its delivery is looked at first");
}
