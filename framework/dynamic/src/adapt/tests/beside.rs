//! What stands beside the tiers of a cache: invalidators, warmers and replicators, in C and in
//! Rust, with the same results.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use larder_abi::Status;
use larder_core::invalidator::{Invalidation, InvalidationSink, Invalidator, Scope};
use larder_core::plugin::Factory;
use larder_core::replicator::{Mutation, MutationSink, Replicator};
use larder_core::warmer::{Warmer, WarmingStats, WarmingTrigger};
use larder_core::{
    BuildContext, Clock, Entry, ErrorKind, ManualClock, Result, Stamp, SystemClock, Timestamp,
};
use serde_json::{Value, json};

use crate::guest::part;
use crate::host;
use crate::library::Component;
use crate::testing;

mod rust;

/// Longer than anything here takes.
const MINUTE: Duration = Duration::from_secs(60);

/// The components of a language: invalidator, warmer, replicator.
type Parts = [&'static Component; 3];

static RUST: LazyLock<Parts> = LazyLock::new(|| {
    [
        testing::component(part::invalidator::<rust::EchoInvalidator>().component()),
        testing::component(part::warmer::<rust::EchoWarmer>().component()),
        testing::component(part::replicator::<rust::EchoReplicator>().component()),
    ]
});

#[cfg(not(miri))]
static IN_C: LazyLock<&crate::Library> = LazyLock::new(|| {
    testing::compiled_whole("c-echo", "framework/dynamic/src/adapt/tests/beside/echo.c")
});

#[cfg(not(miri))]
fn languages() -> Vec<Parts> {
    let [invalidator, warmer, replicator] = &IN_C.components[..] else { panic!("it has three") };
    vec![[invalidator, warmer, replicator], *RUST]
}

#[cfg(miri)]
fn languages() -> Vec<Parts> {
    vec![*RUST]
}

fn context(clock: &Arc<dyn Clock>) -> BuildContext {
    BuildContext::new("beside").clock(Arc::clone(clock))
}

async fn invalidator(of: &'static Component, clock: &Arc<dyn Clock>) -> Arc<dyn Invalidator> {
    let Factory::Invalidator(factory) = testing::factory(of) else { panic!("an invalidator") };
    factory.build(json!({}), &context(clock)).await.unwrap()
}

async fn warmer(of: &'static Component, options: Value) -> Arc<dyn Warmer> {
    let Factory::Warmer(factory) = testing::factory(of) else { panic!("a warmer") };
    factory.build(options, &context(&SystemClock::shared())).await.unwrap()
}

async fn replicator(of: &'static Component) -> Arc<dyn Replicator> {
    let Factory::Replicator(factory) = testing::factory(of) else { panic!("a replicator") };
    factory.build(json!({}), &context(&SystemClock::shared())).await.unwrap()
}

/// Takes everything.
#[derive(Debug, Default)]
struct Cache {
    invalidated: Mutex<Vec<Invalidation>>,
    applied: Mutex<Vec<Mutation>>,
    lost: AtomicU64,
}

#[async_trait]
impl InvalidationSink for Cache {
    async fn invalidate(&self, invalidation: Invalidation) -> Result<()> {
        self.invalidated.lock().unwrap().push(invalidation);
        Ok(())
    }

    async fn lost_track(&self) {
        self.lost.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl MutationSink for Cache {
    async fn apply(&self, batch: Vec<Mutation>) -> Result<()> {
        self.applied.lock().unwrap().extend(batch);
        Ok(())
    }
}

fn at(micros: u64) -> Stamp {
    Stamp { time: Timestamp::from_micros(micros), origin: 7 }
}

fn key(key: &str) -> Invalidation {
    Invalidation::new(Scope::Key(key.to_owned()), at(9))
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let patience = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(MINUTE, patience).await;
    in_time.unwrap_or_else(|_| panic!("not so after a minute: {what}"));
}

#[tokio::test]
async fn an_invalidator_delivers_publishes_and_matches() {
    for [part, ..] in languages() {
        let (invalidator, cache) =
            (invalidator(part, &SystemClock::shared()).await, Arc::new(Cache::default()));
        invalidator.start(Arc::clone(&cache) as _).await.unwrap();
        assert_eq!(cache.lost.load(Ordering::SeqCst), 1, "{part:?}");
        let mut kept = Invalidation::new(Scope::Tag("news".to_owned()), at(3));
        kept.keep_as_fallback = true;
        let sent = [key("one"), kept, Invalidation::new(Scope::Version(at(5)), at(5))];
        for event in &sent {
            invalidator.publish(event).await.unwrap();
        }
        let heard = cache.invalidated.lock().unwrap().clone();
        assert_eq!(heard[0].scope, Scope::Key("started".to_owned()));
        assert_eq!(heard[1..], sent);
        assert!(invalidator.matches("-7", "user-7") && !invalidator.matches("-7", "user-8"));
        let error = invalidator.publish(&key("fails")).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Invalidation, "not today"));
        invalidator.stop().await.unwrap();
        let error = invalidator.publish(&key("late")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed, "after it stopped nothing is delivered");
    }
}

#[tokio::test]
async fn what_an_invalidator_does_not_answer_is_given_up_at_its_deadline() {
    for [part, ..] in languages() {
        let manual = ManualClock::new();
        let clock: Arc<dyn Clock> = Arc::new(manual.clone());
        let invalidator = invalidator(part, &clock).await;
        let never = key("never");
        let publish = invalidator.publish(&never);
        let later = async {
            until("it is waited for", || manual.sleepers() > 0).await;
            manual.advance(MINUTE);
        };
        let (published, ()) = tokio::join!(publish, later);
        assert_eq!(published.unwrap_err().kind(), ErrorKind::Timeout);
    }
}

#[tokio::test]
async fn an_invalidator_that_panicked_is_replaced_and_the_cache_told_that_something_may_be_lost() {
    for [part, ..] in languages() {
        let manual = ManualClock::new();
        let clock: Arc<dyn Clock> = Arc::new(manual.clone());
        let (invalidator, cache) = (invalidator(part, &clock).await, Arc::new(Cache::default()));
        invalidator.start(Arc::clone(&cache) as _).await.unwrap();
        let error = invalidator.publish(&key("panics")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Plugin, "{error}");
        assert!(invalidator.matches("any", "thing"), "what cannot be asked about is a match");
        invalidator.publish(&key("down")).await.unwrap_err();
        manual.advance(MINUTE);
        let comes_back = async {
            while invalidator.publish(&key("back")).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(MINUTE, comes_back).await.expect("another one takes its place");
        // By both instances when they started, and by the host for what lay between.
        until("it was told", || cache.lost.load(Ordering::SeqCst) == 3).await;
        let heard = cache.invalidated.lock().unwrap().clone();
        assert_eq!(heard.last().unwrap().scope, Scope::Key("back".to_owned()));
    }
}

#[tokio::test]
async fn a_panic_where_no_status_is_returned_takes_an_invalidator_down() {
    let [part, ..] = *RUST;
    let invalidator = invalidator(part, &SystemClock::shared()).await;
    assert!(invalidator.matches("panics", "key"));
    let error = invalidator.publish(&key("one")).await.unwrap_err();
    assert!(error.to_string().contains("in an earlier call"), "{error}");
}

#[tokio::test]
async fn a_warmer_names_its_keys_a_batch_at_a_time() {
    for [_, part, _] in languages() {
        for count in [0, 1, 255, 256, 257, 600] {
            let warmer = warmer(part, json!({"count": count})).await;
            let mut keys = warmer.keys(WarmingTrigger::Startup).await.unwrap();
            assert_eq!(keys.estimate(), Some(count as u64));
            let mut named = Vec::new();
            while let Some(batch) = keys.next_batch().await.unwrap() {
                assert!(!batch.is_empty() && batch.len() <= 256);
                named.extend(batch);
            }
            assert!(keys.next_batch().await.unwrap().is_none(), "the end stays the end");
            assert_eq!(named.len(), count);
            for (number, warm) in named.iter().enumerate() {
                assert_eq!(warm.key, format!("key-{number}"));
                assert_eq!(warm.priority, i32::try_from(count - number).unwrap());
                let value = (number % 2 == 0).then_some(&b"v"[..]);
                assert_eq!(warm.value.as_deref(), value);
            }
        }
        let warmer = warmer(part, json!({"count": 1})).await;
        let error = warmer.keys(WarmingTrigger::Failover).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    }
}

/// A number that the plugin in C counts.
#[cfg(not(miri))]
fn number_in_c(name: &str) -> u64 {
    let name = larder_abi::value::Slice::new(name.as_bytes());
    // SAFETY: it is a function of the plugin, and the name lives.
    let at = unsafe { IN_C.query.unwrap()(&raw const name) };
    // SAFETY: it is a number that the plugin writes as an atomic.
    unsafe { AtomicU64::from_ptr(at.cast_mut().cast()) }.load(Ordering::SeqCst)
}

#[cfg(not(miri))]
#[tokio::test]
async fn a_run_ends_after_the_library_was_told_that_nobody_waits_for_its_keys() {
    let [_, part, _] = languages()[0];
    let warmer = warmer(part, json!({"count": 77})).await;
    let mut keys = warmer.keys(WarmingTrigger::Demand).await.unwrap();
    let waited = tokio::time::timeout(Duration::from_millis(10), keys.next_batch()).await;
    assert!(waited.is_err(), "it answers later, and does not: {waited:?}");
    drop((keys, warmer));
    until("the run has ended", || number_in_c("x-ended") == 1).await;
    until("it was told", || number_in_c("x-told") == 1).await;
    assert_eq!(number_in_c("x-overtaken"), 0, "the end came first");
}

/// What the last run of a language said that it warmed.
fn warmed(part: &Component) -> u64 {
    #[cfg(not(miri))]
    if part.plugin == "c-echo" {
        return number_in_c("x-warmed");
    }
    rust::WARMED.load(Ordering::SeqCst)
}

/// One test, for all of it is about what the whole process counts.
#[tokio::test]
async fn a_run_ends_once_with_what_it_did_or_without() {
    for [_, part, _] in languages() {
        let warmer = warmer(part, json!({"count": 300})).await;
        let mut keys = warmer.keys(WarmingTrigger::Schedule).await.unwrap();
        while keys.next_batch().await.unwrap().is_some() {}
        let mut stats = WarmingStats::default();
        stats.warmed = 4711;
        warmer.finished(&stats);
        drop(keys);
        until("it was told", || warmed(part) == 4711).await;

        // Nobody says what these did: one is given up, one fails.
        let mut keys = warmer.keys(WarmingTrigger::Demand).await.unwrap();
        keys.next_batch().await.unwrap();
        drop(keys);
        stats.warmed = 4712;
        warmer.finished(&stats);
        let mut keys = warmer.keys(WarmingTrigger::Demand).await.unwrap();
        while keys.next_batch().await.unwrap().is_some() {}
        stats.warmed = 4713;
        warmer.finished(&stats);
        until("it was told of the last one", || warmed(part) == 4713).await;
        // With the warmer goes a run that is over, and of which nobody said anything.
        let mut keys = warmer.keys(WarmingTrigger::Demand).await.unwrap();
        while keys.next_batch().await.unwrap().is_some() {}
        drop((keys, warmer));
    }
    until("every run in Rust is over", || rust::RUNS.load(Ordering::SeqCst) == 0).await;

    let [_, part, _] = *RUST;
    let warmer = warmer(part, json!({"count": 13})).await;
    let mut keys = warmer.keys(WarmingTrigger::Demand).await.unwrap();
    let error = keys.next_batch().await.unwrap_err();
    assert!(error.to_string().contains("thirteen keys"), "{error}");
    assert!(keys.next_batch().await.unwrap().is_none());
    let error = warmer.keys(WarmingTrigger::Demand).await.unwrap_err();
    assert!(error.to_string().contains("in an earlier call"), "{error}");
}

#[tokio::test]
async fn a_replicator_carries_changes_and_says_how_far_it_is() {
    for [.., part] in languages() {
        let (replicator, cache) = (replicator(part).await, Arc::new(Cache::default()));
        replicator.start(Arc::clone(&cache) as _).await.unwrap();
        let mut entry = Entry { value: vec![7; 5000].into(), ..Entry::default() };
        entry.meta.stamp = at(5);
        entry.meta.hard_deadline = Some(Timestamp::from_micros(77));
        let sent = vec![
            Mutation::Put { key: "k".to_owned(), entry },
            Mutation::Delete { key: "gone".to_owned(), stamp: at(6) },
            Mutation::Invalidate { scope: Scope::Prefix("user:".to_owned()), stamp: at(7) },
        ];
        replicator.send(sent.clone()).await.unwrap();
        replicator.send(Vec::new()).await.unwrap();
        assert_eq!(*cache.applied.lock().unwrap(), sent);
        let [status] = &replicator.status()[..] else { panic!("there is one target") };
        assert_eq!((status.target.as_str(), status.queued, status.dirty), ("eu", 3, true));
        assert_eq!(status.lag, Duration::from_micros(1500));
        assert_eq!(status.error.as_deref(), Some("away"));
        let error = replicator.stop(Duration::from_millis(999)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        replicator.stop(MINUTE).await.unwrap();
        let error = replicator.send(sent).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed, "after it stopped nothing is delivered");
    }
}

#[tokio::test]
async fn a_replicator_whose_status_panics_says_so_and_is_down() {
    let [.., part] = *RUST;
    let replicator = replicator(part).await;
    replicator.start(Arc::new(Cache::default())).await.unwrap();
    let delete = |number: u64| Mutation::Delete { key: number.to_string(), stamp: at(number) };
    replicator.send((0..7).map(delete).collect()).await.unwrap();
    for says in ["panicked", "in an earlier call"] {
        let [status] = &replicator.status()[..] else { panic!("there is one") };
        assert_eq!(status.target, "rust-echo.replicator");
        let error = status.error.as_deref().unwrap();
        assert!(error.contains(says), "{error}");
    }
    replicator.send(vec![delete(8)]).await.unwrap_err();
}

/// A number that an instance had is not that of the next one.
#[tokio::test]
async fn what_was_destroyed_cannot_deliver() {
    let hub = host::sinks::Hub::new(MINUTE);
    let number = hub.number();
    let (first, sink) = (number.0, host::table().sink_lost_track.unwrap());
    hub.open(host::sinks::Sink::Invalidations(Arc::new(Cache::default())));
    drop(number);
    let second = hub.number();
    // SAFETY: any number may be told.
    let late = std::thread::spawn(move || unsafe { sink(first) });
    assert_eq!(late.join().unwrap(), Status::CLOSED);
    assert_ne!(first, second.0);
}
