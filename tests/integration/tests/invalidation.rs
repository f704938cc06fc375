//! Invalidations against writes that arrive late, callers that go away, and tiers that are slow.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use larder::{Lookup, ManualClock, MissCause, SetOptions};
use larder_integration::{Process, Users, soon};
use tokio::task::JoinHandle;

const SECOND: Duration = Duration::from_secs(1);

/// A process with a write of `a` on its way that nobody waits for any more.
async fn with_late_write(name: &str, is_cancelled: bool) -> Process {
    let process = Process::start(name, true, &ManualClock::new()).await;
    process.puppet.is_remote.store(true, SeqCst);
    process.puppet.hang_in("put_if_newer");
    let set = tokio::spawn({
        let users = process.users.clone();
        async move { users.set("a", "late".into()).await }
    });
    process.puppet.hangs().await;
    if is_cancelled {
        set.abort();
        assert!(soon("the end of the set", set).await.unwrap_err().is_cancelled());
    } else {
        process.clock.advance(SECOND);
        soon("the set", set).await.unwrap().unwrap();
    }
    process.puppet.hang_in(None);
    assert_eq!(process.puppet.on_the_way.lock().unwrap().len(), 1);
    process.clock.advance(Duration::from_millis(1));
    process
}

/// Lets the late write arrive, and looks whether it is served.
async fn landed(process: &Process) -> Option<String> {
    process.replayed().await;
    process.puppet.land();
    process.get("a").await
}

#[tokio::test]
async fn a_late_write_does_not_come_back_after_a_delete_and_another_one() {
    for is_cancelled in [false, true] {
        let process = with_late_write(&format!("late-{is_cancelled}"), is_cancelled).await;
        process.users.delete("a").await.unwrap();
        process.replayed().await;
        assert!(!process.users.delete("a").await.unwrap(), "there is nothing to delete");
        assert_eq!(landed(&process).await, None, "cancelled: {is_cancelled}");
    }
}

#[tokio::test]
async fn a_late_write_does_not_come_back_after_one_that_was_deleted_again() {
    let process = with_late_write("late-set", false).await;
    process.set("a", "newer").await;
    assert!(process.users.delete("a").await.unwrap());
    assert_eq!(landed(&process).await, None);
}

#[tokio::test]
async fn a_late_write_does_not_come_back_after_a_clear_or_a_pattern() {
    let process = with_late_write("late-clear", false).await;
    process.users.clear().await.unwrap();
    assert_eq!(landed(&process).await, None);
    let process = with_late_write("late-pattern", false).await;
    process.users.delete_pattern("a*").await.unwrap();
    assert_eq!(landed(&process).await, None);
}

#[tokio::test]
async fn what_keeps_late_writes_out_is_nothing_that_can_be_deleted() {
    let process = Process::start("tombstone", true, &ManualClock::new()).await;
    process.set("a", "old").await;
    process.fails(true);
    process.users.delete("a").await.unwrap();
    process.fails(false);
    process.replayed().await;
    assert!(!process.users.delete("a").await.unwrap());
    assert_eq!(process.users.delete_pattern("*").await.unwrap(), 0);
    assert_eq!(process.users.stats().snapshot().deletes, 1, "that of the value in memory");
    process.set("a", "new").await;
    assert!(process.users.delete("a").await.unwrap());
}

#[tokio::test]
async fn a_delete_whose_caller_goes_away_half_way_is_done_all_the_same() {
    let process = Process::start("gone-delete", false, &ManualClock::new()).await;
    process.set("a", "old").await;
    process.puppet.hang_in("delete");
    let delete = tokio::spawn({
        let users = process.users.clone();
        async move { users.delete("a").await }
    });
    process.puppet.hangs().await;
    delete.abort();
    assert!(soon("the end of it", delete).await.unwrap_err().is_cancelled());
    process.puppet.hang_in(None);
    assert_eq!(process.get("a").await, None);
    process.replayed().await;
    assert!(!process.has("a"));
}

fn invalidate(users: &Users, tag: &'static str) -> JoinHandle<larder::Result<()>> {
    let users = users.clone();
    tokio::spawn(async move { users.invalidate_tag(tag).await })
}

