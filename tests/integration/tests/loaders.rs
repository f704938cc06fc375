//! What loaders see and say, and loaders of many keys.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder::{
    Cache, CacheManager, ErrorKind, Format, Life, Load, LoadOptions, Loaded, Lookup, ManualClock,
};
use larder_integration::{Strings, strings};
use tokio::sync::oneshot;

type Users = Cache<String, String>;

const SECOND: Duration = Duration::from_secs(1);

struct Fixture {
    users: Users,
    clock: ManualClock,
    puppet: Arc<Strings>,
    text: String,
}

async fn open(text: &str, clock: &ManualClock) -> Users {
    let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
    builder.clock(Arc::new(clock.clone())).build().await.unwrap().cache("users").unwrap()
}

/// A cache of memory alone, and one of memory over a puppet.
async fn each() -> [Fixture; 2] {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = format!("loaders-{}", COUNT.fetch_add(1, Ordering::SeqCst));
    let below = format!("l2.backend = {{ kind = \"test.puppet\", name = \"{name}\" }}\n");
    let with = async |below: &str| {
        let text = format!(
            "[caches.users]\nttl = \"10s\"\nnegative_ttl = \"5s\"\nresilience.stale_for = \"1m\"\n\
             l1.backend = \"memory\"\n{below}"
        );
        let clock = ManualClock::new();
        let users = open(&text, &clock).await;
        Fixture { users, clock, puppet: strings(&name), text }
    };
    [with("").await, with(&below).await]
}

/// Lets every other task run until it waits.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

type Said = std::future::Ready<Result<Loaded<String>, String>>;

/// A loader that says this, and writes down what it saw.
fn says(
    loaded: Loaded<String>,
    seen: &Arc<Mutex<Vec<String>>>,
) -> impl FnOnce(Load<String>) -> Said + Send + 'static {
    let seen = Arc::clone(seen);
    move |load| {
        seen.lock().unwrap().push(format!("{:?} {:?}", load.stale(), load.etag()));
        std::future::ready(Ok(loaded))
    }
}

#[tokio::test]
async fn a_loader_sees_the_value_it_replaces_and_may_keep_it() {
    for fixture in each().await {
        let (users, clock) = (&fixture.users, &fixture.clock);
        let seen = Arc::default();
        let load =
            |loaded| users.get_or_load_with_context("a", LoadOptions::new(), says(loaded, &seen));
        load(Loaded::new("first".to_owned()).etag("v1").tag("t")).await.unwrap();
        let sets = fixture.puppet.sets.load(Ordering::SeqCst);
        for _ in 0..3 {
            clock.advance(10 * SECOND);
            let kept = load(Loaded::not_modified()).await.unwrap();
            assert_eq!(kept.as_deref(), Some("first"));
            assert_eq!(users.ttl("a").await.unwrap(), Some(Life::For(10 * SECOND)));
        }
        assert_eq!(fixture.puppet.sets.load(Ordering::SeqCst), sets, "its bytes are not written");
        clock.advance(9 * SECOND);
        let elsewhere = open(&fixture.text, clock).await.get("a").await.unwrap();
        assert!(elsewhere.is_none_or(|value| value == "first"));
        users.invalidate_tag("t").await.unwrap();
        let error = load(Loaded::not_modified()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Load, "its tag went with the value: {error}");
        let saw = |etag| format!("Some(\"first\") Some(\"{etag}\")");
        let none = "None None".to_owned();
        assert_eq!(*seen.lock().unwrap(), [none.clone(), saw("v1"), saw("v1"), saw("v1"), none]);
    }
}

