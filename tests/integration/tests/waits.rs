//! How long callers wait: never longer than their limits, whatever hangs.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::{Cache, CacheManager, ErrorKind, Format, LoadOptions, ManualClock, SetOptions};
use larder_integration::{Strings, strings};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

type Users = Cache<String, String>;

const SECOND: Duration = Duration::from_secs(1);

/// The limit of all callers here.
const LIMIT: Duration = Duration::from_secs(3);

const LIMITED: &str = "ttl = \"10s\"\nresilience.hard_timeout = \"3s\"\n";
const STALE: &str = "resilience.stale_for = \"1m\"\n";

struct Fixture {
    users: Users,
    clock: ManualClock,
    puppet: Arc<Strings>,
}

impl Fixture {
    /// A cache over a puppet that nobody else has, with or without memory in front.
    async fn new(has_memory: bool, options: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("waits-{}", COUNT.fetch_add(1, Ordering::SeqCst));
        let puppet = format!("backend = {{ kind = \"test.puppet\", name = \"{name}\" }}\n");
        let tiers = match has_memory {
            true => format!("l1.backend = \"memory\"\nl2.{puppet}"),
            false => puppet,
        };
        let text = format!("[caches.users]\n{tiers}{LIMITED}{options}");
        let clock = ManualClock::new();
        let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
        let manager = builder.clock(Arc::new(clock.clone())).build().await.unwrap();
        Self { users: manager.cache("users").unwrap(), clock, puppet: strings(&name) }
    }

    fn calls<F>(&self, call: impl FnOnce(Users) -> F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        tokio::spawn(call(self.users.clone()))
    }

    /// What a caller gets, and how much time passes until then.
    async fn answer<T>(&self, caller: JoinHandle<T>) -> (T, Duration) {
        const STEP: Duration = Duration::from_millis(10);
        let mut waited = Duration::ZERO;
        loop {
            settle().await;
            if caller.is_finished() {
                return (caller.await.unwrap(), waited);
            }
            assert!(waited < 60 * SECOND, "it waits for ever");
            self.clock.advance(STEP);
            waited += STEP;
        }
    }
}

/// Lets every other task run until it waits.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

async fn hangs() -> Result<String, String> {
    pending().await
}

#[tokio::test]
async fn the_search_for_a_stale_value_does_not_come_on_top_of_the_limit() {
    for background in [true, false] {
        let fixture = Fixture::new(false, STALE).await;
        fixture.users.set("a", "old".into()).await.unwrap();
        fixture.clock.advance(10 * SECOND);
        fixture.puppet.hang_in("get");
        let options = LoadOptions::new().background(background);
        let load = |users: Users| async move { users.get_or_load_with("a", options, hangs).await };
        let (answer, waited) = fixture.answer(fixture.calls(load)).await;
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Timeout);
        assert_eq!(waited, LIMIT, "background = {background}");
        settle().await;
        assert_eq!(fixture.users.stats().snapshot().load_failures, 1);
    }
}

#[tokio::test]
async fn a_stale_value_of_a_tier_that_answers_is_there_at_the_limit() {
    let fixture = Fixture::new(false, STALE).await;
    fixture.users.set("a", "old".into()).await.unwrap();
    fixture.clock.advance(10 * SECOND);
    let load = |users: Users| async move { users.get_or_load("a", hangs).await };
    let (answer, waited) = fixture.answer(fixture.calls(load)).await;
    assert_eq!((answer.unwrap().as_str(), waited), ("old", LIMIT));
    fixture.clock.advance(30 * SECOND);
    settle().await;
    let caller = fixture.calls(load);
    settle().await;
    fixture.clock.advance(LIMIT - Duration::from_millis(1));
    settle().await;
    fixture.users.delete("a").await.unwrap();
    let (answer, waited) = fixture.answer(caller).await;
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Timeout, "it was found, and deleted since");
    assert_eq!(waited, Duration::from_millis(10));
}

#[tokio::test]
async fn a_load_that_fails_late_leaves_no_time_for_a_tier_that_hangs() {
    let fixture = Fixture::new(false, STALE).await;
    fixture.users.set("a", "old".into()).await.unwrap();
    fixture.clock.advance(10 * SECOND);
    let (release, gate) = oneshot::channel::<()>();
    let load = move || async move {
        gate.await.unwrap();
        Err::<String, _>("away")
    };
    let caller = fixture.calls(|users| async move { users.get_or_load("a", load).await });
    settle().await;
    fixture.clock.advance(LIMIT - SECOND / 2);
    fixture.puppet.hang_in("get");
    release.send(()).unwrap();
    let (answer, waited) = fixture.answer(caller).await;
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Load);
    assert!(waited <= SECOND / 2, "{waited:?}");
}

#[tokio::test]
async fn who_waited_for_a_load_without_a_value_has_waited_for_that_time() {
    let fixture = Fixture::new(true, "").await;
    let (release, gate) = oneshot::channel::<()>();
    let first = fixture.calls(|users| async move {
        let load = move || async move {
            gate.await.unwrap();
            Ok::<Option<String>, String>(None)
        };
        users.get_or_load_optional("a", load).await
    });
    settle().await;
    let second = fixture.calls(|users| async move { users.get_or_load("a", hangs).await });
    settle().await;
    fixture.clock.advance(2 * SECOND);
    release.send(()).unwrap();
    assert_eq!(first.await.unwrap().unwrap(), None);
    let (answer, waited) = fixture.answer(second).await;
    assert_eq!((answer.unwrap_err().kind(), waited), (ErrorKind::Timeout, SECOND));
}

#[tokio::test]
async fn many_keys_with_tags_wait_no_longer_than_one() {
    for has_memory in [true, false] {
        let fixture = Fixture::new(has_memory, "").await;
        let keys = ["a", "b", "c", "d", "e"];
        for key in keys {
            let tagged = SetOptions::new().tag(format!("tag of {key}"));
            fixture.users.set_with(key, "old".into(), &tagged).await.unwrap();
        }
        fixture.clock.advance(10 * SECOND);
        fixture.puppet.hang_in("get");
        let options = LoadOptions::new().tags(["x", "y", "z"]);
        let load = |users: Users| async move {
            let load = |_| pending::<Result<Vec<(String, String)>, String>>();
            users.get_many_or_load(keys, options, load).await
        };
        let (answer, waited) = fixture.answer(fixture.calls(load)).await;
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Timeout);
        assert_eq!(waited, LIMIT);
        let stats = fixture.users.stats().snapshot();
        assert_eq!((stats.hits, stats.misses), (0, 5));
    }
}
