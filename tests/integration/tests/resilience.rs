//! Loads that fail or are slow: stale values, limits, defaults.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::{
    Cache, CacheManager, ErrorKind, Format, LoadOptions, Loaded, ManualClock, SetOptions,
};
use larder_integration::{Strings, strings};
use tokio::sync::oneshot;

type Users = Cache<String, String>;

const SECOND: Duration = Duration::from_secs(1);

/// Of what a cache consists.
#[derive(Clone, Copy, Debug)]
enum Tiers {
    /// Memory alone.
    One,
    /// Memory over a puppet.
    Two,
    /// A puppet alone.
    Bytes,
}

const ALL: [Tiers; 3] = [Tiers::One, Tiers::Two, Tiers::Bytes];

struct Fixture {
    users: Users,
    clock: ManualClock,
    /// The tier that keeps bytes, if there is one.
    puppet: Arc<Strings>,
    name: String,
    text: String,
}

const RESILIENT: &str = "ttl = \"10s\"\n[caches.users.resilience]\nstale_for = \"1m\"\n\
                         stale_retry = \"20s\"\nsoft_timeout = \"1s\"\nhard_timeout = \"3s\"\n";

async fn open(text: &str, clock: &ManualClock) -> Users {
    let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
    builder.clock(Arc::new(clock.clone())).build().await.unwrap().cache("users").unwrap()
}

impl Fixture {
    /// A cache with these options, and a puppet that nobody else has.
    async fn new(tiers: Tiers, options: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("resilience-{}", COUNT.fetch_add(1, Ordering::SeqCst));
        let puppet = format!("backend = {{ kind = \"test.puppet\", name = \"{name}\" }}\n");
        let tiers = match tiers {
            Tiers::One => "backend = \"memory\"\n".to_owned(),
            Tiers::Two => format!("l1.backend = \"memory\"\nl2.{puppet}"),
            Tiers::Bytes => puppet,
        };
        let text = format!("[caches.users]\n{tiers}{options}");
        let clock = ManualClock::new();
        let users = open(&text, &clock).await;
        Self { users, clock, puppet: strings(&name), name, text }
    }

    /// The same cache as another process has it.
    async fn elsewhere(&self) -> Users {
        open(&self.text, &self.clock).await
    }

    /// With a value that is over its ttl.
    async fn stale(tiers: Tiers) -> Self {
        let fixture = Self::new(tiers, RESILIENT).await;
        fixture.users.set_with("a", "old".into(), &SetOptions::new().tag("t")).await.unwrap();
        fixture.clock.advance(10 * SECOND);
        fixture
    }

    async fn fails(&self) -> larder::Result<String> {
        self.users.get_or_load("a", || async { Err::<String, _>("the database is away") }).await
    }

    async fn loads(&self, value: &'static str) -> larder::Result<String> {
        self.users.get_or_load("a", move || async move { Ok::<_, String>(value.to_owned()) }).await
    }

    /// Begins a load that ends when it is told to.
    fn begins(&self, options: LoadOptions<String>) -> (Caller, oneshot::Sender<Ending>) {
        let (release, gate) = oneshot::channel::<Ending>();
        let users = self.users.clone();
        let load = move || async move { gate.await.unwrap() };
        let caller = tokio::spawn(async move { users.get_or_load_with("a", options, load).await });
        (caller, release)
    }

    fn stale_served(&self, reason: &str) -> u64 {
        let stats = self.users.stats().snapshot().resilience;
        stats.stale_reasons.iter().find(|(name, _)| name == reason).unwrap().1
    }

    fn loads_begun(&self) -> u64 {
        self.users.stats().snapshot().loads
    }
}

type Ending = Result<String, &'static str>;
type Caller = tokio::task::JoinHandle<larder::Result<String>>;

/// Lets every other task run until it waits.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_load_that_fails_is_answered_with_the_stale_value() {
    for tiers in ALL {
        let fixture = Fixture::stale(tiers).await;
        assert_eq!(fixture.users.get("a").await.unwrap(), None, "{tiers:?}: a plain read is not");
        assert_eq!(fixture.fails().await.unwrap(), "old", "{tiers:?}");
        assert_eq!(fixture.stale_served("failed"), 1);
        assert_eq!(fixture.users.get("a").await.unwrap(), None, "it did not become fresh");
        let panics =
            || async { if true { panic!("broken") } else { Ok::<String, String>(String::new()) } };
        fixture.clock.advance(20 * SECOND);
        assert_eq!(fixture.users.get_or_load("a", panics).await.unwrap(), "old");
        fixture.clock.advance(20 * SECOND);
        assert_eq!(fixture.loads("new").await.unwrap(), "new", "{tiers:?}");
        assert_eq!(fixture.users.get("a").await.unwrap().as_deref(), Some("new"));
    }
}

