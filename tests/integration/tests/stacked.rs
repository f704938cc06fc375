//! Several byte tiers, and caches that serve as tiers of others: what one of them missed is not
//! given a new life, and nobody waits for what can be done later.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use larder::{
    Cache, CacheManager, Format, LoadOptions, Loaded, ManualClock, ReadOptions, SetOptions, Tier,
};
use larder_core::Entry;
use larder_integration::{Strings, soon, strings, until};

type Users = Cache<String, String>;

const SECOND: Duration = Duration::from_secs(1);

/// A cache of memory over two puppets.
struct Stack {
    users: Users,
    second: Arc<Strings>,
    third: Arc<Strings>,
    clock: ManualClock,
}

async fn manager(text: &str, clock: &ManualClock) -> CacheManager {
    let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
    builder.clock(Arc::new(clock.clone())).build().await.unwrap()
}

impl Stack {
    async fn open(name: &str, clock: &ManualClock) -> Self {
        let tier =
            |n: u8| format!("l{n}.backend = {{ kind = \"test.puppet\", name = \"{name}-{n}\" }}\n");
        let text = format!(
            "[caches.users]\nttl = \"10s\"\nresilience.stale_for = \"1h\"\n\
             l1.backend = \"memory\"\n{}{}",
            tier(2),
            tier(3)
        );
        let users = manager(&text, clock).await.cache("users").unwrap();
        let [second, third] = [2, 3].map(|number| strings(&format!("{name}-{number}")));
        Self { users, second, third, clock: clock.clone() }
    }

    async fn load(&self, options: LoadOptions<String>, loaded: Loaded<String>) -> Option<String> {
        let load = |_| async { Ok::<_, String>(loaded) };
        self.users.get_or_load_with_context("a", options, load).await.unwrap()
    }

    /// The third tier has the first value of `a`, and the rest has the second one.
    async fn with_an_older_third(name: &str) -> Self {
        let stack = Self::open(name, &ManualClock::new()).await;
        stack.load(LoadOptions::new(), Loaded::new("first".to_owned())).await;
        stack.clock.advance(10 * SECOND);
        stack.third.fails.store(true, SeqCst);
        stack.load(LoadOptions::new(), Loaded::new("second".to_owned())).await;
        stack.third.fails.store(false, SeqCst);
        assert_ne!(entry(&stack.second).value, entry(&stack.third).value);
        stack
    }
}

fn entry(puppet: &Strings) -> Entry {
    puppet.entries.lock().unwrap().get("a").cloned().unwrap()
}

#[tokio::test]
async fn what_is_found_not_modified_gives_no_older_entry_a_new_life() {
    let stack = Stack::with_an_older_third("renewed").await;
    stack.clock.advance(10 * SECOND);
    let not_loading_tier = LoadOptions::from(SetOptions::new().skip(Tier::L3));
    let before = entry(&stack.third);
    let kept = stack.load(not_loading_tier, Loaded::not_modified()).await;
    assert_eq!(kept.as_deref(), Some("second"));
    assert_eq!(entry(&stack.third), before, "it was to be left out");
    assert!(entry(&stack.second).meta.soft_deadline > before.meta.soft_deadline);
    stack.clock.advance(10 * SECOND);
    stack.load(LoadOptions::new(), Loaded::not_modified()).await;
    assert_eq!(entry(&stack.third).value, entry(&stack.second).value, "it gets it whole");
}

#[tokio::test]
async fn a_touch_gives_no_older_entry_a_new_life() {
    let stack = Stack::with_an_older_third("touched").await;
    let before = entry(&stack.third);
    assert!(stack.users.touch("a", 100 * SECOND).await.unwrap());
    assert_eq!(entry(&stack.third), before);
    assert!(entry(&stack.second).meta.soft_deadline > before.meta.soft_deadline);
    // What is in memory alone says nothing about another value in the tiers.
    stack.second.entries.lock().unwrap().clear();
    stack.third.entries.lock().unwrap().values_mut().for_each(|entry| {
        entry.meta.soft_deadline = entry.meta.hard_deadline;
    });
    let before = entry(&stack.third);
    assert!(stack.users.touch("a", 200 * SECOND).await.unwrap());
    assert_eq!(entry(&stack.third), before);
    assert_eq!(stack.users.get("a").await.unwrap().as_deref(), Some("second"));
}

