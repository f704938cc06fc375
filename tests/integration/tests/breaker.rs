//! Tiers that fail or hang: how long a caller waits, and when a tier is left alone.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use larder::{
    Cache, CacheManager, Format, Lookup, ManualClock, MissCause, ReadOptions, SetOptions, Tier,
};
use larder_integration::{Strings, strings, until};

type Users = Cache<String, String>;

async fn manager(clock: &ManualClock, name: &str, more: &str) -> CacheManager {
    let text = format!(
        "[caches.users]\nl1.backend = \"memory\"\n\
         l2.backend = {{ kind = \"test.puppet\", name = \"{name}\" }}\n{more}"
    );
    let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
    builder.clock(Arc::new(clock.clone())).build().await.unwrap()
}

async fn users(clock: &ManualClock, name: &str, more: &str) -> (Users, Arc<Strings>) {
    (manager(clock, name, more).await.cache("users").unwrap(), strings(name))
}

async fn down(users: &Users, key: &str) {
    assert_eq!(users.lookup(key).await.unwrap(), Lookup::Miss(MissCause::TierDown));
}

#[tokio::test]
async fn a_tier_that_fails_is_left_alone_until_it_answers_again() {
    let clock = ManualClock::new();
    let manager = manager(&clock, "left-alone", "").await;
    let (users, puppet) =
        (manager.cache::<String, String>("users").unwrap(), strings("left-alone"));
    users.set("a", "Ada".into()).await.unwrap();
    puppet.fails.store(true, SeqCst);
    for _ in 0..20 {
        down(&users, "b").await;
    }
    assert_eq!(puppet.gets.load(SeqCst), 5, "after five it is not asked any more");
    let l2 = || users.stats().snapshot().tiers[1].clone();
    assert_eq!((l2().skipped, l2().breaker_opened, &*l2().breaker), (15, 1, "open"));
    assert_eq!(users.get("a").await.unwrap().as_deref(), Some("Ada"), "from the memory");

    clock.advance(Duration::from_secs(1));
    down(&users, "b").await;
    down(&users, "b").await;
    assert_eq!(puppet.gets.load(SeqCst), 6, "one call finds out that it still fails");
    puppet.fails.store(false, SeqCst);
    assert_eq!(manager.health("users").await.unwrap()[0].breaker, "open");
    clock.advance(Duration::from_secs(2));
    assert_eq!(users.lookup("b").await.unwrap(), Lookup::Miss(MissCause::Cold));
    assert_eq!((l2().breaker_opened, &*l2().breaker), (2, "closed"));
    assert_eq!(manager.health("users").await.unwrap()[0].breaker, "closed");
}

#[tokio::test]
async fn a_tier_that_has_come_back_is_asked_before_its_pause_is_over() {
    let clock = ManualClock::new();
    let (users, puppet) = users(&clock, "come-back", "").await;
    puppet.fails.store(true, SeqCst);
    for _ in 0..20 {
        down(&users, "a").await;
    }
    assert_eq!(puppet.gets.load(SeqCst), 5);
    puppet.comebacks.fetch_add(1, SeqCst);
    for _ in 0..20 {
        down(&users, "a").await;
    }
    assert_eq!(puppet.gets.load(SeqCst), 6, "one call each time that it says so");
    puppet.fails.store(false, SeqCst);
    down(&users, "a").await;
    puppet.comebacks.fetch_add(1, SeqCst);
    assert_eq!(users.lookup("a").await.unwrap(), Lookup::Miss(MissCause::Cold));
    assert_eq!(users.stats().snapshot().tiers[1].breaker, "closed");
}

#[tokio::test]
async fn a_tier_that_has_come_back_is_told_before_its_pause_is_over_what_it_missed() {
    let clock = ManualClock::new();
    let more = "l2.breaker = { open_for = \"1h\", max_open_for = \"1h\" }\n";
    let (users, puppet) = users(&clock, "told-back", more).await;
    users.set("a", "old".into()).await.unwrap();
    puppet.fails.store(true, SeqCst);
    for _ in 0..5 {
        users.set("a", "new".into()).await.unwrap();
    }
    let l2 = || users.stats().snapshot().tiers[1].clone();
    assert_eq!((&*l2().breaker, l2().pending), ("open", 1));
    puppet.fails.store(false, SeqCst);
    puppet.comebacks.fetch_add(1, SeqCst);
    until("the delivery", || {
        clock.advance(Duration::from_millis(100));
        l2().pending == 0
    })
    .await;
    assert_eq!(l2().breaker, "closed");
    assert!(!puppet.entries.lock().unwrap().contains_key("a"), "what it had was old");
}

