//! Answer now or later, in every order, and what is no answer at all.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use larder_abi::Status;
use larder_abi::table::cap;
use larder_core::{Backend, BuildContext, Clock, Entry, ErrorKind, ManualClock, Result};
use serde_json::json;

use super::toy::{self, Toy};
use crate::host;
use crate::testing::{self, backend_of};

/// A backend of its own for each test, told apart by the cache.
async fn open(cache: &str, clock: &ManualClock) -> (Arc<dyn Backend>, Arc<Toy>) {
    open_with(cache, clock, 0).await
}

async fn open_with(cache: &str, clock: &ManualClock, caps: u64) -> (Arc<dyn Backend>, Arc<Toy>) {
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let context = BuildContext::new(cache).clock(shared);
    let component = backend_of(toy::TABLE, caps);
    let backend = testing::build(component, json!({}), &context).await.unwrap();
    (backend, toy::last(cache))
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn is_long(found: &Result<Option<Entry>>) -> bool {
    matches!(found, Ok(Some(entry)) if entry.value == vec![7; 5000])
}

/// What the library still owns must be released by whoever has it, once.
fn released(toy: &Toy) -> usize {
    toy.released.load(Ordering::SeqCst)
}

#[test]
fn an_answer_at_once_and_one_before_the_function_returns_are_answers() {
    run(async |clock| {
        let (backend, toy) = open("at-once", &clock).await;
        for (count, key) in ["now", "before it returns", "defer twice"].iter().enumerate() {
            let found = backend.get(key).await;
            assert!(is_long(&found), "{key}: {found:?}");
            drop(found);
            assert_eq!(released(&toy), count + 1, "{key}");
        }
        assert!(backend.get("miss").await.unwrap().is_none());
    });
}

#[test]
fn an_answer_that_comes_later_is_taken_once() {
    run(async |clock| {
        let (backend, toy) = open("later", &clock).await;
        let mut get = pin!(backend.get("later"));
        assert!(poll(get.as_mut()).is_pending());
        let op = toy.ops.lock().unwrap()[0];
        let is_cancelled = host::table().op_is_cancelled.unwrap();
        // SAFETY: any number may be asked for.
        assert_eq!(unsafe { is_cancelled(op) }, 0);
        assert_eq!(toy::complete(&toy, op + 1, Status::OK), Status::CLOSED, "a forged number");
        assert_eq!(toy::complete(&toy, op, Status::OK), Status::OK);
        assert_eq!(toy::complete(&toy, op, Status::OK), Status::CLOSED, "twice");
        let found = get.await;
        assert!(is_long(&found), "{found:?}");
        drop(found);
        assert_eq!(released(&toy), 3, "two by the toy, one by the host");
        assert!(toy.cancelled.lock().unwrap().is_empty());
    });
}

#[test]
fn who_goes_away_tells_the_library_and_a_late_answer_is_refused() {
    run(async |clock| {
        let (backend, toy) = open("gone", &clock).await;
        {
            let mut get = pin!(backend.get("later"));
            assert!(poll(get.as_mut()).is_pending());
        }
        until("the library was told", || *toy.cancelled.lock().unwrap() == [77]).await;
        let op = toy.ops.lock().unwrap()[0];
        // SAFETY: any number may be asked for.
        assert_eq!(unsafe { host::table().op_is_cancelled.unwrap()(op) }, 1);
        assert_eq!(toy::complete(&toy, op, Status::OK), Status::CLOSED);
        assert_eq!(released(&toy), 1);
    });
}

#[test]
fn an_instance_that_panicked_is_not_told_that_nobody_waits() {
    run(async |clock| {
        let (backend, toy) = open("gone-after-a-panic", &clock).await;
        {
            let mut get = pin!(backend.get("later"));
            assert!(poll(get.as_mut()).is_pending());
            backend.get("panic").await.unwrap_err();
        }
        assert!(toy.cancelled.lock().unwrap().is_empty());
    });
}

#[test]
fn an_answer_after_the_deadline_is_a_timeout_and_refused() {
    run(async |clock| {
        let (backend, toy) = open("overdue", &clock).await;
        let mut get = pin!(backend.get("later"));
        assert!(poll(get.as_mut()).is_pending());
        clock.advance(Duration::from_secs(3600));
        let error = get.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        let op = toy.ops.lock().unwrap()[0];
        assert_eq!(toy::complete(&toy, op, Status::OK), Status::CLOSED);
        assert_eq!(released(&toy), 1);
        until("the library was told", || *toy.cancelled.lock().unwrap() == [77]).await;
    });
}

#[test]
fn an_answer_that_nobody_fetches_is_released() {
    run(async |clock| {
        let (backend, toy) = open("not-fetched", &clock).await;
        {
            let mut get = pin!(backend.get("later"));
            assert!(poll(get.as_mut()).is_pending());
            let op = toy.ops.lock().unwrap()[0];
            assert_eq!(toy::complete(&toy, op, Status::OK), Status::OK);
        }
        assert_eq!(released(&toy), 1);
        assert!(toy.cancelled.lock().unwrap().is_empty(), "it was answered");
    });
}

/// The steps that race for an operation. Each holds a lock while it decides, so every order of
/// whole steps is every order that there is.
#[test]
fn in_every_order_of_steps_an_output_has_one_owner() {
    const STEPS: [&str; 4] = ["complete", "complete again", "poll", "drop"];
    run(async |clock| {
        for order in orders(STEPS.len()) {
            let cache = format!("order {order:?}");
            let (backend, toy) = open(&cache, &clock).await;
            let mut get = Some(Box::pin(backend.get("later")));
            let waiting = get.as_mut().unwrap().as_mut();
            assert!(poll(waiting).is_pending());
            let op = toy.ops.lock().unwrap()[0];
            for step in order.iter().map(|step| STEPS[*step]) {
                match (step, get.as_mut()) {
                    ("poll", Some(waiting)) => {
                        if let Poll::Ready(found) = poll(waiting.as_mut()) {
                            assert!(is_long(&found));
                            get = None;
                        }
                    }
                    ("poll", None) => {}
                    ("drop", _) => get = None,
                    _ => drop(toy::complete(&toy, op, Status::OK)),
                }
            }
            let said = toy.said.lock().unwrap().clone();
            let taken = said.iter().filter(|status| **status == Status::OK).count();
            let dropped_first = order.iter().find(|step| **step != 2) == Some(&3);
            assert_eq!(taken, usize::from(!dropped_first), "{order:?}: {said:?}");
            assert_eq!(released(&toy), 2, "{order:?}");
        }
    });
}

fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let places = |rest: Vec<usize>| {
        (0..count).map(move |at| {
            let mut order = rest.clone();
            order.insert(at, count - 1);
            order
        })
    };
    orders(count - 1).into_iter().flat_map(places).collect()
}

