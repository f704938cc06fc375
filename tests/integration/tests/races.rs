//! Two things at the same time, in the order that hurts.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::Arc;
use std::time::Duration;

use larder::{Cache, CacheManager, CacheOptions, Format, ManualClock, SetOptions};
use larder_integration::{Strings, strings};
use tokio::sync::oneshot;

type Users = Cache<String, String>;

async fn manager(text: &str) -> CacheManager {
    let clock = Arc::new(ManualClock::new());
    let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
    builder.clock(clock).build().await.unwrap()
}

/// A cache of memory over two puppets, `NAME-2` and `NAME-3`.
fn three_tiers(name: &str) -> String {
    let tier = |number: u8| {
        format!("l{number}.backend = {{ kind = \"test.puppet\", name = \"{name}-{number}\" }}\n")
    };
    format!("[caches.users]\nl1.backend = \"memory\"\n{}{}", tier(2), tier(3))
}

/// Such a cache whose value of `a` is in the last tier only.
async fn old_at_the_bottom(name: &str) -> (Users, Arc<Strings>, Arc<Strings>) {
    let text = three_tiers(name);
    let before: Users = manager(&text).await.cache("users").unwrap();
    before.set("a", "old".into()).await.unwrap();
    let [second, third] = [2, 3].map(|number| strings(&format!("{name}-{number}")));
    second.entries.lock().unwrap().clear();
    (manager(&text).await.cache("users").unwrap(), second, third)
}

/// Lets every other task run until it waits.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

fn get(users: &Users) -> tokio::task::JoinHandle<Option<String>> {
    let users = users.clone();
    tokio::spawn(async move { users.get("a").await.unwrap() })
}

#[tokio::test]
async fn a_copy_for_an_upper_tier_does_not_overtake_a_set() {
    let (users, second, third) = old_at_the_bottom("copy-set").await;
    second.hang_in("set");
    third.hang_in("set");
    let set = tokio::spawn({
        let users = users.clone();
        async move { users.set("a", "new".into()).await.unwrap() }
    });
    settle().await;
    let old = get(&users);
    settle().await;
    second.go_on.notify_one();
    settle().await;
    second.hang_in(None);
    second.go_on.notify_one();
    settle().await;
    third.go_on.notify_one();
    set.await.unwrap();
    assert_eq!(old.await.unwrap().as_deref(), Some("old"), "the set had not ended");
    assert_eq!(users.get("a").await.unwrap().as_deref(), Some("new"));
    let after: Users = manager(&three_tiers("copy-set")).await.cache("users").unwrap();
    assert_eq!(after.get("a").await.unwrap().as_deref(), Some("new"));
}

#[tokio::test]
async fn a_clear_leaves_no_copy_of_what_was_read_during_it() {
    let (users, second, third) = old_at_the_bottom("copy-clear").await;
    third.hang_in("clear");
    let clear = tokio::spawn({
        let users = users.clone();
        async move { users.clear().await.unwrap() }
    });
    third.hangs().await;
    get(&users).await.unwrap();
    third.go_on.notify_one();
    clear.await.unwrap();
    assert!(second.entries.lock().unwrap().is_empty());
    assert_eq!(users.get("a").await.unwrap(), None);
}

#[tokio::test]
async fn a_pattern_leaves_no_copy_of_what_was_read_during_it() {
    let (users, second, third) = old_at_the_bottom("copy-pattern").await;
    third.hang_in("delete");
    let pattern = tokio::spawn({
        let users = users.clone();
        async move { users.delete_pattern("*").await.unwrap() }
    });
    third.hangs().await;
    get(&users).await.unwrap();
    third.go_on.notify_one();
    assert_eq!(pattern.await.unwrap(), 1);
    assert!(second.entries.lock().unwrap().is_empty());
    assert_eq!(users.get("a").await.unwrap(), None);
}

