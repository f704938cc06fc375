//! A process that does not answer any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use larder_core::BuildContext;
use rustix::process::Signal;
use serde_json::json;

use crate::support::poisonous;
use crate::{LIMIT, comes_back, entry, processes, signal, value};

#[tokio::test]
async fn a_process_that_stands_still_is_killed_and_started_again() {
    let library = poisonous("standing");
    let backend = library.open(json!({}), &BuildContext::new("hang")).await;
    backend.set("kept", entry("there")).await.unwrap();
    let before = processes("standing");
    signal("standing", Signal::STOP);
    let begun = Instant::now();
    // Callers that give up: tiers do so when their time is over.
    let reason = loop {
        match tokio::time::timeout(Duration::from_millis(500), backend.get("kept")).await {
            Err(_) => assert!(begun.elapsed() < Duration::from_secs(60), "it is left hanging"),
            Ok(Err(error)) => break error.to_string(),
            Ok(Ok(found)) => panic!("it cannot answer: {found:?}"),
        }
    };
    assert!(reason.contains("did not answer any more"), "{reason}");
    assert!(begun.elapsed() >= Duration::from_secs(4), "a short stall is no hang");
    comes_back(&backend).await;
    assert_ne!(processes("standing"), before);
}

#[tokio::test]
async fn a_call_that_hangs_holds_up_nobody_else() {
    let library = poisonous("hanging");
    let backend = library.open(json!({}), &BuildContext::new("hang")).await;
    backend.set("kept", entry("there")).await.unwrap();
    let before = processes("hanging");
    let hung = Arc::clone(&backend);
    let hung = tokio::spawn(async move { hung.get("hang").await });
    assert_eq!(value(&backend, "kept").await.as_deref(), Some("there"));
    hung.abort();
    assert!(hung.await.unwrap_err().is_cancelled());
    assert_eq!(value(&backend, "kept").await.as_deref(), Some("there"));
    assert_eq!(processes("hanging"), before, "one hung call is no hung process");
}

#[tokio::test]
async fn a_process_that_answers_later_than_its_callers_wait_is_not_hung() {
    let library = poisonous("slow");
    let backend = library.open(json!({}), &BuildContext::new("hang")).await;
    backend.set("kept", entry("there")).await.unwrap();
    for _ in 0..3 {
        let found = tokio::time::timeout(Duration::from_secs(2), backend.get("never")).await;
        assert!(found.is_err(), "it answers: {found:?}");
    }
    assert_eq!(value(&backend, "kept").await.as_deref(), Some("there"), "it was started again");
}

#[tokio::test]
async fn a_process_that_takes_nothing_in_ends_with_its_last_instance() {
    let library = poisonous("full");
    let backend = library.open(json!({}), &BuildContext::new("hang")).await;
    signal("full", Signal::STOP);
    let more_than_fits = entry(&"x".repeat(4 << 20));
    let set = backend.set("key", more_than_fits);
    assert!(tokio::time::timeout(Duration::from_secs(1), set).await.is_err());
    drop(backend);
    larder_servers::until("it ends", LIMIT, async || processes("full").is_empty()).await;
}
