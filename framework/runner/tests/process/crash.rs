//! A process that ends when nobody expects it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use larder_core::{Backend, BuildContext, ErrorKind};
use rustix::process::Signal;
use serde_json::json;

use crate::support::{Compiled, poisonous};
use crate::{LIMIT, comes_back, entry, processes, signal, value};

async fn open(library: &Compiled) -> Arc<dyn Backend> {
    library.open(json!({}), &BuildContext::new("crash")).await
}

/// A call that ends the process is answered with what ended it, and the backend comes back.
async fn survives(name: &str, key: &str, reason: &str) {
    let library = poisonous(name);
    let backend = open(&library).await;
    backend.set("kept", entry("until then")).await.unwrap();
    assert_eq!(value(&backend, "kept").await.as_deref(), Some("until then"));
    let error = backend.get(key).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert!(error.is_retryable());
    let text = error.to_string();
    assert!(text.contains(reason) && text.contains(name), "{text}");
    comes_back(&backend).await;
    assert_eq!(value(&backend, "kept").await, None, "it was in the memory of the process");
    backend.set("kept", entry("again")).await.unwrap();
    assert_eq!(value(&backend, "kept").await.as_deref(), Some("again"));
}

#[tokio::test]
async fn an_abort_costs_entries_and_not_the_program() {
    survives("aborting", "abort", "SIGABRT").await;
}

#[tokio::test]
async fn a_wrong_pointer_costs_entries_and_not_the_program() {
    survives("wild", "segfault", "SIGSEGV").await;
}

#[tokio::test]
async fn a_plugin_that_ends_its_process_ends_no_other() {
    survives("leaving", "exit", "exit status: 7").await;
}

/// What is left behind has the connection open as well, and never closes it.
#[tokio::test]
async fn an_end_is_seen_that_leaves_a_forked_process_behind() {
    let seen = survives("forking", "fork", "SIGABRT");
    tokio::time::timeout(LIMIT, seen).await.expect("its end is seen");
}

#[tokio::test]
async fn an_end_with_questions_that_were_not_read_is_named() {
    let library = poisonous("deaf");
    let backend = open(&library).await;
    signal("deaf", Signal::STOP);
    let asking = Arc::clone(&backend);
    let asked = tokio::spawn(async move { asking.get("key").await });
    let given_up = tokio::time::timeout(Duration::from_secs(1), backend.get("key")).await;
    assert!(given_up.is_err(), "it stands still");
    signal("deaf", Signal::KILL);
    let error = asked.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("SIGKILL"), "{error}");
}

#[tokio::test]
async fn garbage_ends_the_connection_and_is_named() {
    survives("babbling", "garbage", "a frame is no message").await;
}

#[tokio::test]
async fn a_frame_that_is_too_long_ends_the_connection_and_is_named() {
    survives("boasting", "oversized", "a frame of 4294967295 bytes").await;
}

#[tokio::test]
async fn a_frame_that_is_cut_off_ends_the_connection_and_is_named() {
    survives("stammering", "torn", "it ended within a frame").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_under_load_fails_at_once_and_comes_back() {
    let library = poisonous("loaded");
    let backend = open(&library).await;
    let (is_over, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let callers = (0..8).map(|caller| {
        let (backend, is_over) = (Arc::clone(&backend), Arc::clone(&is_over));
        let answers = Arc::clone(&answers);
        tokio::spawn(async move {
            let mut failures = 0_u64;
            for round in 0_u64.. {
                if is_over.load(Ordering::Acquire) {
                    break;
                }
                let key = format!("{caller}:{}", round % 100);
                let stored = backend.set(&key, entry(&key)).await;
                match stored.and(backend.get(&key).await) {
                    Ok(Some(found)) => {
                        assert_eq!(found.value, key.as_bytes(), "the value of another key");
                        answers.fetch_add(1, Ordering::AcqRel);
                    }
                    // The process ended in between.
                    Ok(None) => {}
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
                        failures += 1;
                        tokio::task::yield_now().await;
                    }
                }
            }
            failures
        })
    });
    let callers: Vec<_> = callers.collect();
    for _ in 0..3 {
        let before = answers.load(Ordering::Acquire);
        larder_servers::until("callers are answered", LIMIT, async || {
            answers.load(Ordering::Acquire) > before + 100 && processes("loaded").len() == 1
        })
        .await;
        signal("loaded", Signal::KILL);
    }
    let before = answers.load(Ordering::Acquire);
    larder_servers::until("callers are answered after the last kill", LIMIT, async || {
        answers.load(Ordering::Acquire) > before + 100
    })
    .await;
    is_over.store(true, Ordering::Release);
    let mut failures = 0;
    for caller in callers {
        failures += caller.await.unwrap();
    }
    assert!(failures > 0, "nobody saw that it was down");
}