#[tokio::test]
async fn a_stale_value_is_gone_when_its_time_is_over_however_often_it_was_served() {
    for tiers in ALL {
        let fixture = Fixture::stale(tiers).await;
        for _ in 0..5 {
            assert_eq!(fixture.fails().await.unwrap(), "old");
            fixture.clock.advance(10 * SECOND);
        }
        fixture.clock.advance(10 * SECOND - Duration::from_micros(1));
        assert_eq!(
            fixture.users.get_stale("a").await.unwrap().as_deref(),
            Some("old"),
            "{tiers:?}"
        );
        fixture.clock.advance(Duration::from_micros(1));
        assert_eq!(fixture.fails().await.unwrap_err().kind(), ErrorKind::Load, "{tiers:?}");
        assert_eq!(fixture.users.get_stale("a").await.unwrap(), None);
        let oldest = fixture.users.stats().snapshot().resilience.oldest_stale_seconds;
        assert!(oldest <= 60.0, "{tiers:?}: {oldest}");
    }
}

#[tokio::test]
async fn after_a_failure_nobody_loads_until_it_is_tried_again() {
    for tiers in [Tiers::One, Tiers::Two] {
        let fixture = Fixture::stale(tiers).await;
        fixture.fails().await.unwrap();
        fixture.clock.advance(20 * SECOND - Duration::from_nanos(1));
        assert_eq!(fixture.loads("new").await.unwrap(), "old", "{tiers:?}");
        assert_eq!((fixture.loads_begun(), fixture.stale_served("throttled")), (1, 1));
        fixture.clock.advance(Duration::from_nanos(1));
        assert_eq!(fixture.loads("new").await.unwrap(), "new", "{tiers:?}");
        assert_eq!(fixture.loads_begun(), 2);
    }
}

#[tokio::test]
async fn a_call_may_refuse_stale_values_or_bring_a_default_that_is_not_stored() {
    for tiers in ALL {
        let fixture = Fixture::stale(tiers).await;
        let fails = || async { Err::<String, _>("away") };
        let load = |options| fixture.users.get_or_load_with("a", options, fails);
        let strict = load(LoadOptions::new().allow_stale(false)).await;
        assert_eq!(strict.unwrap_err().kind(), ErrorKind::Load);
        let default = load(LoadOptions::new().allow_stale(false).or_default("nobody".into()));
        assert_eq!(default.await.unwrap(), "nobody");
        let both = load(LoadOptions::new().or_default("nobody".into()));
        assert_eq!(both.await.unwrap(), "old", "better than a default");
        assert_eq!(fixture.users.get_stale("a").await.unwrap().as_deref(), Some("old"));
        assert_eq!(fixture.users.stats().snapshot().resilience.defaults_served, 1);
        let fresh = Fixture::new(tiers, RESILIENT).await;
        let options = LoadOptions::new().or_default("nobody".into());
        assert_eq!(fresh.users.get_or_load_with("a", options, fails).await.unwrap(), "nobody");
        assert_eq!(fresh.users.get_stale("a").await.unwrap(), None, "{tiers:?}");
    }
}

#[tokio::test]
async fn what_was_invalidated_is_never_served_stale() {
    for tiers in ALL {
        for change in ["delete", "tag", "clear", "pattern"] {
            for is_under_way in [false, true] {
                let fixture = Fixture::stale(tiers).await;
                let load = is_under_way.then(|| fixture.begins(LoadOptions::new()));
                settle().await;
                invalidate(&fixture.users, change).await;
                let error = match load {
                    Some((caller, release)) => {
                        release.send(Err("away")).unwrap();
                        caller.await.unwrap()
                    }
                    None => fixture.fails().await,
                };
                let kind = error.unwrap_err().kind();
                assert_eq!(kind, ErrorKind::Load, "{tiers:?} {change} {is_under_way}");
                assert_eq!(fixture.users.get_stale("a").await.unwrap(), None);
            }
        }
    }
}

async fn invalidate(users: &Users, change: &str) {
    match change {
        "delete" => users.delete("a").await.map(drop),
        "tag" => users.invalidate_tag("t").await,
        "clear" => users.clear().await,
        "pattern" => users.delete_pattern("*").await.map(drop),
        other => panic!("{other}"),
    }
    .unwrap();
}

