//! Invalidations that a tier does not get: nothing old is served, and they are delivered later.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use larder::{CacheManager, Format, Lookup, ManualClock, MissCause, SetOptions};
use larder_integration::{Process, Users, soon, until};

#[tokio::test]
async fn what_was_deleted_while_its_tier_was_down_is_not_served_and_removed_later() {
    for knows_versions in [false, true] {
        let name = format!("deleted-{knows_versions}");
        let process = Process::start(&name, knows_versions, &ManualClock::new()).await;
        process.set("a", "Ada").await;
        process.set("b", "Bob").await;
        process.fails(true);
        process.users.delete("a").await.unwrap();
        process.fails(false);
        assert!(process.has("a"), "nobody could tell the tier");
        assert_eq!(process.get("b").await.as_deref(), Some("Bob"), "others are served");
        let lookup = process.users.lookup("a").await.unwrap();
        assert_eq!(lookup, Lookup::Miss(MissCause::Invalidated));
        assert_eq!(process.pending(), 1);
        process.replayed().await;
        assert!(!process.has("a"));
        assert_eq!(process.users.stats().snapshot().tiers[1].recovered, 1);
    }
}

#[tokio::test]
async fn a_value_that_another_process_wrote_meanwhile_survives_the_replay() {
    for knows_versions in [false, true] {
        let name = format!("survives-{knows_versions}");
        let clock = ManualClock::new();
        let ours = Process::start(&name, knows_versions, &clock).await;
        ours.set("a", "old").await;
        ours.fails(true);
        ours.users.delete("a").await.unwrap();
        ours.fails(false);
        clock.advance(Duration::from_millis(1));
        let theirs = Process::start(&name, knows_versions, &clock).await;
        theirs.set("a", "new").await;
        assert_eq!(ours.get("a").await.as_deref(), Some("new"), "newer than the delete");
        ours.replayed().await;
        assert_eq!(ours.get("a").await.as_deref(), Some("new"));
    }
}

#[tokio::test]
async fn a_set_that_a_tier_did_not_get_never_brings_the_value_before_back() {
    let process = Process::start("half-set", false, &ManualClock::new()).await;
    process.set("a", "old").await;
    process.fails(true);
    process.set("a", "new").await;
    process.fails(false);
    assert_eq!(process.users.get("a").await.unwrap().as_deref(), Some("new"), "in the memory");
    assert_eq!(process.get("a").await, None, "not the old one from the tier");
    process.set("b", "other").await;
    process.replayed().await;
    assert!(!process.has("a") && process.has("b"));
    process.fails(true);
    process.set("b", "newer").await;
    process.fails(false);
    process.set("b", "newest").await;
    assert_eq!(process.pending(), 0, "the tier has got it after all");
    assert_eq!(process.get("b").await.as_deref(), Some("newest"));
}

#[tokio::test]
async fn a_write_that_arrives_late_undoes_nothing() {
    let process = Process::start("late", true, &ManualClock::new()).await;
    process.puppet.is_remote.store(true, SeqCst);
    process.puppet.hang_in("put_if_newer");
    let set = tokio::spawn({
        let users = process.users.clone();
        async move { users.set("a", "late".into()).await }
    });
    process.puppet.hangs().await;
    process.clock.advance(Duration::from_secs(1));
    soon("the set", set).await.unwrap().unwrap();
    process.puppet.hang_in(None);
    process.users.delete("a").await.unwrap();
    process.replayed().await;
    assert_eq!(process.puppet.on_the_way.lock().unwrap().len(), 1);
    process.puppet.land();
    assert_eq!(process.get("a").await, None);

    process.puppet.hang_in("put_if_newer");
    let load = || async { Ok::<_, String>("late".into()) };
    let load = tokio::spawn({
        let users = process.users.clone();
        async move { users.get_or_load("b", load).await }
    });
    process.puppet.hangs().await;
    process.clock.advance(Duration::from_secs(1));
    soon("the load", load).await.unwrap().unwrap();
    process.puppet.hang_in(None);
    process.set("b", "newer").await;
    process.puppet.land();
    assert_eq!(process.get("b").await.as_deref(), Some("newer"));
}

#[tokio::test]
async fn a_load_whose_tier_is_down_makes_nothing_of_the_tier_unusable() {
    let process = Process::start("down-load", false, &ManualClock::new()).await;
    process.set("a", "Ada").await;
    process.fails(true);
    let other = Process::start("down-load", false, &process.clock).await;
    let load = || async { Ok::<_, String>("loaded".into()) };
    assert_eq!(other.users.get_or_load("a", load).await.unwrap(), "loaded");
    process.fails(false);
    assert_eq!(other.pending(), 0);
    assert_eq!(other.get("a").await.as_deref(), Some("Ada"));
}

