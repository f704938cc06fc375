//! Every event of caches is heard in a test; here those about loads that are slow or fail.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder::{Cache, CacheManager, Format, ManualClock};
use larder_core::telemetry;
use larder_integration::until;
use tokio::sync::oneshot;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Writes down the events of Larder, with their fields.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        match field.name() {
            "message" => self.0 = format!("{value:?}{}", self.0),
            "error" => self.0 += " error",
            name => self.0 += &format!(" {name}={value:?}"),
        }
    }
}

impl<S: tracing::Subscriber> Layer<S> for Events {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        // Sweeps come when time passes.
        let is_of_interest = *event.metadata().level() < tracing::Level::TRACE;
        if event.metadata().target() == telemetry::TARGET && is_of_interest {
            let mut line = Line(String::new());
            event.record(&mut line);
            self.0.lock().unwrap().push(line.0);
        }
    }
}

impl Events {
    /// What was heard since, when there is something.
    async fn next(&self) -> BTreeSet<String> {
        let mut heard = BTreeSet::new();
        until("an event", || {
            heard.extend(self.0.lock().unwrap().drain(..));
            !heard.is_empty()
        })
        .await;
        heard
    }
}

fn set(lines: &[&str]) -> BTreeSet<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

const CACHE: &str = "[caches.users]\nbackend = \"memory\"\nttl = \"10s\"\nrefresh_ahead = 0.5\n\
    [caches.users.resilience]\nstale_for = \"1m\"\nstale_retry = \"5s\"\nsoft_timeout = \"100ms\"\n";

async fn failing(users: &Cache<u64, u64>) -> larder::Result<u64> {
    users.get_or_load(&1, || async { Err::<u64, _>("the source is away") }).await
}

#[tokio::test]
async fn what_is_done_about_slow_and_failing_loads_is_heard_of() {
    let events = Events::default();
    let subscriber = tracing_subscriber::registry().with(events.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let clock = ManualClock::new();
    let builder = CacheManager::builder().text("caches.toml", Format::Toml, CACHE);
    let manager = builder.clock(Arc::new(clock.clone())).build().await.unwrap();
    let users = manager.cache::<u64, u64>("users").unwrap();
    users.set(&1, 7).await.unwrap();
    events.next().await;

    clock.advance(Duration::from_secs(6));
    assert_eq!(failing(&users).await.unwrap(), 7);
    let mut heard = events.next().await;
    while heard.len() < 2 {
        heard.append(&mut events.next().await);
    }
    let expected = ["refresh.failed cache=users error", "refresh.started cache=users"];
    assert_eq!(heard, set(&expected));

    clock.advance(Duration::from_secs(20));
    assert_eq!(failing(&users).await.unwrap(), 7);
    let served =
        |reason: &str, age: &str| format!("stale.served cache=users reason={reason} age={age}");
    let heard = events.next().await;
    assert!(heard.contains("load.failed cache=users error"), "{heard:?}");
    assert!(heard.contains(&served("failed", "16s")), "{heard:?}");
    assert_eq!(failing(&users).await.unwrap(), 7);
    assert_eq!(events.next().await, set(&[&served("throttled", "16s")]));

    clock.advance(Duration::from_secs(6));
    let (release, released) = oneshot::channel::<()>();
    let slow = users.clone();
    let caller = tokio::spawn(async move {
        let load = || async move {
            released.await.unwrap();
            Ok::<_, String>(8)
        };
        slow.get_or_load(&1, load).await
    });
    until("a caller who waits", || clock.sleepers() > 0).await;
    clock.advance(Duration::from_millis(100));
    assert_eq!(caller.await.unwrap().unwrap(), 7);
    assert_eq!(events.next().await, set(&[&served("timeout", "22.1s")]));
    clock.advance(Duration::from_secs(1));
    release.send(()).unwrap();
    assert_eq!(events.next().await, set(&["load.late cache=users is_ok=true"]));
}

/// The text of all tests below a folder.
fn tests_below(folder: &Path, text: &mut String) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() {
            tests_below(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            *text += &std::fs::read_to_string(&path).unwrap();
        }
    }
}

#[test]
fn every_event_of_caches_is_in_a_test_that_hears_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    tests_below(&root.join("tests"), &mut text);
    let is_heard =
        |name: &str| ["\"", " "].iter().any(|after| text.contains(&format!("\"{name}{after}")));
    // Those of plugins are heard in the crates that say them.
    let of_plugins = ["connection.", "disk.", "plugin.", "redis."];
    let is_of_caches = |name: &str| !of_plugins.iter().any(|one| name.starts_with(one));
    let names = telemetry::ALL.iter().map(|(name, _)| *name);
    let unheard: Vec<&str> = names.filter(|name| is_of_caches(name) && !is_heard(name)).collect();
    assert!(unheard.is_empty(), "no test hears {unheard:?}");
}

#[tokio::test]
async fn a_loaded_value_for_which_there_is_no_room_is_heard_of() {
    for below in ["", "l2.backend = { kind = \"test.puppet\", name = \"no-room\" }\n"] {
        let events = Events::default();
        let subscriber = tracing_subscriber::registry().with(events.clone());
        let _guard = tracing::subscriber::set_default(subscriber);
        let text = format!(
            "[caches.users]\nl1.backend = {{ kind = \"memory\", capacity = 1, \
             on_full = \"reject\" }}\n{below}"
        );
        let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
        let users = builder.build().await.unwrap().cache::<u64, u64>("users").unwrap();
        users.set(&1, 7).await.unwrap();
        events.0.lock().unwrap().clear();
        let loaded = users.get_or_load(&2, || async { Ok::<_, String>(8) }).await.unwrap();
        assert_eq!(loaded, 8);
        assert_eq!(events.next().await, set(&["store.failed cache=users tier=l1 error"]));
    }
}