#[tokio::test]
async fn after_the_soft_limit_the_stale_value_is_served_and_the_load_goes_on() {
    for tiers in ALL {
        let fixture = Fixture::stale(tiers).await;
        let (first, release) = fixture.begins(LoadOptions::new());
        settle().await;
        let second = fixture.begins(LoadOptions::new()).0;
        settle().await;
        fixture.clock.advance(SECOND);
        assert_eq!(first.await.unwrap().unwrap(), "old", "{tiers:?}");
        assert_eq!(second.await.unwrap().unwrap(), "old");
        assert_eq!(fixture.stale_served("timeout"), 2);
        if !matches!(tiers, Tiers::Bytes) {
            let third = fixture.loads("of the third").await;
            assert_eq!(
                third.unwrap(),
                "old",
                "{tiers:?}: nobody waits for what is known to be slow"
            );
        }
        release.send(Ok("new".into())).unwrap();
        settle().await;
        assert_eq!(fixture.users.get("a").await.unwrap().as_deref(), Some("new"), "{tiers:?}");
        assert_eq!(
            (fixture.loads_begun(), fixture.users.stats().snapshot().resilience.late_loads),
            (1, 1)
        );
    }
}

#[tokio::test]
async fn what_is_loaded_in_the_background_is_not_stored_after_an_invalidation() {
    for tiers in ALL {
        for change in ["delete", "tag", "clear", "pattern"] {
            let fixture = Fixture::stale(tiers).await;
            let (caller, release) = fixture.begins(LoadOptions::new().tag("t"));
            settle().await;
            fixture.clock.advance(SECOND);
            assert_eq!(caller.await.unwrap().unwrap(), "old");
            invalidate(&fixture.users, change).await;
            release.send(Ok("loaded before".into())).unwrap();
            settle().await;
            assert_eq!(fixture.users.get_stale("a").await.unwrap(), None, "{tiers:?} {change}");
            assert_eq!(fixture.elsewhere().await.get("a").await.unwrap(), None);
            assert_eq!(fixture.users.stats().snapshot().fenced, 1, "{tiers:?} {change}");
        }
    }
}

#[tokio::test]
async fn the_hard_limit_is_an_error_or_stale_and_the_load_goes_on_behind_it() {
    for tiers in ALL {
        let fixture = Fixture::new(tiers, RESILIENT).await;
        let (caller, release) = fixture.begins(LoadOptions::new());
        settle().await;
        fixture.clock.advance(3 * SECOND);
        let error = caller.await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.context("limit")), (ErrorKind::Timeout, Some("3s")));
        let second = fixture.begins(LoadOptions::new()).0;
        settle().await;
        assert_eq!(fixture.loads_begun(), 1, "{tiers:?}: the key is taken");
        release.send(Ok("new".into())).unwrap();
        assert_eq!(second.await.unwrap().unwrap(), "new");
        assert_eq!(fixture.users.get("a").await.unwrap().as_deref(), Some("new"));
        let stats = fixture.users.stats().snapshot();
        assert_eq!((stats.load_failures, stats.resilience.late_loads), (1, 1));
    }
}

#[tokio::test]
async fn a_load_that_fails_after_the_soft_limit_alone_counts_as_failed() {
    for tiers in ALL {
        let fixture = Fixture::new(tiers, RESILIENT).await;
        let (caller, release) = fixture.begins(LoadOptions::new());
        settle().await;
        fixture.clock.advance(2 * SECOND);
        release.send(Err("away")).unwrap();
        assert_eq!(caller.await.unwrap().unwrap_err().kind(), ErrorKind::Load);
        assert_eq!(fixture.users.stats().snapshot().load_failures, 1, "{tiers:?}");
    }
}

#[tokio::test]
async fn a_load_that_never_ends_gives_its_key_back_in_the_end() {
    for tiers in ALL {
        let fixture = Fixture::new(tiers, RESILIENT).await;
        let (caller, _never) = fixture.begins(LoadOptions::new());
        settle().await;
        fixture.clock.advance(3 * SECOND);
        assert_eq!(caller.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
        fixture.clock.advance(27 * SECOND);
        settle().await;
        assert_eq!(fixture.loads("new").await.unwrap(), "new", "{tiers:?}");
    }
}

#[tokio::test]
async fn a_load_without_background_ends_at_its_limit() {
    for tiers in ALL {
        let fixture = Fixture::new(tiers, RESILIENT).await;
        let (caller, release) = fixture.begins(LoadOptions::new().background(false));
        settle().await;
        fixture.clock.advance(3 * SECOND);
        let error = caller.await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.context("limit")), (ErrorKind::Timeout, Some("3s")));
        assert!(release.is_closed(), "{tiers:?}: its loader was dropped");
        assert_eq!(fixture.loads("new").await.unwrap(), "new");
        assert_eq!(fixture.users.stats().snapshot().load_failures, 1);
    }
}