#[tokio::test]
async fn a_tag_that_was_invalidated_while_its_tier_was_down_stays_so_for_all() {
    for knows_versions in [false, true] {
        let name = format!("tag-{knows_versions}");
        let clock = ManualClock::new();
        let ours = Process::start(&name, knows_versions, &clock).await;
        let tagged = SetOptions::new().tag("t");
        ours.users.set_with("a", "Ada".into(), &tagged).await.unwrap();
        ours.fails(true);
        ours.users.invalidate_tag("t").await.unwrap();
        ours.fails(false);
        assert_eq!(ours.users.lookup("a").await.unwrap(), Lookup::Miss(MissCause::Tag));
        ours.replayed().await;
        let theirs = Process::start(&name, knows_versions, &clock).await;
        assert_eq!(theirs.users.lookup("a").await.unwrap(), Lookup::Miss(MissCause::Tag));
        ours.users.set_with("a", "Bob".into(), &tagged).await.unwrap();
        assert_eq!(theirs.get("a").await.as_deref(), Some("Bob"));
    }
}

#[tokio::test]
async fn of_two_processes_that_invalidate_a_tag_at_once_both_do() {
    for knows_versions in [false, true] {
        let name = format!("both-{knows_versions}");
        let clock = ManualClock::new();
        let first = Process::start(&name, knows_versions, &clock).await;
        let second = Process::start(&name, knows_versions, &clock).await;
        let tagged = SetOptions::new().tag("t");
        first.users.set_with("a", "Ada".into(), &tagged).await.unwrap();
        let write = if knows_versions { "put_if_newer" } else { "set" };
        first.puppet.hang_in(write);
        let invalidate = tokio::spawn({
            let users = first.users.clone();
            async move { users.invalidate_tag("t").await }
        });
        first.puppet.hangs().await;
        first.puppet.hang_in(None);
        // The second begins later and ends before the first, which then writes an older version.
        clock.advance(Duration::from_millis(5));
        second.users.invalidate_tag("t").await.unwrap();
        second.users.set_with("b", "Bob".into(), &tagged).await.unwrap();
        second.users.invalidate_tag("t").await.unwrap();
        first.puppet.go_on.notify_one();
        invalidate.await.unwrap().unwrap();
        for process in [&first, &second, &Process::start(&name, knows_versions, &clock).await] {
            assert_eq!(process.get("a").await, None);
            assert_eq!(process.get("b").await, None);
        }
    }
}

#[tokio::test]
async fn a_clear_that_a_tier_did_not_get_hides_all_it_had_and_nothing_newer() {
    let process = Process::start("cleared", false, &ManualClock::new()).await;
    process.users.set_with("a", "Ada".into(), &SetOptions::new().tag("t")).await.unwrap();
    process.fails(true);
    process.users.clear().await.unwrap();
    process.fails(false);
    assert_eq!(process.users.get("a").await.unwrap(), None);
    process.set("b", "Bob").await;
    assert_eq!(process.get("b").await.as_deref(), Some("Bob"));
    process.replayed().await;
    assert!(process.puppet.entries.lock().unwrap().is_empty());
    process.users.set_with("a", "new".into(), &SetOptions::new().tag("t")).await.unwrap();
    process.get("a").await;
    process.users.set_with("a", "newer".into(), &SetOptions::new().tag("t")).await.unwrap();
    assert_eq!(process.get("a").await.as_deref(), Some("newer"), "its tag was made anew");
}

#[tokio::test]
async fn a_pattern_bans_what_matches_from_its_first_step_on() {
    let process = Process::start("banned", false, &ManualClock::new()).await;
    for key in ["user:1", "user:2", "org:1"] {
        process.set(key, "old").await;
    }
    process.puppet.hang_in("scan");
    let sweep = tokio::spawn({
        let users = process.users.clone();
        async move { users.delete_pattern("user:*").await }
    });
    process.puppet.hangs().await;
    assert_eq!(process.get("user:1").await, None, "the sweep has not come to it");
    assert_eq!(process.get("org:1").await.as_deref(), Some("old"));
    sweep.abort();
    assert!(sweep.await.unwrap_err().is_cancelled());
    process.puppet.hang_in(None);
    assert_eq!(process.get("user:2").await, None, "not though the caller went away");
    process.set("user:3", "new").await;
    assert_eq!(process.get("user:3").await.as_deref(), Some("new"));
    process.users.delete("org:9").await.unwrap();
    process.fails(true);
    process.users.delete("org:9").await.unwrap();
    process.fails(false);
    process.replayed().await;
    let keys = process.users.keys("*").await.unwrap();
    assert_eq!(keys, ["org:1", "user:3"], "swept by the replay, but for what is newer");
}

