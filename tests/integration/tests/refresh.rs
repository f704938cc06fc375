//! Loading entries again before their end.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::{Cache, CacheManager, Format, LoadOptions, ManualClock, RefreshAhead, Share};
use larder_integration::strings;
use tokio::sync::oneshot;

type Users = Cache<String, String>;

const SECOND: Duration = Duration::from_secs(1);

async fn open(text: &str, clock: &ManualClock) -> Users {
    let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
    builder.clock(Arc::new(clock.clone())).build().await.unwrap().cache("users").unwrap()
}

/// A cache of memory alone, and one of memory over a puppet, each with a value of the key `a`.
async fn each(options: &str) -> [(Users, ManualClock, String); 2] {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = format!("refresh-{}", COUNT.fetch_add(1, Ordering::SeqCst));
    let below = format!("l2.backend = {{ kind = \"test.puppet\", name = \"{name}\" }}\n");
    let with = async |below: &str| {
        let clock = ManualClock::new();
        let text =
            format!("[caches.users]\nttl = \"10s\"\nl1.backend = \"memory\"\n{below}{options}");
        let users = open(&text, &clock).await;
        assert_eq!(get(&users, "old").await, "old");
        (users, clock, text)
    };
    [with("").await, with(&below).await]
}

async fn get(users: &Users, value: &'static str) -> String {
    users.get_or_load("a", move || async move { Ok::<_, String>(value.to_owned()) }).await.unwrap()
}

async fn get_failing(users: &Users) -> String {
    users.get_or_load("a", || async { Err::<String, _>("away") }).await.unwrap()
}

/// Lets every other task run until it waits.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn refreshes(users: &Users) -> (u64, u64) {
    let stats = users.stats().snapshot().resilience;
    (stats.refreshes, stats.refresh_failures)
}

#[tokio::test]
async fn a_hit_late_in_the_life_of_an_entry_loads_it_again_behind_the_caller() {
    for (users, clock, _) in each("refresh_ahead = 0.8\n").await {
        clock.advance(8 * SECOND - Duration::from_nanos(1));
        assert_eq!(get(&users, "too early").await, "old");
        settle().await;
        assert_eq!(refreshes(&users), (0, 0));
        clock.advance(Duration::from_nanos(1));
        users.get("a").await.unwrap();
        assert_eq!(refreshes(&users), (0, 0), "a plain read has no loader");
        assert_eq!(get(&users, "new").await, "old", "nobody waits for it");
        settle().await;
        assert_eq!(users.get("a").await.unwrap().as_deref(), Some("new"));
        clock.advance(9 * SECOND);
        assert_eq!(
            users.get("a").await.unwrap().as_deref(),
            Some("new"),
            "it has a life of its own"
        );
        assert_eq!((refreshes(&users), users.stats().snapshot().misses), ((1, 0), 1));
    }
}

#[tokio::test]
async fn one_of_those_who_hit_loads() {
    for (users, clock, _) in each("refresh_ahead = 0.5\n").await {
        clock.advance(5 * SECOND);
        let (release, gate) = oneshot::channel::<()>();
        let load = move || async move {
            gate.await.unwrap();
            Ok::<_, String>("new".to_owned())
        };
        assert_eq!(users.get_or_load("a", load).await.unwrap(), "old");
        for _ in 0..100 {
            assert_eq!(get(&users, "another").await, "old");
            tokio::task::yield_now().await;
        }
        assert_eq!(refreshes(&users), (1, 0));
        clock.advance(5 * SECOND);
        let waiting = tokio::spawn({
            let users = users.clone();
            async move { get(&users, "another").await }
        });
        settle().await;
        release.send(()).unwrap();
        assert_eq!(waiting.await.unwrap(), "new", "who misses then joins it");
        assert_eq!(users.stats().snapshot().loads, 2);
    }
}

#[tokio::test]
async fn a_refresh_that_fails_is_tried_again_later_and_later() {
    for (users, clock, _) in each("refresh_ahead = 0.1\n").await {
        let mut failures = Vec::new();
        for tenth in 10..100_u64 {
            clock.advance(if tenth == 10 { SECOND } else { SECOND / 10 });
            assert_eq!(get_failing(&users).await, "old");
            settle().await;
            failures.push(refreshes(&users).1);
        }
        let total = *failures.last().unwrap();
        assert!((3..=10).contains(&total), "{failures:?}");
        assert_eq!(failures[0], 1);
        let half = failures[failures.len() / 2];
        assert!(half > total - half, "the waits grow: {failures:?}");
    }
}

#[tokio::test]
async fn what_was_refreshed_before_an_invalidation_is_not_stored_after_it() {
    for change in ["delete", "tag", "clear", "pattern"] {
        for (users, clock, _) in each("refresh_ahead = 0.5\n").await {
            clock.advance(5 * SECOND);
            let (release, gate) = oneshot::channel::<()>();
            let load = move || async move {
                gate.await.unwrap();
                Ok::<_, String>("loaded before".to_owned())
            };
            let tagged = LoadOptions::new().tag("t");
            users.get_or_load_with("a", tagged, load).await.unwrap();
            settle().await;
            match change {
                "delete" => users.delete("a").await.map(drop),
                "tag" => {
                    users.delete("a").await.unwrap();
                    users.invalidate_tag("t").await
                }
                "clear" => users.clear().await,
                _ => users.delete_pattern("*").await.map(drop),
            }
            .unwrap();
            release.send(()).unwrap();
            settle().await;
            assert_eq!(users.get_stale("a").await.unwrap(), None, "{change}");
            assert_eq!(users.stats().snapshot().fenced, 1, "{change}");
        }
    }
}

