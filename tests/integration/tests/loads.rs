//! Loading: one load per key, nobody stranded, nothing old stored.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::{Cache, CacheManager, ErrorKind, Format, Lookup, ManualClock, SetOptions};
use tokio::sync::oneshot;

const MEMORY: &str = "[caches.users]\nnegative_ttl = \"5s\"\nbackend = \"memory\"\n\
                      resilience = { hard_timeout = \"2s\" }";

async fn users() -> (Cache<u64, String>, ManualClock) {
    let clock = ManualClock::new();
    let manager = CacheManager::builder()
        .text("caches.toml", Format::Toml, MEMORY)
        .clock(Arc::new(clock.clone()))
        .build()
        .await
        .unwrap();
    (manager.cache("users").unwrap(), clock)
}

/// Lets every other task run until it waits.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_thousand_callers_are_one_load() {
    let (users, _clock) = users().await;
    let loads = Arc::new(AtomicU64::new(0));
    let (release, gate) = oneshot::channel::<()>();
    let gate = Arc::new(tokio::sync::Mutex::new(Some(gate)));
    let callers: Vec<_> = (0..1000)
        .map(|_| {
            let (users, loads, gate) = (users.clone(), Arc::clone(&loads), Arc::clone(&gate));
            tokio::spawn(async move {
                let load = move || async move {
                    loads.fetch_add(1, Ordering::SeqCst);
                    let gate = gate.lock().await.take().unwrap();
                    gate.await.unwrap();
                    Ok::<_, String>("Ada".to_owned())
                };
                users.get_or_load(&42, load).await.unwrap()
            })
        })
        .collect();
    settle().await;
    release.send(()).unwrap();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "Ada");
    }
    assert_eq!(loads.load(Ordering::SeqCst), 1);
    let stats = users.stats().snapshot();
    assert_eq!((stats.loads, stats.coalesced), (1, 999));
}

#[tokio::test]
async fn a_first_caller_that_goes_away_strands_nobody() {
    let (users, _clock) = users().await;
    let (release, gate) = oneshot::channel::<()>();
    let first = tokio::spawn({
        let users = users.clone();
        async move {
            let load = move || async move {
                gate.await.unwrap();
                Ok::<_, String>("from the first".to_owned())
            };
            users.get_or_load(&1, load).await
        }
    });
    settle().await;
    let second = tokio::spawn({
        let users = users.clone();
        async move { users.get_or_load(&1, || async { Ok::<_, String>("second".into()) }).await }
    });
    settle().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    release.send(()).unwrap();
    assert_eq!(second.await.unwrap().unwrap(), "from the first");
    assert_eq!(users.stats().snapshot().loads, 1);
}

#[test]
fn without_a_runtime_a_waiter_takes_over_from_a_caller_that_goes_away() {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (users, _clock) = runtime.block_on(users());
    let mut context = Context::from_waker(Waker::noop());
    let mut first = Box::pin(users.get_or_load(&1, std::future::pending::<Result<String, String>>));
    let mut second = pin!(users.get_or_load(&1, || async { Ok::<_, String>("second".to_owned()) }));
    assert!(first.as_mut().poll(&mut context).is_pending());
    assert!(second.as_mut().poll(&mut context).is_pending());
    drop(first);
    let Poll::Ready(value) = second.as_mut().poll(&mut context) else { panic!("stranded") };
    assert_eq!(value.unwrap(), "second");
}

#[tokio::test]
async fn an_error_reaches_everybody_and_is_not_remembered() {
    let (users, _clock) = users().await;
    let (release, gate) = oneshot::channel::<()>();
    let load = move || async move {
        gate.await.unwrap();
        Err::<String, _>(std::io::Error::other("the database is away"))
    };
    let first = tokio::spawn({
        let users = users.clone();
        async move { users.get_or_load(&1, load).await }
    });
    settle().await;
    let second = tokio::spawn({
        let users = users.clone();
        async move { users.get_or_load(&1, || async { Ok::<_, String>("second".into()) }).await }
    });
    settle().await;
    release.send(()).unwrap();
    for caller in [first, second] {
        let error = caller.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Load);
        let source = error.source().unwrap().downcast_ref::<std::io::Error>();
        assert_eq!(source.unwrap().to_string(), "the database is away");
    }
    let again = users.get_or_load(&1, || async { Ok::<_, String>("again".into()) }).await;
    assert_eq!(again.unwrap(), "again");
}

#[tokio::test]
async fn a_panic_becomes_an_error_for_everybody() {
    let (users, _clock) = users().await;
    let (release, gate) = oneshot::channel::<()>();
    let first = tokio::spawn({
        let users = users.clone();
        let load = move || async move {
            gate.await.unwrap();
            if true {
                panic!("row {} is broken", 7);
            }
            Ok::<_, String>(String::new())
        };
        async move { users.get_or_load(&1, load).await }
    });
    settle().await;
    let second = tokio::spawn({
        let users = users.clone();
        async move { users.get_or_load(&1, || async { Ok::<_, String>("second".into()) }).await }
    });
    settle().await;
    release.send(()).unwrap();
    for caller in [first, second] {
        let error = caller.await.unwrap().unwrap_err();
        assert_eq!(
            (error.kind(), error.context("panic")),
            (ErrorKind::Load, Some("row 7 is broken"))
        );
    }
    assert_eq!(users.stats().snapshot().load_failures, 1);
}