#[tokio::test]
async fn a_tier_that_hangs_costs_each_caller_its_limit_and_then_nothing() {
    let clock = ManualClock::new();
    let (users, puppet) = users(&clock, "hangs", "l2.timeout = \"300ms\"\n").await;
    puppet.hang_in("get");
    for _ in 0..5 {
        let get = tokio::spawn({
            let users = users.clone();
            async move { users.lookup("a").await }
        });
        puppet.hangs().await;
        clock.advance(Duration::from_millis(299));
        tokio::task::yield_now().await;
        assert!(!get.is_finished());
        clock.advance(Duration::from_millis(1));
        assert_eq!(get.await.unwrap().unwrap(), Lookup::Miss(MissCause::TierDown));
    }
    let before = puppet.gets.load(SeqCst);
    down(&users, "a").await;
    let tier = users.stats().snapshot().tiers[1].clone();
    assert_eq!((tier.timeouts, tier.failures, tier.skipped), (5, 5, 1));
    assert_eq!(puppet.gets.load(SeqCst), before);
}

#[tokio::test]
async fn a_write_is_waited_for_no_longer_than_a_read() {
    let clock = ManualClock::new();
    let (users, puppet) = users(&clock, "slow-write", "l2.timeout = \"300ms\"\n").await;
    puppet.hang_in("set");
    let set = tokio::spawn({
        let users = users.clone();
        async move { users.set("a", "Ada".into()).await }
    });
    puppet.hangs().await;
    clock.advance(Duration::from_millis(300));
    set.await.unwrap().unwrap();
    assert_eq!(users.get("a").await.unwrap().as_deref(), Some("Ada"), "the memory has it");
}

#[tokio::test]
async fn a_load_waits_once_for_a_tier_that_hangs_and_not_again_to_write() {
    let clock = ManualClock::new();
    let (users, puppet) = users(&clock, "hangs-twice", "l2.timeout = \"300ms\"\n").await;
    puppet.hang_in("get");
    let load = tokio::spawn({
        let users = users.clone();
        async move { users.get_or_load("a", || async { Ok::<_, String>("1".into()) }).await }
    });
    puppet.hangs().await;
    clock.advance(Duration::from_millis(300));
    assert_eq!(load.await.unwrap().unwrap(), "1");
    assert_eq!(puppet.sets.load(SeqCst), 0);
    puppet.hang_in(None);
    users.get("b").await.unwrap();
    users.get_or_load("c", || async { Ok::<_, String>("1".into()) }).await.unwrap();
    assert_eq!(puppet.sets.load(SeqCst), 1, "it answers again");
}

#[tokio::test]
async fn little_time_is_spent_on_a_tier_while_a_stale_value_is_at_hand() {
    let clock = ManualClock::new();
    let more = "l2.soft_timeout = \"50ms\"\nl2.timeout = \"10s\"\nttl = \"1m\"\n\
                resilience.stale_for = \"1h\"\n";
    let (users, puppet) = users(&clock, "soon", more).await;
    users.set("a", "old".into()).await.unwrap();
    clock.advance(Duration::from_secs(61));
    puppet.hang_in("get");
    let (started, has_started) = tokio::sync::oneshot::channel();
    let load = tokio::spawn({
        let users = users.clone();
        let loader = move || async move {
            started.send(()).unwrap();
            Ok::<_, String>("new".into())
        };
        async move { users.get_or_load("a", loader).await }
    });
    puppet.hangs().await;
    clock.advance(Duration::from_millis(50));
    has_started.await.unwrap();
    assert_eq!(load.await.unwrap().unwrap(), "new");
    let tier = users.stats().snapshot().tiers[1].clone();
    assert_eq!((tier.timeouts, &*tier.breaker), (1, "closed"));
}

#[tokio::test]
async fn the_config_says_when_the_breaker_opens_and_whether_there_is_one() {
    let clock = ManualClock::new();
    let off = users(&clock, "no-breaker", "l2.breaker = false\n").await;
    let early = "l2.breaker = { failures = 2, open_for = \"10s\", max_open_for = \"10s\" }\n";
    let early = users(&clock, "early-breaker", early).await;
    for ((users, puppet), asked) in [(&off, 30), (&early, 2)] {
        puppet.fails.store(true, SeqCst);
        for _ in 0..30 {
            down(users, "a").await;
        }
        assert_eq!(puppet.gets.load(SeqCst), asked);
    }
    assert_eq!(off.0.stats().snapshot().tiers[1].breaker, "off");
    clock.advance(Duration::from_secs(4));
    down(&early.0, "a").await;
    assert_eq!(early.1.gets.load(SeqCst), 2, "half of the ten seconds at least");
    clock.advance(Duration::from_secs(6));
    down(&early.0, "a").await;
    assert_eq!(early.1.gets.load(SeqCst), 3);
}