#[test]
fn what_is_no_answer_is_an_error_of_the_plugin() {
    run(async |clock| {
        let (backend, toy) = open("no-answer", &clock).await;
        for (key, says) in [
            ("null", "the value is null"),
            ("huge", "impossible length"),
            ("beyond the scratch", "impossible length"),
            ("inside the scratch", "impossible length"),
            ("unknown", "status -99"),
            ("unknown success", "status 99"),
            ("pending without defer", "without `op_defer`"),
            ("no output", "null or not aligned"),
        ] {
            let error = backend.get(key).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Plugin, "{key}: {error}");
            assert!(error.to_string().contains(says), "{key}: {error}");
        }
        assert_eq!(released(&toy), 2, "of `null` and of `huge`");
        assert!(backend.get("garbage").await.unwrap().is_none(), "what is no entry is a miss");
        assert_eq!(backend.health().await.unwrap().corrupt, 1);
    });
}

#[test]
fn arrays_that_are_not_those_of_the_call_are_not_touched() {
    run(async |clock| {
        let (backend, _) = open("many", &clock).await;
        for (key, says) in [
            ("too many", "asked for `2`"),
            ("too many later", "asked for `2`"),
            ("other arrays", "exchanged"),
        ] {
            let error = backend.get_many(&[key, "other"]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Plugin, "{key}: {error}");
            assert!(error.to_string().contains(says), "{key}: {error}");
        }
        assert_eq!(backend.get_many(&["two", "misses"]).await.unwrap(), [None, None]);
        assert_eq!(backend.delete_many(&["two", "keys"]).await.unwrap(), 2);
    });
}

#[test]
fn what_is_put_out_is_released_whatever_the_status_is() {
    run(async |clock| {
        let (backend, toy) = open("whatever", &clock).await;
        assert!(backend.get("miss with a value").await.unwrap().is_none());
        assert_eq!(released(&toy), 1);
        assert_eq!(
            backend.get("error with a value").await.unwrap_err().kind(),
            ErrorKind::Connection
        );
        assert_eq!(released(&toy), 3);
        assert!(is_long(&backend.get("value with an error").await));
        assert_eq!(released(&toy), 5);
    });
}

/// A waker that panics.
struct Grumpy;

impl std::task::Wake for Grumpy {
    fn wake(self: Arc<Self>) {
        panic!("let me sleep");
    }
}