#[tokio::test]
async fn a_load_that_hangs_ends_at_the_hard_limit() {
    let (users, clock) = users().await;
    let caller = tokio::spawn({
        let users = users.clone();
        async move { users.get_or_load(&1, std::future::pending::<Result<String, String>>).await }
    });
    settle().await;
    clock.advance(Duration::from_secs(2));
    let error = caller.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.context("limit")), (ErrorKind::Timeout, Some("2s")));
}

/// Runs a change of the cache while a load of key 1 is under way, and returns what is cached
/// after the load has landed.
async fn load_across<C, F>(change: C) -> Option<String>
where
    C: FnOnce(Cache<u64, String>) -> F,
    F: Future<Output = ()>,
{
    let (users, _clock) = users().await;
    let (release, gate) = oneshot::channel::<()>();
    let caller = tokio::spawn({
        let users = users.clone();
        let load = move || async move {
            gate.await.unwrap();
            Ok::<_, String>("loaded".to_owned())
        };
        async move { users.get_or_load_with(&1, SetOptions::new().tag("group"), load).await.unwrap() }
    });
    settle().await;
    change(users.clone()).await;
    release.send(()).unwrap();
    assert_eq!(caller.await.unwrap(), "loaded", "the caller has its value in any case");
    users.get(&1).await.unwrap()
}

#[tokio::test]
async fn what_was_loaded_before_a_change_is_not_stored_after_it() {
    let loaded = Some("loaded".to_owned());
    assert_eq!(load_across(|_| async {}).await, loaded);
    let other_key = load_across(|users| async move { users.delete(&2).await.map(drop).unwrap() });
    assert_eq!(other_key.await, loaded);
    let delete = load_across(|users| async move { users.delete(&1).await.map(drop).unwrap() });
    assert_eq!(delete.await, None);
    let clear = load_across(|users| async move { users.clear().await.unwrap() });
    assert_eq!(clear.await, None);
    let pattern =
        load_across(|users| async move { users.delete_pattern("*").await.map(drop).unwrap() });
    assert_eq!(pattern.await, None);
    let tag = load_across(|users| async move { users.invalidate_tag("group").await.unwrap() });
    assert_eq!(tag.await, None);
    let set = load_across(|users| async move { users.set(&1, "set".into()).await.unwrap() });
    assert_eq!(set.await.as_deref(), Some("set"));
}

#[tokio::test]
async fn a_loader_that_finds_nothing_is_remembered_for_its_time() {
    let (users, clock) = users().await;
    let loads = Arc::new(AtomicU64::new(0));
    let load = || {
        let loads = Arc::clone(&loads);
        move || async move {
            loads.fetch_add(1, Ordering::SeqCst);
            Ok::<Option<String>, String>(None)
        }
    };
    assert_eq!(users.get_or_load_optional(&1, load()).await.unwrap(), None);
    assert_eq!(users.get_or_load_optional(&1, load()).await.unwrap(), None);
    assert_eq!(loads.load(Ordering::SeqCst), 1);
    assert_eq!(users.lookup(&1).await.unwrap(), Lookup::Negative);
    let found = users.get_or_load(&1, || async { Ok::<_, String>("now".into()) }).await;
    assert_eq!(found.unwrap(), "now", "a loader of values does not take none for an answer");
    users.set_negative(&1).await.unwrap();
    clock.advance(Duration::from_secs(5));
    assert_eq!(users.get_or_load_optional(&1, load()).await.unwrap(), None);
    assert_eq!(loads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn single_flight_can_be_switched_off() {
    let text = "[caches.users]\nbackend = \"memory\"\nresilience.single_flight = false";
    let manager = CacheManager::from_str(Format::Toml, text).await.unwrap();
    let users = manager.cache::<u64, String>("users").unwrap();
    let barrier = Arc::new(tokio::sync::Barrier::new(3));
    let callers: Vec<_> = (0..3)
        .map(|_| {
            let (users, barrier) = (users.clone(), Arc::clone(&barrier));
            let load = move || async move {
                // Passes only when three loads run at the same time.
                barrier.wait().await;
                Ok::<_, String>("x".to_owned())
            };
            tokio::spawn(async move { users.get_or_load(&1, load).await })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), "x");
    }
    assert_eq!(users.stats().snapshot().loads, 3);
}

#[test]
fn a_panic_of_a_blocking_loader_is_an_error_for_who_waits_along() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (cache, _clock) = runtime.block_on(users());
    let users = cache.blocking();
    let (begun, has_begun) = std::sync::mpsc::channel();
    let (release, is_released) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            users.get_or_load(&1, move || -> Result<String, String> {
                begun.send(()).unwrap();
                is_released.recv().unwrap();
                panic!("row {} is broken", 7);
            })
        });
        has_begun.recv().unwrap();
        let second = scope.spawn(|| users.get_or_load(&1, || Ok::<_, String>("second".into())));
        while cache.stats().snapshot().coalesced == 0 {
            std::thread::yield_now();
        }
        release.send(()).unwrap();
        for caller in [first, second] {
            let error = caller.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Load);
            assert_eq!(error.context("panic"), Some("row 7 is broken"));
        }
    });
    let stats = cache.stats().snapshot();
    assert_eq!((stats.loads, stats.load_failures, stats.misses), (1, 1, 2));
    assert_eq!(users.get_or_load(&1, || Ok::<_, String>("again".into())).unwrap(), "again");
}
