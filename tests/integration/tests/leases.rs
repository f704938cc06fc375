//! One load per key among processes that share a tier. Each manager stands for a process.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::{Cache, CacheManager, Clock, ErrorKind, Format, LoadOptions, ManualClock};
use larder_integration::{Strings, strings, until};
use tokio::sync::oneshot;

type Users = Cache<String, String>;

const SECOND: Duration = Duration::from_secs(1);

struct Fixture {
    clock: ManualClock,
    shared: Arc<Strings>,
    text: String,
}

fn text(name: &str) -> String {
    format!(
        "[caches.users]\nttl = \"10s\"\nresilience.stale_for = \"1m\"\nl1.backend = \"memory\"\n\
         l2.backend = {{ kind = \"test.shared\", name = \"{name}\" }}\n"
    )
}

async fn open(text: &str, clock: Arc<dyn Clock>) -> Users {
    let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
    builder.clock(clock).build().await.unwrap().cache("users").unwrap()
}

impl Fixture {
    fn new(name: &str) -> Self {
        Self { clock: ManualClock::new(), shared: strings(name), text: text(name) }
    }

    async fn process(&self) -> Users {
        open(&self.text, Arc::new(self.clock.clone())).await
    }

    fn leases(&self) -> usize {
        self.shared.leases.lock().unwrap().len()
    }
}

/// Lets every other task run until it waits.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

type Caller = tokio::task::JoinHandle<larder::Result<String>>;

type Gate = oneshot::Sender<Result<&'static str, &'static str>>;

/// Begins a load that ends when it is told to.
fn begin(users: &Users) -> (Caller, Gate) {
    let (release, gate) = oneshot::channel::<Result<&'static str, &'static str>>();
    let users = users.clone();
    let load = move || async move { gate.await.unwrap().map(str::to_owned) };
    (tokio::spawn(async move { users.get_or_load("a", load).await }), release)
}