#[tokio::test]
async fn a_loader_says_how_long_its_value_lives_or_that_it_shall_not_be_stored() {
    for fixture in each().await {
        let users = &fixture.users;
        let seen = Arc::default();
        let load = |key, loaded| {
            let options = LoadOptions::new().ttl(SECOND);
            users.get_or_load_with_context(key, options, says(loaded, &seen))
        };
        load("a", Loaded::new("a".to_owned()).ttl(3 * SECOND)).await.unwrap();
        load("b", Loaded::new("b".to_owned())).await.unwrap();
        assert_eq!(users.ttl("a").await.unwrap(), Some(Life::For(3 * SECOND)));
        assert_eq!(users.ttl("b").await.unwrap(), Some(Life::For(SECOND)));
        let uncached = load("c", Loaded::uncached("c".to_owned())).await.unwrap();
        assert_eq!((uncached.as_deref(), users.get_stale("c").await.unwrap()), (Some("c"), None));
        assert_eq!(load("d", Loaded::none()).await.unwrap(), None);
        assert_eq!(users.lookup("d").await.unwrap(), Lookup::Negative);
        let unstored = LoadOptions::new().store(false);
        let load = || async { Ok::<_, String>("e".to_owned()) };
        assert_eq!(users.get_or_load_with("e", unstored, load).await.unwrap(), "e");
        assert_eq!(users.get_stale("e").await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_tag_that_a_loader_chooses_may_be_invalidated_while_it_runs() {
    for fixture in each().await {
        for (invalidated, is_stored) in [("chosen", false), ("another", true)] {
            let users = fixture.users.clone();
            let load = {
                let users = users.clone();
                move |_| async move {
                    users.invalidate_tag(invalidated).await.unwrap();
                    Ok::<_, String>(Loaded::new("loaded".to_owned()).tag("chosen"))
                }
            };
            let options = LoadOptions::new();
            let loaded = users.get_or_load_with_context("a", options, load).await.unwrap();
            assert_eq!(loaded.as_deref(), Some("loaded"));
            assert_eq!(users.get("a").await.unwrap().is_some(), is_stored, "{invalidated}");
        }
        fixture.users.invalidate_tag("chosen").await.unwrap();
        assert_eq!(fixture.users.get("a").await.unwrap(), None, "it is of that tag");
    }
}

type Found = std::future::Ready<Result<Vec<(String, String)>, String>>;

/// A loader of many that writes down its calls, and knows all keys but `x`.
fn batches(
    calls: &Arc<Mutex<Vec<Vec<String>>>>,
) -> impl Fn(Vec<String>) -> Found + Send + Sync + 'static {
    let calls = Arc::clone(calls);
    move |keys| {
        calls.lock().unwrap().push(keys.clone());
        let found = keys.into_iter().rev().filter(|key| key != "x");
        std::future::ready(Ok(found.map(|key| (key.clone(), format!("{key}!"))).collect()))
    }
}

fn some(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|value| (!value.is_empty()).then(|| (*value).to_owned())).collect()
}

#[tokio::test]
async fn only_what_is_missing_is_loaded_in_batches() {
    for fixture in each().await {
        let users = &fixture.users;
        users.set("b", "there".into()).await.unwrap();
        let calls = Arc::default();
        let options = || LoadOptions::new().batch(2);
        let keys = ["a", "b", "c", "x", "d", "a"];
        let expected = some(&["a!", "there", "c!", "", "d!", "a!"]);
        let found = users.get_many_or_load(keys, options(), batches(&calls)).await.unwrap();
        assert_eq!(found, expected);
        let loaded = [["a", "c"], ["x", "d"]].map(|batch| batch.map(str::to_owned).to_vec());
        let mut made = calls.lock().unwrap().clone();
        made.sort();
        assert_eq!(made, loaded);
        let again = users.get_many_or_load(keys, options(), batches(&calls)).await.unwrap();
        assert_eq!((again, calls.lock().unwrap().len()), (expected, 2), "`x` is known not to be");
        let blocking = users.blocking();
        let odd =
            |keys: Vec<String>| Ok::<_, String>(keys.into_iter().map(|key| (key, "b".into())));
        let found = tokio::task::spawn_blocking(move || {
            blocking.get_many_or_load(["a", "z"], LoadOptions::new(), odd)
        });
        assert_eq!(found.await.unwrap().unwrap(), some(&["a!", "b"]));
    }
}

#[tokio::test]
async fn a_key_is_loaded_once_by_batches_and_single_loads_together() {
    for fixture in each().await {
        let users = fixture.users.clone();
        let (release, gate) = oneshot::channel::<()>();
        let single = tokio::spawn({
            let users = users.clone();
            let load = move || async move {
                gate.await.unwrap();
                Ok::<_, String>("single".to_owned())
            };
            async move { users.get_or_load("b", load).await }
        });
        settle().await;
        let calls = Arc::default();
        let many = tokio::spawn({
            let (users, load) = (users.clone(), batches(&calls));
            async move { users.get_many_or_load(["a", "b", "c"], LoadOptions::new(), load).await }
        });
        settle().await;
        assert_eq!(users.get("a").await.unwrap().as_deref(), Some("a!"), "it is stored already");
        release.send(()).unwrap();
        assert_eq!(many.await.unwrap().unwrap(), some(&["a!", "single", "c!"]));
        assert_eq!(single.await.unwrap().unwrap(), "single");
        assert_eq!(*calls.lock().unwrap(), [["a", "c"]]);
    }
}

#[tokio::test]
async fn one_batch_that_fails_does_not_take_the_others_with_it() {
    for fixture in each().await {
        let users = &fixture.users;
        users.set("b", "old".into()).await.unwrap();
        fixture.clock.advance(10 * SECOND);
        let load = |keys: Vec<String>| async move {
            match keys.iter().any(|key| key == "b" || key == "c") {
                true => Err("away"),
                false => Ok(keys.into_iter().map(|key| (key.clone(), key)).collect::<Vec<_>>()),
            }
        };
        let options = || LoadOptions::new().batch(1);
        let found = users.get_many_or_load(["a", "b"], options(), load).await.unwrap();
        assert_eq!(found, some(&["a", "old"]), "what is stale is served");
        let error = users.get_many_or_load(["c", "d"], options(), load).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Load);
        settle().await;
        assert_eq!(users.get("d").await.unwrap().as_deref(), Some("d"));
        let options = options().or_default("nobody".to_owned());
        let found = users.get_many_or_load(["c", "d"], options, load).await.unwrap();
        assert_eq!(found, some(&["nobody", "d"]));
    }
}