#[tokio::test]
async fn an_entry_that_only_a_tier_keeps_is_served_stale_as_well() {
    let fixture = Fixture::stale(Tiers::Two).await;
    let users = fixture.elsewhere().await;
    let fails = || async { Err::<String, _>("away") };
    assert_eq!(users.get_or_load("a", fails).await.unwrap(), "old");
    let sets = fixture.puppet.sets.load(Ordering::SeqCst);
    let throttled = users.get_or_load("a", || async { Ok::<_, String>("new".to_owned()) }).await;
    assert_eq!(throttled.unwrap(), "old", "and its failure is remembered");
    assert_eq!(fixture.puppet.sets.load(Ordering::SeqCst), sets, "{}", fixture.name);
    fixture.clock.advance(60 * SECOND);
    assert_eq!(users.get_stale("a").await.unwrap(), None, "its end was not moved");
}

#[tokio::test]
async fn the_younger_of_two_stale_values_is_served() {
    let fixture = Fixture::stale(Tiers::Two).await;
    let elsewhere = fixture.elsewhere().await;
    elsewhere.set("a", "younger".into()).await.unwrap();
    fixture.clock.advance(10 * SECOND);
    assert_eq!(fixture.fails().await.unwrap(), "younger");
    assert_eq!(fixture.users.get_stale("a").await.unwrap().as_deref(), Some("younger"));
}