fn loads(users: &Users) -> u64 {
    users.stats().snapshot().loads
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_callers_in_four_processes_are_one_load() {
    const CALLERS: u64 = 10_000;
    let mut fixture = Fixture::new("lease-herd");
    // Time may pass faster than the others look: the value is there all the same.
    fixture.text = fixture.text.replace("ttl = \"10s\"", "ttl = \"1000d\"");
    let (came, begun) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (release, gate) = tokio::sync::watch::channel(false);
    let mut callers = Vec::new();
    for _ in 0..4 {
        let users = fixture.process().await;
        for _ in 0..CALLERS / 4 {
            let (users, came, begun) = (users.clone(), Arc::clone(&came), Arc::clone(&begun));
            let mut gate = gate.clone();
            let load = move || async move {
                begun.fetch_add(1, Ordering::SeqCst);
                gate.wait_for(|is_open| *is_open).await.map(|_| "loaded".to_owned())
            };
            callers.push(tokio::spawn(async move {
                came.fetch_add(1, Ordering::SeqCst);
                users.get_or_load("a", load).await
            }));
        }
    }
    until("all have come", || came.load(Ordering::SeqCst) == CALLERS).await;
    release.send(true).unwrap();
    // The time stands until the value is there, so that no lease ends however slow the machine is.
    until("it is stored", || fixture.shared.entries.lock().unwrap().contains_key("a")).await;
    until("all have an answer", || {
        fixture.clock.advance(Duration::from_millis(10));
        callers.iter().all(tokio::task::JoinHandle::is_finished)
    })
    .await;
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), "loaded");
    }
    assert_eq!(begun.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn who_comes_second_waits_and_takes_what_the_first_stored() {
    let fixture = Fixture::new("lease-wait");
    let (first, second) = (fixture.process().await, fixture.process().await);
    let (ours, release) = begin(&first);
    settle().await;
    let (theirs, _never) = begin(&second);
    settle().await;
    release.send(Ok("by the first")).unwrap();
    assert_eq!(ours.await.unwrap().unwrap(), "by the first");
    fixture.clock.advance(Duration::from_millis(50));
    assert_eq!(theirs.await.unwrap().unwrap(), "by the first");
    assert_eq!((loads(&first), fixture.leases()), (1, 0), "the lease was used up");
}

#[tokio::test]
async fn a_load_that_fails_gives_its_lease_back() {
    let fixture = Fixture::new("lease-fails");
    let (first, second) = (fixture.process().await, fixture.process().await);
    let (ours, release) = begin(&first);
    settle().await;
    let (theirs, release_theirs) = begin(&second);
    settle().await;
    release.send(Err("away")).unwrap();
    assert!(ours.await.unwrap().is_err());
    assert_eq!(fixture.leases(), 0);
    fixture.clock.advance(Duration::from_millis(50));
    settle().await;
    release_theirs.send(Ok("by the second")).unwrap();
    assert_eq!(theirs.await.unwrap().unwrap(), "by the second");
    assert_eq!(first.get("a").await.unwrap().as_deref(), Some("by the second"));
}

#[tokio::test]
async fn a_stale_value_is_better_than_waiting_for_another_process() {
    let fixture = Fixture::new("lease-stale");
    let (first, second) = (fixture.process().await, fixture.process().await);
    first.set("a", "old".into()).await.unwrap();
    second.get("a").await.unwrap();
    fixture.clock.advance(10 * SECOND);
    let (ours, release) = begin(&first);
    settle().await;
    let (theirs, _never) = begin(&second);
    assert_eq!(theirs.await.unwrap().unwrap(), "old");
    let stats = second.stats().snapshot().resilience;
    assert_eq!(stats.stale_reasons[1], ("lease".to_owned(), 1));
    release.send(Ok("new")).unwrap();
    assert_eq!(ours.await.unwrap().unwrap(), "new");
    fixture.clock.advance(SECOND);
    assert_eq!(begin(&second).0.await.unwrap().unwrap(), "new");
}

#[tokio::test]
async fn a_process_that_died_holds_the_others_up_no_longer_than_its_lease() {
    let fixture = Fixture::new("lease-dead");
    let (first, second) = (fixture.process().await, fixture.process().await);
    let (_dead, _never) = begin(&first);
    settle().await;
    let (theirs, release) = begin(&second);
    for _ in 0..50 {
        settle().await;
        fixture.clock.advance(Duration::from_millis(50));
    }
    settle().await;
    release.send(Ok("by the second")).unwrap();
    assert_eq!(theirs.await.unwrap().unwrap(), "by the second");
}

#[tokio::test]
async fn what_was_loaded_before_another_process_changed_the_key_is_stored_nowhere() {
    let fixture = Fixture::new("lease-changed");
    let (first, second) = (fixture.process().await, fixture.process().await);
    let (ours, release) = begin(&first);
    settle().await;
    second.delete("a").await.unwrap();
    release.send(Ok("loaded before")).unwrap();
    assert_eq!(ours.await.unwrap().unwrap(), "loaded before");
    assert_eq!(first.get("a").await.unwrap(), None);
    assert_eq!(second.get("a").await.unwrap(), None);
}

#[tokio::test]
async fn a_load_that_outlives_its_lease_does_not_overwrite_what_came_after() {
    let fixture = Fixture::new("lease-late");
    let (first, second) = (fixture.process().await, fixture.process().await);
    let (ours, release) = begin(&first);
    settle().await;
    fixture.clock.advance(3 * SECOND);
    let theirs = second.get_or_load("a", || async { Ok::<_, String>("younger".to_owned()) });
    assert_eq!(theirs.await.unwrap(), "younger");
    release.send(Ok("older")).unwrap();
    assert_eq!(ours.await.unwrap().unwrap(), "older");
    assert_eq!(fixture.process().await.get("a").await.unwrap().as_deref(), Some("younger"));
}

#[tokio::test]
async fn what_outlived_its_lease_does_not_stay_in_memory() {
    for is_loaded_elsewhere in [true, false] {
        let fixture = Fixture::new(&format!("lease-outlived-{is_loaded_elsewhere}"));
        let (first, second) = (fixture.process().await, fixture.process().await);
        let (ours, release) = begin(&first);
        settle().await;
        fixture.clock.advance(3 * SECOND);
        if is_loaded_elsewhere {
            let load = || async { Ok::<_, String>("younger".to_owned()) };
            assert_eq!(second.get_or_load("a", load).await.unwrap(), "younger");
        }
        release.send(Ok("older")).unwrap();
        assert_eq!(ours.await.unwrap().unwrap(), "older");
        let expected = is_loaded_elsewhere.then_some("younger");
        assert_eq!(first.get("a").await.unwrap().as_deref(), expected);
        let (again, release) = begin(&first);
        if !is_loaded_elsewhere {
            settle().await;
            fixture.clock.advance(3 * SECOND);
            release.send(Ok("in time")).unwrap();
            assert_eq!(again.await.unwrap().unwrap(), "in time");
            let there = second.get("a").await.unwrap();
            assert_eq!(there.as_deref(), Some("in time"), "the next lease is long enough");
        }
    }
}

#[tokio::test]
async fn a_lease_is_given_back_when_its_tier_was_too_slow_to_be_filled() {
    let fixture = Fixture::new("lease-slow");
    let first = fixture.process().await;
    let (ours, release) = begin(&first);
    settle().await;
    fixture.shared.hang_in("get");
    let slow = tokio::spawn({
        let first = first.clone();
        async move { first.get("b").await }
    });
    settle().await;
    fixture.clock.advance(SECOND);
    slow.await.unwrap().unwrap();
    fixture.shared.hang_in(None);
    release.send(Ok("loaded")).unwrap();
    assert_eq!(ours.await.unwrap().unwrap(), "loaded");
    until("the lease is given back", || fixture.leases() == 0).await;
    assert!(fixture.shared.entries.lock().unwrap().is_empty(), "the tier was passed over");
}

/// A cache whose value is stale in two processes, of which the first loads it.
async fn stale_in_two(name: &str, options: &str) -> (Fixture, Users, Gate) {
    let mut fixture = Fixture::new(name);
    fixture.text.push_str(options);
    let (first, second) = (fixture.process().await, fixture.process().await);
    first.set("a", "old".into()).await.unwrap();
    second.get("a").await.unwrap();
    fixture.clock.advance(10 * SECOND);
    let (_ours, release) = begin(&first);
    settle().await;
    (fixture, second, release)
}

#[tokio::test]
async fn who_takes_no_stale_value_waits_for_the_other_process() {
    let (fixture, second, release) = stale_in_two("lease-strict", "").await;
    let strict = |users: Users| async move {
        let options = LoadOptions::new().allow_stale(false);
        users.get_or_load_with("a", options, || async { Ok::<_, String>("ours".into()) }).await
    };
    let theirs = tokio::spawn(strict(second.clone()));
    settle().await;
    assert!(!theirs.is_finished());
    assert_eq!(begin(&second).0.await.unwrap().unwrap(), "old", "others are served at once");
    release.send(Ok("new")).unwrap();
    settle().await;
    fixture.clock.advance(Duration::from_millis(50));
    assert_eq!(theirs.await.unwrap().unwrap(), "new");
    assert_eq!(loads(&second), 0);
}

#[tokio::test]
async fn who_waits_too_long_for_another_process_is_told_so() {
    let limit = "resilience.hard_timeout = \"500ms\"\n";
    let (fixture, second, _never) = stale_in_two("lease-strict-late", limit).await;
    let theirs = tokio::spawn({
        let second = second.clone();
        let options = LoadOptions::new().allow_stale(false);
        let load = || async { Ok::<_, String>("ours".to_owned()) };
        async move { second.get_or_load_with("a", options, load).await }
    });
    settle().await;
    fixture.clock.advance(Duration::from_millis(499));
    settle().await;
    assert!(!theirs.is_finished());
    fixture.clock.advance(Duration::from_millis(1));
    let error = theirs.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.context("limit")), (ErrorKind::Timeout, Some("500ms")));
    assert!(error.to_string().contains("another process loads the key"), "{error}");
}