#[tokio::test]
async fn a_batch_is_fenced_key_by_key() {
    for fixture in each().await {
        let users = fixture.users.clone();
        let load = {
            let users = users.clone();
            move |keys: Vec<String>| {
                let users = users.clone();
                async move {
                    users.delete("a").await.unwrap();
                    Ok::<_, String>(keys.into_iter().map(|key| (key, "loaded".to_owned())))
                }
            }
        };
        let found = users.get_many_or_load(["a", "b"], LoadOptions::new(), load).await.unwrap();
        assert_eq!(found, some(&["loaded", "loaded"]));
        assert_eq!(users.get_many(["a", "b"]).await.unwrap(), some(&["", "loaded"]));
    }
}

#[tokio::test]
async fn a_namespace_loads_many_by_its_own_keys() {
    for fixture in each().await {
        let shop = fixture.users.namespace("shop").unwrap();
        let calls = Arc::default();
        let found = shop.get_many_or_load(["a", "x"], LoadOptions::new(), batches(&calls)).await;
        assert_eq!(found.unwrap(), some(&["a!", ""]));
        assert_eq!(*calls.lock().unwrap(), [["a", "x"]]);
        assert_eq!(fixture.users.get("shop:a").await.unwrap().as_deref(), Some("a!"));
        shop.clear().await.unwrap();
        assert_eq!(shop.get("a").await.unwrap(), None);
    }
}

#[tokio::test]
async fn every_key_of_a_batch_has_the_limit_of_its_own_rule() {
    let text = "[caches.users]\nl1.backend = \"memory\"\nresilience.hard_timeout = \"1s\"\n\
                resilience.background = false\n\
                rules = [{ match = \"slow:*\", resilience.hard_timeout = \"10s\", ttl = \"5s\" }]";
    let clock = ManualClock::new();
    let users = open(text, &clock).await;
    let (release, gate) = tokio::sync::watch::channel(false);
    let load = move |keys: Vec<String>| {
        let mut gate = gate.clone();
        async move {
            gate.wait_for(|is_open| *is_open).await.unwrap();
            Ok::<_, String>(keys.into_iter().map(|key| (key.clone(), key)))
        }
    };
    let many = tokio::spawn({
        let users = users.clone();
        async move { users.get_many_or_load(["fast", "slow:a"], LoadOptions::new(), load).await }
    });
    settle().await;
    clock.advance(2 * SECOND);
    settle().await;
    release.send(true).unwrap();
    let error = many.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.context("limit")), (ErrorKind::Timeout, Some("1s")));
    assert_eq!(users.get_many(["fast", "slow:a"]).await.unwrap(), some(&["", "slow:a"]));
    clock.advance(5 * SECOND);
    assert_eq!(users.get("slow:a").await.unwrap(), None, "and its ttl");
}