#[tokio::test]
async fn one_key_that_cannot_be_removed_holds_up_no_other() {
    let process = Process::start("poisoned", false, &ManualClock::new()).await;
    for key in ["a", "b", "c"] {
        process.set(key, "old").await;
    }
    *process.puppet.poisoned.lock().unwrap() = Some("b".into());
    process.fails(true);
    for key in ["b", "a", "c"] {
        process.users.delete(key).await.unwrap();
    }
    process.fails(false);
    until("the rest", || {
        process.clock.advance(Duration::from_millis(500));
        process.pending() == 1
    })
    .await;
    assert!(!process.has("a") && process.has("b") && !process.has("c"));
    assert_eq!(process.users.stats().snapshot().tiers[1].breaker, "closed");
    *process.puppet.poisoned.lock().unwrap() = None;
    assert_eq!(process.get("b").await, None, "it is still not served");
    process.replayed().await;
    assert!(!process.has("b"));
}

#[tokio::test]
async fn a_tier_is_used_again_after_the_replay_and_not_before() {
    let process = Process::start("after", false, &ManualClock::new()).await;
    process.set("a", "old").await;
    process.fails(true);
    for _ in 0..5 {
        process.users.delete("a").await.unwrap();
    }
    assert_eq!(process.users.stats().snapshot().tiers[1].breaker, "open");
    process.fails(false);
    process.puppet.calls.lock().unwrap().clear();
    process.clock.advance(Duration::from_secs(1));
    let lookup = process.users.lookup("other").await.unwrap();
    assert_eq!(lookup, Lookup::Miss(MissCause::TierDown), "it was not asked yet");
    process.replayed().await;
    until("the breaker", || process.users.stats().snapshot().tiers[1].breaker == "closed").await;
    process.get("other").await;
    let calls = process.puppet.calls.lock().unwrap().clone();
    assert_eq!(calls.last().unwrap(), "get other");
    assert_eq!(calls[calls.len() - 2], "delete a");
}

#[tokio::test]
async fn more_than_can_be_remembered_becomes_one_clear() {
    let process = Process::start("overflow", false, &ManualClock::new()).await;
    process.set("kept", "x").await;
    process.fails(true);
    for number in 0..65_537 {
        process.users.delete(&*number.to_string()).await.unwrap();
    }
    assert_eq!(process.pending(), 1);
    for number in 0..100 {
        process.users.delete(&*number.to_string()).await.unwrap();
    }
    assert_eq!(process.pending(), 1, "what comes then is a part of it");
    process.fails(false);
    process.replayed().await;
    assert!(process.puppet.entries.lock().unwrap().is_empty());
}

#[tokio::test]
async fn closing_a_cache_delivers_what_it_can_and_says_what_it_cannot() {
    for is_back in [true, false] {
        let process =
            Process::start(&format!("closed-{is_back}"), false, &ManualClock::new()).await;
        process.set("a", "old").await;
        process.fails(true);
        for _ in 0..8 {
            process.users.delete("a").await.unwrap();
        }
        process.fails(!is_back);
        let closed = process.manager.close().await;
        assert_eq!(closed.is_ok(), is_back);
        let tier = process.users.stats().snapshot().tiers[1].clone();
        assert_eq!((process.has("a"), tier.lost), (!is_back, u64::from(!is_back)));
    }
}

#[tokio::test]
async fn a_set_wins_over_an_entry_of_a_clock_that_is_ahead() {
    let clock = ManualClock::new();
    let process = Process::start("ahead-of-us", true, &clock).await;
    for ahead in [Duration::from_millis(500), Duration::from_secs(3600)] {
        process.set("a", "theirs").await;
        for entry in process.puppet.entries.lock().unwrap().values_mut() {
            entry.meta.stamp.time = entry.meta.stamp.time.after(ahead);
        }
        process.set("a", "ours").await;
        assert_eq!(process.get("a").await.as_deref(), Some("ours"), "{ahead:?} ahead");
    }
}