#[test]
fn an_answer_is_taken_over_even_if_who_is_woken_up_panics() {
    run(async |clock| {
        let (backend, toy) = open("grumpy", &clock).await;
        let mut get = pin!(backend.get("later"));
        let waker = Waker::from(Arc::new(Grumpy));
        assert!(get.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let op = toy.ops.lock().unwrap()[0];
        assert_eq!(toy::complete(&toy, op, Status::OK), Status::OK);
        assert!(is_long(&get.await));
        assert_eq!(released(&toy), 1);
    });
}

#[test]
fn an_operation_that_was_not_needed_is_given_up() {
    run(async |clock| {
        let (backend, toy) = open("not-needed", &clock).await;
        assert!(is_long(&backend.get("defer without pending").await));
        let op = toy.ops.lock().unwrap()[0];
        assert_eq!(toy::complete(&toy, op, Status::OK), Status::CLOSED);
        assert_eq!(released(&toy), 2);
    });
}

#[test]
fn who_must_answer_now_cannot_defer() {
    run(async |clock| {
        let (backend, toy) = open_with("sync", &clock, cap::SYNC).await;
        let error = backend.get("later").await.unwrap_err();
        assert_eq!((error.kind(), toy.ops.lock().unwrap()[0]), (ErrorKind::Plugin, 0));
    });
}

#[test]
fn calls_that_may_block_are_made_on_other_threads() {
    run(async |clock| {
        let (backend, toy) = open_with("blocking", &clock, cap::BLOCKING).await;
        assert!(is_long(&backend.get("now").await));
        assert!(is_long(&backend.get("before it returns").await));
        assert_eq!(released(&toy), 2);
        assert_eq!(backend.get("error").await.unwrap_err().kind(), ErrorKind::Connection);
    });
}

#[test]
fn an_error_says_what_the_library_says() {
    run(async |clock| {
        let (backend, _) = open("says", &clock).await;
        let error = backend.get("error").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the shelf fell down (operation=`get`, plugin=`tested`, backend=`tested.backend`, \
             cache=`says`); hint: get a hammer"
        );
    });
}

/// Lets background work go on until something is so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let patience = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), patience).await;
    in_time.unwrap_or_else(|_| panic!("not so after a minute: {what}"));
}

#[test]
fn an_instance_that_panicked_is_not_called_again_and_replaced_after_a_pause() {
    run(async |clock| {
        let cache = "comes-back";
        for (count, key) in ["panic", "silent panic"].iter().enumerate() {
            let (backend, _) = open(cache, &clock).await;
            let before = toy::of(cache).len();
            backend.start().await.unwrap();
            backend.get(key).await.ok();
            for _ in 0..3 {
                let error = backend.get("miss").await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Plugin, "{error}");
            }
            assert_eq!(toy::of(cache).len(), before, "the pause is not over");
            clock.advance(Duration::from_secs(1));
            backend.get("miss").await.unwrap_err();
            until("there is another", || toy::of(cache).len() > before).await;
            until("it was begun", || toy::last(cache).started.load(Ordering::SeqCst) == 1).await;
            while backend.get("miss").await.is_err() {
                tokio::task::yield_now().await;
            }
            assert_eq!(toy::of(cache).len(), before + 1, "round {count}: one was made");
        }
    });
}

#[test]
fn the_old_instance_is_destroyed_before_another_is_made() {
    run(async |clock| {
        let cache = "exclusive";
        let (backend, _) = open(cache, &clock).await;
        backend.get("panic").await.unwrap_err();
        backend.get("miss").await.unwrap_err();
        clock.advance(Duration::from_secs(1));
        backend.get("miss").await.unwrap_err();
        until("it was tried again", || toy::of(cache).len() > 1).await;
        let comes_back = async {
            while backend.get("miss").await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(60), comes_back).await;
        in_time.expect("it can have what the old one had");
    });
}

#[test]
fn an_instance_that_cannot_be_made_again_is_tried_again_later() {
    run(async |clock| {
        let cache = "comes-back-late";
        let (backend, _) = open(cache, &clock).await;
        backend.get("panic").await.unwrap_err();
        let mut advanced = 0;
        while backend.get("miss").await.is_err() {
            // Not while one is being made, which has a limit of its own.
            if toy::of(cache).len() < 3 && clock.sleepers() == 0 {
                clock.advance(Duration::from_millis(50));
                advanced += 50;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(toy::of(cache).len(), 3, "the first, the one that failed, the one in use");
        assert!(advanced >= 750, "a pause, and then one twice as long: {advanced} ms");
    });
}

/// Runs a test with a clock that stands.
fn run(test: impl AsyncFnOnce(ManualClock)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(test(ManualClock::new()));
}