#[tokio::test]
async fn auto_begins_the_sooner_the_longer_a_load_takes() {
    for (cost, is_soon) in [(2 * SECOND, true), (Duration::from_micros(1), false)] {
        let mut begun = 0;
        for _ in 0..40 {
            let clock = ManualClock::new();
            let text =
                "[caches.users]\nttl = \"10s\"\nrefresh_ahead = \"auto\"\nbackend = \"memory\"";
            let users = open(text, &clock).await;
            let turned = clock.clone();
            let load = move || async move {
                turned.advance(cost);
                Ok::<_, String>("old".to_owned())
            };
            users.get_or_load("a", load).await.unwrap();
            clock.advance(8 * SECOND);
            get(&users, "new").await;
            begun += refreshes(&users).0;
        }
        // With four times the cost left every second draw or so is far enough.
        assert_eq!(begun > 5, is_soon, "{begun} of 40 for a load of {cost:?}");
    }
}

#[tokio::test]
async fn one_call_may_refresh_what_the_config_does_not() {
    let ahead = RefreshAhead::After(Share::new(0.5).unwrap());
    for (users, clock, _) in each("").await {
        let load = |value: &'static str| {
            let options = LoadOptions::new().refresh_ahead(ahead);
            let load = move || async move { Ok::<_, String>(value.to_owned()) };
            users.get_or_load_with("a", options, load)
        };
        clock.advance(10 * SECOND);
        assert_eq!(load("first").await.unwrap(), "first");
        clock.advance(5 * SECOND);
        assert_eq!(get(&users, "by a plain call").await, "first");
        assert_eq!(refreshes(&users), (0, 0));
        assert_eq!(load("second").await.unwrap(), "first");
        settle().await;
        assert_eq!(get(&users, "third").await, "second");
    }
}

#[tokio::test]
async fn a_refresh_takes_over_what_another_process_loaded() {
    let [_, (users, clock, text)] = each("refresh_ahead = 0.5\n").await;
    clock.advance(5 * SECOND);
    let elsewhere = open(&text, &clock).await;
    elsewhere.set("a", "theirs".into()).await.unwrap();
    assert_eq!(get(&users, "ours").await, "old");
    settle().await;
    assert_eq!(get(&users, "ours").await, "theirs");
    assert_eq!(users.stats().snapshot().loads, 1, "nothing had to be loaded");
}

#[tokio::test]
async fn a_refresh_that_a_change_of_other_keys_kept_from_taking_over_is_tried_again() {
    let (clock, puppet) = (ManualClock::new(), strings("no-take-over"));
    let text = "[caches.users]\nttl = \"10s\"\nrefresh_ahead = 0.5\nl1.backend = \"memory\"\n\
                l2.backend = { kind = \"test.puppet\", name = \"no-take-over\" }\n";
    let users = open(text, &clock).await;
    assert_eq!(get(&users, "old").await, "old");
    clock.advance(5 * SECOND);
    open(text, &clock).await.set("a", "theirs".into()).await.unwrap();
    puppet.hang_in("get");
    assert_eq!(get(&users, "ours").await, "old");
    puppet.hangs().await;
    users.delete_pattern("other*").await.unwrap();
    puppet.hang_in(None);
    puppet.go_on.notify_one();
    settle().await;
    assert_eq!(get(&users, "ours").await, "old", "the pattern came in between");
    settle().await;
    assert_eq!(get(&users, "ours").await, "theirs");
}

#[tokio::test]
async fn a_refresh_that_finds_out_that_there_is_no_value_ends_the_old_one() {
    for stale_for in ["", "resilience.stale_for = \"1m\"\n"] {
        for (users, clock, text) in each(&format!("refresh_ahead = 0.8\n{stale_for}")).await {
            clock.advance(8 * SECOND);
            let none = || async { Ok::<_, String>(None) };
            let answer = users.get_or_load_optional("a", none).await.unwrap();
            assert_eq!(answer.as_deref(), Some("old"), "nobody waits for it");
            settle().await;
            assert_eq!((users.get("a").await.unwrap(), refreshes(&users)), (None, (1, 0)));
            assert_eq!(users.get_stale("a").await.unwrap(), None);
            if text.contains("l2") {
                assert_eq!(open(&text, &clock).await.get_stale("a").await.unwrap(), None);
            }
        }
    }
}

#[tokio::test]
async fn a_refresh_that_a_change_of_other_keys_fenced_off_is_tried_again() {
    for (users, clock, _) in each("refresh_ahead = 0.5\n").await {
        for outcome in [Ok("fenced"), Err("away")] {
            let before = users.stats().snapshot();
            clock.advance(6 * SECOND);
            let (release, gate) = oneshot::channel::<()>();
            let load = move || async move {
                gate.await.unwrap();
                outcome.map(ToOwned::to_owned)
            };
            users.get_or_load("a", load).await.unwrap();
            settle().await;
            // Nobody knows beforehand of which keys a pattern is.
            users.delete_pattern("other*").await.unwrap();
            release.send(()).unwrap();
            settle().await;
            let old = get(&users, "new").await;
            settle().await;
            assert_ne!(get(&users, "newest").await, "newest");
            let after = users.stats().snapshot();
            assert_eq!(after.resilience.refreshes - before.resilience.refreshes, 2, "{outcome:?}");
            assert_ne!(old, "fenced");
            assert_eq!(users.get("a").await.unwrap().as_deref(), Some("new"), "{outcome:?}");
        }
    }
}
