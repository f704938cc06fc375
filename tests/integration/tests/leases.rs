//! One load per key among processes that share a tier. Each manager stands for a process.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::{Cache, CacheManager, Clock, Format, LoadOptions, ManualClock, SystemClock};
use larder_integration::{Strings, strings};
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

/// Begins a load that ends when it is told to.
fn begin(users: &Users) -> (Caller, oneshot::Sender<Result<&'static str, &'static str>>) {
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
    let text = text("lease-herd");
    let begun = Arc::new(AtomicU64::new(0));
    let mut callers = Vec::new();
    for _ in 0..4 {
        let users = open(&text, SystemClock::shared()).await;
        for _ in 0..2500 {
            let (users, begun) = (users.clone(), Arc::clone(&begun));
            let load = move || async move {
                begun.fetch_add(1, Ordering::SeqCst);
                // Long enough for the others to come.
                for _ in 0..10_000 {
                    tokio::task::yield_now().await;
                }
                Ok::<_, String>("loaded".to_owned())
            };
            callers.push(tokio::spawn(async move { users.get_or_load("a", load).await }));
        }
    }
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