#[tokio::test]
async fn each_tier_can_be_left_out_of_a_read_or_a_write_and_nothing_else_changes() {
    let clock = ManualClock::new();
    let (users, puppet) = users(&clock, "left-out", "").await;
    let in_l2 = || puppet.entries.lock().unwrap().contains_key("a");
    let past = |tier| ReadOptions::new().skip(tier);
    let value = |text: &str| Some(text.to_owned());

    users.set_with("a", "1".into(), &SetOptions::new().skip(Tier::L2)).await.unwrap();
    assert!(!in_l2());
    assert_eq!(users.get("a").await.unwrap(), value("1"));
    assert_eq!(users.get_with("a", &past(Tier::L1)).await.unwrap(), None, "it is not in l2");
    assert_eq!(users.get("a").await.unwrap(), value("1"), "that changed nothing");

    users.set_with("a", "2".into(), &SetOptions::new().skip(Tier::L1)).await.unwrap();
    assert!(in_l2());
    assert_eq!(users.get_with("a", &past(Tier::L2)).await.unwrap(), None, "l1 was emptied of it");
    let unfilled = ReadOptions::new().no_fill(Tier::L1);
    assert_eq!(users.get_with("a", &unfilled).await.unwrap(), value("2"));
    assert_eq!(users.get_with("a", &past(Tier::L2)).await.unwrap(), None, "l1 was not filled");
    assert_eq!(users.get_with("a", &past(Tier::L1)).await.unwrap(), value("2"));
    assert_eq!(users.get_with("a", &past(Tier::L2)).await.unwrap(), value("2"), "filled by that");

    let load = || async { Ok::<_, String>("3".into()) };
    let only_l1 = SetOptions::new().skip(Tier::L2);
    users.get_or_load_with("b", only_l1, load).await.unwrap();
    assert_eq!(users.get_with("b", &past(Tier::L2)).await.unwrap(), value("3"));
    assert!(!puppet.entries.lock().unwrap().contains_key("b"));
    let only_l2 = SetOptions::new().skip(Tier::L1);
    users.get_or_load_with("c", only_l2, load).await.unwrap();
    assert_eq!(users.get_with("c", &past(Tier::L2)).await.unwrap(), None);
    assert_eq!(users.get("c").await.unwrap(), value("3"));
}

#[tokio::test]
async fn a_write_that_leaves_the_memory_out_fails_when_no_tier_takes_it() {
    let (users, puppet) = users(&ManualClock::new(), "nowhere", "").await;
    puppet.fails.store(true, SeqCst);
    let skip = SetOptions::new().skip(Tier::L1);
    users.set_with("a", "Ada".into(), &skip).await.unwrap_err();
    users.set("a", "Ada".into()).await.unwrap();
    assert_eq!(users.stats().snapshot().sets, 1, "the one that is in the memory");
}

#[tokio::test]
async fn a_tier_in_the_middle_that_fails_hides_nothing_below_it() {
    let clock = ManualClock::new();
    let below = "l3.backend = { kind = \"test.puppet\", name = \"below\" }\n";
    let (users, middle) = users(&clock, "middle", below).await;
    users.set_with("a", "Ada".into(), &SetOptions::new().skip(Tier::L1)).await.unwrap();
    middle.fails.store(true, SeqCst);
    let (past_l1, l3) = (ReadOptions::new().no_fill(Tier::L1), strings("below"));
    for _ in 0..8 {
        assert_eq!(users.get_with("a", &past_l1).await.unwrap().as_deref(), Some("Ada"));
    }
    assert_eq!((middle.gets.load(SeqCst), l3.gets.load(SeqCst)), (5, 8));
    users.set("a", "Bob".into()).await.unwrap();
    middle.fails.store(false, SeqCst);
    until("the replay", || {
        clock.advance(Duration::from_secs(1));
        users.stats().snapshot().tiers[1].pending == 0
    })
    .await;
    assert!(!middle.entries.lock().unwrap().contains_key("a"), "what it had was old");
    let answer = users.get_with("a", &ReadOptions::new().skip(Tier::L1)).await.unwrap();
    assert_eq!(answer.as_deref(), Some("Bob"));
    until("the copy", || middle.entries.lock().unwrap().contains_key("a")).await;
    let filled = middle.entries.lock().unwrap().get("a").cloned().unwrap();
    assert_eq!(filled, l3.entries.lock().unwrap()["a"], "filled from below, with that life");
}

#[tokio::test]
async fn reading_an_entry_never_makes_a_tier_keep_it_past_its_own_ttl() {
    let clock = ManualClock::new();
    let text = "idle_ttl = \"40s\"\nl2.ttl = \"1m\"\n";
    let text = format!(
        "[caches.users]\n{text}l1.backend = \"memory\"\n\
         l2.backend = {{ kind = \"test.puppet\", name = \"awake\" }}\n"
    );
    let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
    let manager = builder.clock(Arc::new(clock.clone())).build().await.unwrap();
    let users = manager.cache::<String, String>("users").unwrap();
    users.set("a", "Ada".into()).await.unwrap();
    let past_l1 = ReadOptions::new().skip(Tier::L1);
    for _ in 0..2 {
        clock.advance(Duration::from_secs(29));
        assert!(users.get_with("a", &past_l1).await.unwrap().is_some(), "read in time");
    }
    clock.advance(Duration::from_secs(3));
    assert_eq!(users.get_with("a", &past_l1).await.unwrap(), None, "l2.ttl is a minute");
}