#[tokio::test]
async fn an_invalidation_of_a_tag_whose_caller_goes_away_is_done_all_the_same() {
    let clock = ManualClock::new();
    let process = Process::start("gone-tag", false, &clock).await;
    let tagged = SetOptions::new().tag("t");
    process.users.set_with("a", "Ada".into(), &tagged).await.unwrap();
    process.puppet.hang_in("get");
    let waiting = [invalidate(&process.users, "t"), invalidate(&process.users, "t")];
    process.puppet.hangs().await;
    for one in waiting {
        one.abort();
        assert!(soon("the end of it", one).await.unwrap_err().is_cancelled());
    }
    process.puppet.hang_in(None);
    assert_eq!(process.pending(), 1);
    process.replayed().await;
    let other = Process::start("gone-tag", false, &clock).await;
    assert_eq!(other.users.lookup("a").await.unwrap(), Lookup::Miss(MissCause::Tag));
}

#[tokio::test]
async fn a_tag_does_not_wait_for_the_tier_to_answer_for_another() {
    let process = Process::start("slow-tag", false, &ManualClock::new()).await;
    process.puppet.hang_in("get");
    let slow = invalidate(&process.users, "slow");
    process.puppet.hangs().await;
    process.puppet.hang_in(None);
    soon("another tag", process.users.invalidate_tag("other")).await.unwrap();
    let tagged = SetOptions::new().tag("third");
    soon("a third", process.users.set_with("a", "Ada".into(), &tagged)).await.unwrap();
    process.puppet.go_on.notify_one();
    soon("the slow one", slow).await.unwrap().unwrap();
}

#[tokio::test]
async fn of_those_who_wait_for_the_marker_of_a_tag_only_the_first_waits_for_a_slow_tier() {
    let process = Process::start("many-tags", false, &ManualClock::new()).await;
    process.puppet.hang_in("get");
    let mut waiting = vec![invalidate(&process.users, "t")];
    process.puppet.hangs().await;
    for _ in 0..8 {
        waiting.push(invalidate(&process.users, "t"));
    }
    let first_use = tokio::spawn({
        let users = process.users.clone();
        async move { users.set_with("a", "Ada".into(), &SetOptions::new().tag("t")).await }
    });
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    process.clock.advance(SECOND);
    for one in waiting {
        soon("an invalidation", one).await.unwrap().unwrap();
    }
    soon("the first use", first_use).await.unwrap().unwrap();
    assert_eq!(process.pending(), 1, "it waits once");
    process.puppet.hang_in(None);
    process.replayed().await;
}

#[tokio::test]
async fn an_invalidation_that_was_delivered_late_reaches_what_a_clock_ahead_stored() {
    for knows_versions in [false, true] {
        let name = format!("ahead-tag-{knows_versions}");
        let (ours, theirs) = (ManualClock::new(), ManualClock::new());
        theirs.advance(Duration::from_millis(500));
        let ours = Process::start(&name, knows_versions, &ours).await;
        let theirs = Process::start(&name, knows_versions, &theirs).await;
        let tagged = SetOptions::new().tag("t");
        theirs.users.set_with("a", "Ada".into(), &tagged).await.unwrap();
        ours.fails(true);
        ours.users.invalidate_tag("t").await.unwrap();
        ours.fails(false);
        ours.replayed().await;
        assert_eq!(theirs.get("a").await, None, "versions: {knows_versions}");
    }
}

#[tokio::test]
async fn a_pattern_that_a_tier_did_not_get_waits_once_and_not_for_each_key() {
    let process = Process::start("wide-pattern", false, &ManualClock::new()).await;
    for number in 0..200 {
        process.set(&format!("user:{number}"), "old").await;
    }
    process.puppet.hang_in("scan");
    let sweep = tokio::spawn({
        let users = process.users.clone();
        async move { users.delete_pattern("user:*").await }
    });
    process.puppet.hangs().await;
    process.fails(true);
    process.puppet.hang_in(None);
    process.puppet.go_on.notify_one();
    soon("the sweep", sweep).await.unwrap().unwrap();
    assert_eq!(process.pending(), 1);
    process.fails(false);
    process.replayed().await;
    assert!(process.puppet.entries.lock().unwrap().is_empty());
}