#[tokio::test]
async fn an_expired_entry_is_stale_in_its_tier_and_not_gone() {
    let process = Process::start("expired", false, &ManualClock::new()).await;
    process.set("a", "Ada").await;
    assert!(process.users.expire("a").await.unwrap());
    assert_eq!(process.users.lookup("a").await.unwrap(), Lookup::Miss(MissCause::Expired));
    assert!(process.has("a"), "for when nothing better can be had");
    assert!(!process.users.expire("b").await.unwrap());
    process.set("a", "new").await;
    process.fails(true);
    process.users.expire("a").await.unwrap();
    process.fails(false);
    assert_eq!(process.get("a").await, None);
    process.replayed().await;
    assert!(!process.has("a"));
}

#[tokio::test]
async fn what_was_expired_is_a_fallback_and_what_was_deleted_is_not() {
    let tier = "l2.backend = { kind = \"test.puppet\", name = \"fallback\" }\n";
    for below in ["", tier] {
        let text = format!(
            "[caches.users]\nttl = \"1m\"\nresilience.stale_for = \"1h\"\n\
             l1.backend = \"memory\"\n{below}"
        );
        let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
        let manager = builder.clock(Arc::new(ManualClock::new())).build().await.unwrap();
        let users: Users = manager.cache("users").unwrap();
        for key in ["expired", "deleted"] {
            users.set(key, "old".into()).await.unwrap();
        }
        assert!(users.expire("expired").await.unwrap() && users.delete("deleted").await.unwrap());
        let load = |key| users.get_or_load(key, || async { Err::<String, _>("away") });
        assert_eq!(users.get("expired").await.unwrap(), None);
        assert_eq!(load("expired").await.unwrap(), "old");
        assert!(load("deleted").await.is_err());
    }
}

#[tokio::test]
async fn a_clear_that_its_caller_gives_up_is_done_all_the_same() {
    for hangs_in in ["clear", "set"] {
        let name = format!("clear-given-up-{hangs_in}");
        let process = Process::start(&name, false, &ManualClock::new()).await;
        process.set("a", "Ada").await;
        process.puppet.hang_in(hangs_in);
        let users = process.users.clone();
        // A clear waits for a write that is under way.
        let set = tokio::spawn(async move { users.set("b", "Bob".into()).await });
        if hangs_in == "set" {
            process.puppet.hangs().await;
        } else {
            soon("the set", set).await.unwrap().unwrap();
        }
        let users = process.users.clone();
        let clear = tokio::spawn(async move { users.clear().await });
        if hangs_in == "clear" {
            process.puppet.hangs().await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        clear.abort();
        assert!(clear.await.unwrap_err().is_cancelled(), "it hangs in {hangs_in}");
        process.puppet.hang_in(None);
        process.puppet.go_on.notify_one();
        assert_eq!(process.get("a").await, None, "until it is cleared: {hangs_in}");
        process.replayed().await;
        assert!(!process.has("a"), "{hangs_in}");
    }
}

#[tokio::test]
async fn a_pattern_that_its_caller_gives_up_before_its_turn_is_deleted_all_the_same() {
    let process = Process::start("pattern-given-up", false, &ManualClock::new()).await;
    process.set("a", "Ada").await;
    process.puppet.hang_in("set");
    let users = process.users.clone();
    // A deletion by pattern waits for a write that is under way.
    let set = tokio::spawn(async move { users.set("b", "Bob".into()).await });
    process.puppet.hangs().await;
    let users = process.users.clone();
    let delete = tokio::spawn(async move { users.delete_pattern("a*").await });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    delete.abort();
    assert!(delete.await.unwrap_err().is_cancelled(), "it waits for the write");
    assert_eq!(process.get("a").await, None, "until it is deleted");
    process.puppet.hang_in(None);
    process.puppet.go_on.notify_one();
    soon("the set", set).await.unwrap().unwrap();
    process.replayed().await;
    assert!(!process.has("a") && process.has("b"));
}

#[tokio::test]
async fn keys_that_are_gone_are_not_listed() {
    let process = Process::start("gone-keys", true, &ManualClock::new()).await;
    for key in ["a", "b", "c"] {
        process.set(key, "x").await;
    }
    process.fails(true);
    process.users.delete("a").await.unwrap();
    process.fails(false);
    assert_eq!(process.users.keys("*").await.unwrap(), ["b", "c"], "it waits to be removed");
    process.replayed().await;
    assert!(process.puppet.entries.lock().unwrap().contains_key("a"), "it keeps old writes out");
    assert_eq!(process.users.keys("*").await.unwrap(), ["b", "c"]);
}