#[tokio::test]
async fn a_tag_reaches_what_was_set_across_a_clear() {
    let text = "[caches.users]\nl1.backend = \"memory\"\n\
                l2.backend = { kind = \"test.puppet\", name = \"tag-clear\" }";
    let users: Users = manager(text).await.cache("users").unwrap();
    let puppet = strings("tag-clear");
    let tagged = SetOptions::new().tag("t");
    users.set_with("b", "x".into(), &tagged).await.unwrap();
    puppet.hang_in("set");
    let set = tokio::spawn({
        let (users, tagged) = (users.clone(), tagged.clone());
        async move { users.set_with("a", "x".into(), &tagged).await.unwrap() }
    });
    puppet.hangs().await;
    let clear = tokio::spawn({
        let users = users.clone();
        async move { users.clear().await.unwrap() }
    });
    settle().await;
    puppet.hang_in(None);
    puppet.go_on.notify_one();
    set.await.unwrap();
    clear.await.unwrap();
    users.invalidate_tag("t").await.unwrap();
    assert_eq!(users.get("a").await.unwrap(), None);
}

/// What a caller gets that comes after `change`, while a load of before is still under way.
async fn join_after<C, F>(change: C) -> String
where
    C: FnOnce(Users) -> F,
    F: Future<Output = ()>,
{
    let users: Users =
        manager("[caches.users]\nbackend = \"memory\"").await.cache("users").unwrap();
    let (release, gate) = oneshot::channel::<()>();
    let first = tokio::spawn({
        let users = users.clone();
        let load = move || async move {
            gate.await.unwrap();
            Ok::<_, String>("old".to_owned())
        };
        let tagged = SetOptions::new().tag("group");
        async move { users.get_or_load_with("a", tagged, load).await.unwrap() }
    });
    settle().await;
    change(users.clone()).await;
    let second = tokio::spawn({
        let users = users.clone();
        let load = || async { Ok::<_, String>("new".to_owned()) };
        async move { users.get_or_load("a", load).await.unwrap() }
    });
    settle().await;
    release.send(()).unwrap();
    assert_eq!(first.await.unwrap(), "old");
    let value = second.await.unwrap();
    let cached = users.get("a").await.unwrap();
    assert_eq!(cached.as_ref(), Some(&value), "the newer load is the one that is kept");
    value
}

#[tokio::test]
async fn who_comes_after_a_change_does_not_join_a_load_of_before() {
    assert_eq!(join_after(|_| async {}).await, "old");
    assert_eq!(join_after(|users| async move { users.clear().await.unwrap() }).await, "new");
    let delete = |users: Users| async move { users.delete("a").await.map(drop).unwrap() };
    assert_eq!(join_after(delete).await, "new");
    let tag = |users: Users| async move { users.invalidate_tag("group").await.unwrap() };
    assert_eq!(join_after(tag).await, "new");
}

#[tokio::test]
async fn a_load_is_kept_however_many_other_keys_are_written() {
    let users: Users =
        manager("[caches.users]\nbackend = \"memory\"").await.cache("users").unwrap();
    let writer = users.clone();
    let load = || async move {
        for key in 0..20_000 {
            writer.set(&key.to_string(), "x".into()).await.unwrap();
        }
        Ok::<_, String>("loaded".to_owned())
    };
    users.get_or_load("a", load).await.unwrap();
    assert_eq!(users.get("a").await.unwrap().as_deref(), Some("loaded"));
}

#[tokio::test]
async fn a_load_of_a_cache_below_is_fenced_by_the_writes_of_those_above() {
    let text = "[caches.shared]\nbackend = \"memory\"\n\
                [caches.front]\nl1.backend = \"memory\"\nl2.cache = \"shared\"\n";
    let manager = manager(text).await;
    let [front, shared] = ["front", "shared"].map(|name| manager.cache(name).unwrap());
    let writer: Users = front.clone();
    let load = || async move {
        writer.set("a", "new".into()).await.unwrap();
        Ok::<_, String>("old".to_owned())
    };
    shared.get_or_load("a", load).await.unwrap();
    assert_eq!(shared.get("a").await.unwrap().as_deref(), Some("new"));
    let writer = front.clone();
    let load = || async move {
        writer.delete("b").await.unwrap();
        Ok::<_, String>("old".to_owned())
    };
    shared.get_or_load("b", load).await.unwrap();
    assert_eq!(shared.get("b").await.unwrap(), None);
}

