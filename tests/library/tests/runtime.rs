//! Two copies of tokio in one process: that of the library needs nothing of that of the program.
#![cfg(target_os = "linux")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use larder_core::{Backend, ErrorKind};

use support::{ask, bare_runtime, restless};

/// Longer than anything here takes.
const MINUTE: Duration = Duration::from_secs(60);

/// Waits until something is so.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < MINUTE, "not so after a minute: {what}");
        std::thread::yield_now();
    }
}

/// What the backend counts.
fn count(runtime: &tokio::runtime::Runtime, backend: &dyn Backend, what: &str) -> usize {
    runtime.block_on(ask(backend, what)).parse().expect("a number")
}

/// One test, since the library counts for the whole process.
#[test]
fn timers_tasks_and_sockets_are_those_of_the_library_and_every_call_under_way_ends() {
    let runtime = bare_runtime();
    let backend = restless(&runtime);
    for (key, said) in [("timer", "done"), ("tcp", "7"), ("task", "done"), ("block", "done")] {
        assert_eq!(runtime.block_on(ask(&*backend, key)), said, "{key}");
    }

    // A runtime of the program ends, and so do the calls that its tasks waited for.
    let other = bare_runtime();
    for _ in 0..8 {
        let backend = Arc::clone(&backend);
        other.spawn(async move { backend.get("never").await });
    }
    until("eight calls have begun", || count(&runtime, &*backend, "begun") == 8);
    drop(other);
    until("all are given up", || count(&runtime, &*backend, "given up") == 8);

    // A runtime of the library ends, and every call that waited for it is answered.
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let backend = Arc::clone(&backend);
            runtime.spawn(async move { backend.get("runtime").await })
        })
        .collect();
    until("eight more have begun", || count(&runtime, &*backend, "begun") == 16);
    assert!(runtime.block_on(backend.delete("runtime")).expect("it can be ended"));
    for call in calls {
        let answer = runtime.block_on(call).expect("it does not panic");
        let error = answer.expect_err("its runtime is gone");
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    }
    assert_eq!(runtime.block_on(ask(&*backend, "timer")), "done", "the other one goes on");
}