#[tokio::test]
async fn a_touch_waits_for_the_delete_that_came_first() {
    let stack = Stack::open("touch-turn", &ManualClock::new()).await;
    stack.users.set("a", "x".into()).await.unwrap();
    stack.third.hang_in("delete");
    let delete = tokio::spawn({
        let users = stack.users.clone();
        async move { users.delete("a").await }
    });
    stack.third.hangs().await;
    let touch = tokio::spawn({
        let users = stack.users.clone();
        async move { users.touch("a", SECOND).await }
    });
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    stack.third.go_on.notify_one();
    assert!(soon("the delete", delete).await.unwrap().unwrap());
    assert!(!soon("the touch", touch).await.unwrap().unwrap(), "there is nothing any more");
}

#[tokio::test]
async fn who_reads_does_not_wait_for_the_copies_in_the_tiers_above() {
    let clock = ManualClock::new();
    let stack = Stack::open("copies", &clock).await;
    stack.users.set("a", "x".into()).await.unwrap();
    let (second, calls) = (&stack.second, &stack.second.calls);
    second.entries.lock().unwrap().clear();
    second.hang_in("set");
    let reader = Stack::open("copies", &clock).await.users;
    let value = soon("the value", reader.get("a")).await.unwrap();
    assert_eq!(value.as_deref(), Some("x"));
    second.hangs().await;
    second.hang_in(None);
    second.go_on.notify_one();
    until("the copy", || second.entries.lock().unwrap().contains_key("a")).await;

    // A tier that took too long to read is not written to either.
    second.entries.lock().unwrap().clear();
    second.hang_in("get");
    let reader = Stack::open("copies", &clock).await.users;
    let slow = tokio::spawn(async move { reader.get("a").await.map(|value| (value, reader)) });
    second.hangs().await;
    calls.lock().unwrap().clear();
    clock.advance(SECOND);
    let (value, reader) = soon("the value", slow).await.unwrap().unwrap();
    assert_eq!(value.as_deref(), Some("x"));
    until("the end of it", || reader.stats().snapshot().tiers[1].skipped == 1).await;
    assert!(calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_cache_that_serves_as_a_tier_hides_what_it_could_not_remove() {
    for knows_versions in [false, true] {
        let name = format!("below-{knows_versions}");
        let (puppet, clock) = (strings(&name), ManualClock::new());
        let text = format!(
            "[caches.shared]\nl1.backend = {{ kind = \"test.puppet\", name = \"{name}\", \
             knows_versions = {knows_versions} }}\nl1.ttl = \"5s\"\n\
             [caches.front]\nl1.backend = \"memory\"\nl2.cache = \"shared\"\n"
        );
        let manager = manager(&text, &clock).await;
        let [front, shared]: [Users; 2] =
            ["front", "shared"].map(|name| manager.cache(name).unwrap());
        let below = ReadOptions::new().skip(Tier::L1);
        let pending = |cache: &Users| cache.stats().snapshot().tiers.last().unwrap().pending;
        front.set("a", "old".into()).await.unwrap();
        puppet.fails.store(true, SeqCst);
        shared.delete("a").await.unwrap();
        puppet.fails.store(false, SeqCst);
        assert_eq!(front.get_with("a", &below).await.unwrap(), None, "deleted below");
        assert!(!front.touch("b", SECOND).await.unwrap());
        assert_eq!(pending(&shared), 1);
        clock.advance(Duration::from_millis(1));
        front.set("a", "new".into()).await.unwrap();
        assert_eq!(pending(&shared), 0, "the tier has it from above");
        assert_eq!(front.get_with("a", &below).await.unwrap().as_deref(), Some("new"));
        let end = larder::Clock::wall(&clock).after(5 * SECOND);
        assert_eq!(
            entry(&puppet).meta.hard_deadline,
            Some(end),
            "no longer than its tier keeps it"
        );

        puppet.fails.store(true, SeqCst);
        front.set("a", "newest".into()).await.unwrap();
        puppet.fails.store(false, SeqCst);
        assert_eq!(shared.get("a").await.unwrap(), None, "not the one before");
    }
}