#[test]
fn a_listener_may_use_a_cache_with_tiers() {
    let text = "[caches.users]\nl1.backend = \"memory\"\n\
                l2.backend = { kind = \"test.puppet\", name = \"listener\" }";
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
        let manager = builder.build_blocking().unwrap();
        let handle = Arc::new(std::sync::OnceLock::<Users>::new());
        let options = CacheOptions::new().on_removal({
            let handle = Arc::clone(&handle);
            move |removed: larder::Removed<String, String>| {
                if removed.value == "first" {
                    let users = handle.get().unwrap().blocking();
                    users.set("a", "by the listener".into()).unwrap();
                }
            }
        });
        let users = manager.cache_with("users", options).unwrap();
        handle.set(users.clone()).unwrap();
        let users = users.blocking();
        users.set("a", "first".into()).unwrap();
        users.set("a", "second".into()).unwrap();
        done.send(users.get("a").unwrap()).unwrap();
    });
    let value = is_done.recv_timeout(Duration::from_secs(20)).expect("it waits for itself");
    assert_eq!(value.as_deref(), Some("by the listener"));
}

/// A key of which all have the same hash.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Alike(u8);

impl std::hash::Hash for Alike {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u8(0);
    }
}

impl larder::CacheKey for Alike {
    fn text(&self) -> std::borrow::Cow<'_, str> {
        self.0.to_string().into()
    }
}

/// A cache of memory alone, for threads.
fn in_memory<K: larder::Key, V: larder::CacheValue>() -> Cache<K, V> {
    let builder = CacheManager::builder();
    let builder = builder.text("c.toml", Format::Toml, "[caches.users]\nbackend = \"memory\"");
    let manager = builder.build_blocking().unwrap();
    manager.local_cache("users", CacheOptions::new()).unwrap()
}

#[test]
fn no_thread_gets_what_was_loaded_before_a_change_that_has_ended() {
    const CHANGES: u64 = 2_000;
    let users = in_memory::<u64, u64>().blocking();
    let database = std::sync::atomic::AtomicU64::new(0);
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let read = || {
        let value = database.load(std::sync::atomic::Ordering::Acquire);
        // Time for the value to grow old.
        std::thread::yield_now();
        Ok::<_, String>(value)
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    users.get_or_load(&1, read).unwrap();
                }
            });
        }
        for version in 1..=CHANGES {
            database.store(version, std::sync::atomic::Ordering::Release);
            match version % 64 {
                0 => users.clear().unwrap(),
                odd if odd % 2 == 1 => users.set(&1, version).unwrap(),
                _ => assert!(users.delete(&1).is_ok()),
            }
            let value = users.get_or_load(&1, read).unwrap();
            if value < version {
                is_over.store(true, std::sync::atomic::Ordering::Relaxed);
                panic!("{value} was there after the change of {version}");
            }
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_change_of_a_loader_wins_over_what_it_loads() {
    let cache = in_memory::<u64, u64>();
    let users = cache.blocking();
    let load_across = |change: &(dyn Fn() + Sync)| {
        users.clear().unwrap();
        let load = || {
            change();
            Ok::<_, String>(0)
        };
        assert_eq!(users.get_or_load(&1, load).unwrap(), 0, "the caller has what it loaded");
        users.get(&1).unwrap()
    };
    assert_eq!(load_across(&|| ()), Some(0));
    assert_eq!(load_across(&|| users.set(&2, 7).unwrap()), Some(0), "another key");
    assert_eq!(load_across(&|| users.set(&1, 7).unwrap()), Some(7));
    assert_eq!(load_across(&|| assert!(!users.delete(&1).unwrap())), None);
    assert_eq!(load_across(&|| users.clear().unwrap()), None);
    assert_eq!(load_across(&|| assert_eq!(users.delete_pattern("*").unwrap(), 0)), None);
    assert_eq!(cache.stats().snapshot().fenced, 4);
}

#[test]
fn keys_of_the_same_hash_are_loaded_side_by_side() {
    let users = in_memory::<Alike, u8>().blocking();
    let outer = users.get_or_load(&Alike(1), || {
        // Would wait for itself if it were taken for the same key.
        users.get_or_load(&Alike(2), || Ok::<_, String>(2)).map(|two| two - 1)
    });
    assert_eq!(outer.unwrap(), 1);
    assert_eq!([1, 2].map(|key| users.get(&Alike(key)).unwrap()), [Some(1), Some(2)]);
}