#[tokio::test]
async fn a_load_that_finds_out_that_there_is_no_value_leaves_none_to_fall_back_on() {
    for tiers in ALL {
        let fixture = Fixture::stale(tiers).await;
        let none = || async { Ok::<_, String>(None) };
        assert_eq!(fixture.users.get_or_load_optional("a", none).await.unwrap(), None);
        assert_eq!(fixture.users.get_stale("a").await.unwrap(), None, "{tiers:?}");
        assert!(fixture.fails().await.is_err());
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_gets_nothing_and_changes_nothing() {
    let fixture = Fixture::stale(Tiers::One).await;
    let (caller, release) = fixture.begins(LoadOptions::new());
    settle().await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    release.send(Ok("new".into())).unwrap();
    settle().await;
    assert_eq!(fixture.users.get("a").await.unwrap().as_deref(), Some("new"));
    assert_eq!(fixture.users.stats().snapshot().resilience.stale_served, 0);
}

#[test]
fn the_blocking_interface_serves_stale_values_and_defaults_too() {
    for tiers in [Tiers::One, Tiers::Two] {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let fixture = runtime.block_on(Fixture::stale(tiers));
        let users = fixture.users.blocking();
        let fails = || Err::<String, _>("away");
        assert_eq!(users.get_or_load("a", fails).unwrap(), "old", "{tiers:?}");
        assert_eq!(users.get_or_load("a", || Ok::<_, String>("new".into())).unwrap(), "old");
        assert_eq!((fixture.stale_served("failed"), fixture.stale_served("throttled")), (1, 1));
        assert_eq!(users.get_stale("a").unwrap().as_deref(), Some("old"));
        let options = || LoadOptions::new().or_default("nobody".to_owned());
        assert_eq!(users.get_or_load_with("b", options(), fails).unwrap(), "nobody");
        assert!(users.get_or_load("b", fails).is_err());
        users.delete("a").unwrap();
        assert!(users.get_or_load("a", fails).is_err(), "{tiers:?}");
    }
}

#[tokio::test]
async fn one_load_may_keep_its_value_longer_than_the_config_says() {
    let fixture = Fixture::new(Tiers::One, "ttl = \"10s\"\n").await;
    let options = || LoadOptions::new().stale_for(60 * SECOND);
    let load = || async { Ok::<_, String>("old".to_owned()) };
    fixture.users.get_or_load_with("a", options(), load).await.unwrap();
    fixture.clock.advance(10 * SECOND);
    assert!(fixture.fails().await.is_err(), "the other call does not want it");
    let fails = || async { Err::<String, _>("away") };
    assert_eq!(fixture.users.get_or_load_with("a", options(), fails).await.unwrap(), "old");
}

#[tokio::test]
async fn a_namespace_falls_back_and_is_cleared_with_its_stale_values() {
    let fixture = Fixture::new(Tiers::Two, RESILIENT).await;
    let shop = fixture.users.namespace("shop").unwrap();
    shop.set("a", "old".into()).await.unwrap();
    fixture.clock.advance(10 * SECOND);
    let fails = || async { Err::<String, _>("away") };
    assert_eq!(shop.get_or_load("a", fails).await.unwrap(), "old");
    shop.clear().await.unwrap();
    assert!(shop.get_or_load("a", fails).await.is_err());
    let none = |_| async { Ok::<_, String>(Loaded::none()) };
    assert_eq!(shop.get_or_load_with_context("a", LoadOptions::new(), none).await.unwrap(), None);
}

#[tokio::test]
async fn a_load_that_fails_behind_its_callers_counts_once() {
    for tiers in ALL {
        for is_stale in [false, true] {
            if is_stale && matches!(tiers, Tiers::Bytes) {
                continue;
            }
            let fixture = match is_stale {
                true => Fixture::stale(tiers).await,
                false => Fixture::new(tiers, RESILIENT).await,
            };
            let (caller, release) = fixture.begins(LoadOptions::new());
            settle().await;
            for _ in 0..4 {
                fixture.clock.advance(SECOND);
                settle().await;
            }
            assert_eq!(caller.await.unwrap().is_ok(), is_stale, "{tiers:?}");
            release.send(Err("away")).unwrap();
            settle().await;
            let stats = fixture.users.stats().snapshot();
            let counted = (stats.load_failures, stats.resilience.late_failures);
            assert_eq!(counted, (1, 1), "{tiers:?}, with a stale value: {is_stale}");
        }
    }
}

#[tokio::test]
async fn a_load_without_background_goes_on_for_who_waits_longest() {
    for tiers in ALL {
        let fixture = Fixture::new(tiers, RESILIENT).await;
        let patient = || LoadOptions::new().background(false).hard_timeout(10 * SECOND);
        let (first, release) = fixture.begins(LoadOptions::new().background(false));
        settle().await;
        let (second, _unused) = fixture.begins(patient());
        settle().await;
        fixture.clock.advance(3 * SECOND);
        assert_eq!(first.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout, "{tiers:?}");
        assert_eq!(fixture.users.stats().snapshot().load_failures, 1, "{tiers:?}: for the first");
        fixture.clock.advance(SECOND);
        release.send(Ok("new".to_owned())).unwrap();
        assert_eq!(second.await.unwrap().unwrap(), "new", "{tiers:?}");
        assert_eq!(fixture.loads("again").await.unwrap(), "new", "{tiers:?}: it was stored");
    }
}

#[tokio::test]
async fn a_load_without_background_ends_when_nobody_waits_any_more() {
    for tiers in ALL {
        let fixture = Fixture::new(tiers, RESILIENT).await;
        let patient = LoadOptions::new().background(false).hard_timeout(10 * SECOND);
        let (first, release) = fixture.begins(LoadOptions::new().background(false));
        settle().await;
        let (second, _unused) = fixture.begins(patient);
        settle().await;
        for _ in 0..10 {
            assert!(!release.is_closed(), "{tiers:?}: somebody waits");
            fixture.clock.advance(SECOND);
            settle().await;
        }
        for caller in [first, second] {
            assert_eq!(caller.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout, "{tiers:?}");
        }
        settle().await;
        assert!(release.is_closed(), "{tiers:?}: its loader was dropped");
    }
}

#[test]
fn a_blocking_loader_that_waits_for_itself_is_told_so() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for tiers in ALL {
        let users = runtime.block_on(Fixture::new(tiers, "ttl = \"10s\"\n")).users;
        let (done, is_done) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let users = users.blocking();
            let inner = users.clone();
            let own = move || inner.get_or_load("a", || Ok::<_, String>("never".into()));
            let alone = users.get_or_load("a", own);
            let inner = users.clone();
            let of_the_batch = move |keys: Vec<String>| {
                let nested = inner.get_or_load("b", || Ok::<_, String>("never".into()))?;
                Ok::<_, larder::CacheError>(keys.into_iter().map(move |key| (key, nested.clone())))
            };
            let batch = users.get_many_or_load(["a", "b"], LoadOptions::new(), of_the_batch);
            let twice = |keys: Vec<String>| {
                Ok::<_, larder::CacheError>(keys.into_iter().map(|key| (key, "x".to_owned())))
            };
            let twice = users.get_many_or_load(["c", "c"], LoadOptions::new(), twice);
            assert_eq!(twice.unwrap(), vec![Some("x".to_owned()); 2]);
            done.send((alone.map(drop), batch.map(drop))).unwrap();
        });
        let (alone, batch) = is_done.recv_timeout(Duration::from_secs(30)).expect("they end");
        for error in [alone.unwrap_err(), batch.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Load);
            let text = format!("{error:#} {:?}", std::error::Error::source(&error));
            assert!(text.contains("is to load itself"), "{tiers:?}: {text}");
        }
    }
}