#[tokio::test]
async fn who_waits_for_a_batch_whose_caller_went_away_loads_for_itself() {
    let [_, fixture] = each().await;
    let puppet = &fixture.puppet;
    // While the first caller gives a tag its version it has not begun to load.
    puppet.hang_in("set");
    let first = tokio::spawn({
        let users = fixture.users.clone();
        let options = LoadOptions::new().tag("new");
        let load = |_| std::future::pending::<Result<Vec<(String, String)>, String>>();
        async move { users.get_many_or_load(["a", "b"], options, load).await }
    });
    puppet.hangs().await;
    let calls = Arc::default();
    let second = tokio::spawn({
        let (users, load) = (fixture.users.clone(), batches(&calls));
        async move { users.get_many_or_load(["b", "c"], LoadOptions::new(), load).await }
    });
    puppet.hang_in(None);
    settle().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(second.await.unwrap().unwrap(), some(&["b!", "c!"]));
}

#[test]
fn without_a_runtime_who_waits_for_a_batch_takes_over_from_a_caller_that_goes_away() {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for fixture in runtime.block_on(each()) {
        let users = &fixture.users;
        let mut context = Context::from_waker(Waker::noop());
        let calls = Arc::default();
        let hangs = |_| std::future::pending::<Result<Vec<(String, String)>, String>>();
        let mut first = Box::pin(users.get_many_or_load(["a", "b"], LoadOptions::new(), hangs));
        let second = users.get_many_or_load(["b", "c"], LoadOptions::new(), batches(&calls));
        let mut second = pin!(second);
        assert!(first.as_mut().poll(&mut context).is_pending());
        assert!(second.as_mut().poll(&mut context).is_pending());
        drop(first);
        let Poll::Ready(found) = second.as_mut().poll(&mut context) else { panic!("stranded") };
        assert_eq!(found.unwrap(), some(&["b!", "c!"]));
        assert_eq!(*calls.lock().unwrap(), [["c"], ["b"]]);
    }
}

#[test]
fn a_batch_ends_however_often_its_tag_is_invalidated_meanwhile() {
    let (done, ended) = std::sync::mpsc::channel();
    // A load that never waits would not let its runtime end either.
    std::thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(2).enable_all().build().unwrap().block_on(async {
            for fixture in each().await {
                let users = fixture.users.clone();
                let is_over = Arc::new(AtomicBool::new(false));
                let invalidating = tokio::spawn({
                    let (users, is_over) = (users.clone(), Arc::clone(&is_over));
                    async move {
                        while !is_over.load(Ordering::SeqCst) {
                            users.invalidate_tag("t").await.unwrap();
                            tokio::task::yield_now().await;
                        }
                    }
                });
                let keys: Vec<String> = (0..200).map(|number| number.to_string()).collect();
                let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                for _ in 0..20 {
                    let (options, load) = (LoadOptions::new().tag("t"), batches(&Arc::default()));
                    let found = users.get_many_or_load(keys.clone(), options, load).await.unwrap();
                    assert!(found.iter().all(Option::is_some));
                }
                is_over.store(true, Ordering::SeqCst);
                invalidating.await.unwrap();
            }
        });
        done.send(()).unwrap();
    });
    ended.recv_timeout(60 * SECOND).expect("the loads end");
}

/// A value of which some cannot be serialized.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
struct Fussy(String);

impl serde::Serialize for Fussy {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert_ne!(self.0, "b", "this one cannot be serialized");
        serializer.serialize_str(&self.0)
    }
}

#[tokio::test]
async fn a_value_that_panics_when_it_is_stored_takes_no_other_of_its_batch_with_it() {
    let text = "[caches.users]\nl1.backend = \"memory\"\n\
                l2.backend = { kind = \"test.puppet\", name = \"fussy\" }";
    let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
    let users: Cache<String, Fussy> = builder.build().await.unwrap().cache("users").unwrap();
    let load = |keys: Vec<String>| async move {
        Ok::<_, String>(keys.into_iter().map(|key| (key.clone(), Fussy(key))))
    };
    let error = users.get_many_or_load(["a", "b", "c"], LoadOptions::new(), load).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Load, "{error}");
    for key in ["a", "c"] {
        assert_eq!(users.get(key).await.unwrap(), Some(Fussy(key.to_owned())));
    }
}