#[tokio::test]
async fn nobody_waits_longer_than_the_lease_of_a_process_that_died() {
    let fixture = Fixture::new("lease-slack");
    let (first, second) = (fixture.process().await, fixture.process().await);
    let (_dead, _never) = begin(&first);
    settle().await;
    let (_theirs, _release) = begin(&second);
    for _ in 0..200 {
        settle().await;
        assert_eq!(loads(&second), 0);
        fixture.clock.advance(Duration::from_millis(10));
    }
    settle().await;
    assert_eq!(loads(&second), 1, "two seconds are over, and so is the lease");
}

#[tokio::test]
async fn that_there_is_none_in_another_process_is_no_answer_to_who_wants_a_value() {
    let mut fixture = Fixture::new("lease-none");
    fixture.text.push_str("negative_ttl = \"5s\"\n");
    let (first, second) = (fixture.process().await, fixture.process().await);
    let (release, gate) = oneshot::channel::<()>();
    let ours = tokio::spawn(async move {
        let load = || async move { gate.await.map(|()| None) };
        first.get_or_load_optional("a", load).await
    });
    settle().await;
    let (theirs, release_theirs) = begin(&second);
    settle().await;
    release.send(()).unwrap();
    assert_eq!(ours.await.unwrap().unwrap(), None);
    fixture.clock.advance(Duration::from_millis(50));
    settle().await;
    release_theirs.send(Ok("loaded")).unwrap();
    assert_eq!(theirs.await.unwrap().unwrap(), "loaded");
}

#[tokio::test]
async fn a_tier_that_fails_grants_nothing_and_holds_nobody_up() {
    let fixture = Fixture::new("lease-down");
    let users = fixture.process().await;
    fixture.shared.fails.store(true, Ordering::SeqCst);
    let load = || async { Ok::<_, String>("loaded".to_owned()) };
    assert_eq!(users.get_or_load("a", load).await.unwrap(), "loaded");
    assert_eq!(users.get("a").await.unwrap().as_deref(), Some("loaded"), "from memory");
}

#[tokio::test]
async fn leases_can_be_switched_off() {
    let fixture = Fixture::new("lease-off");
    let (first, second) = (fixture.process().await, fixture.process().await);
    let (_ours, _never) = begin(&first);
    settle().await;
    let load = || async { Ok::<_, String>("loaded".to_owned()) };
    let theirs = second.get_or_load_with("a", LoadOptions::new().lease(false), load).await;
    assert_eq!(theirs.unwrap(), "loaded");
}
