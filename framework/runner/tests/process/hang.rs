//! A process that does not answer any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use larder_core::plugin::Factory;
use larder_core::{BuildContext, ErrorKind, KeyPath, Slot};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::{self, poisonous};
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

/// Whether a call hangs in the process of this library.
fn has_hung_thread(name: &str) -> bool {
    let threads = processes(name).into_iter().map(|number| format!("/proc/{number}/task"));
    let threads = threads.filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let mut names = threads.filter_map(|thread| std::fs::read(thread.path().join("comm")).ok());
    names.any(|name| name == b"hangs\n")
}

#[tokio::test]
async fn an_instance_that_is_not_made_again_holds_up_no_other() {
    let library = poisonous("parted");
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("made-once").display().to_string();
    let hanging = library.open(json!({}), &BuildContext::new(marker)).await;
    let sound = library.open(json!({}), &BuildContext::new("sound")).await;
    signal("parted", Signal::KILL);
    larder_servers::until("the end is seen", LIMIT, async || sound.get("x").await.is_err()).await;
    let back = tokio::time::timeout(Duration::from_secs(20), comes_back(&sound));
    back.await.expect("it does not wait for the other one");
    larder_servers::until("the other one hangs", LIMIT, async || has_hung_thread("parted")).await;
    assert_eq!(value(&sound, "x").await, None);
    let error = hanging.get("x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
}

#[tokio::test]
async fn a_check_of_options_that_hangs_holds_up_nobody_else() {
    let library = poisonous("pondering");
    let factory = support::factory(&library.request(), Slot::Backend);
    let checking = std::thread::spawn(move || {
        let Factory::Backend(factory) = factory else { panic!("a backend") };
        factory.config().check(&json!({"capacity": 14}), &KeyPath::root())
    });
    larder_servers::until("the check has begun", LIMIT, async || has_hung_thread("pondering"))
        .await;
    let context = BuildContext::new("hang");
    let open = library.open(json!({}), &context);
    let backend = tokio::time::timeout(Duration::from_secs(20), open).await;
    let backend = backend.expect("it is made all the same");
    backend.set("kept", entry("there")).await.unwrap();
    assert_eq!(value(&backend, "kept").await.as_deref(), Some("there"));
    larder_servers::until("the check ends with its process", LIMIT, async || {
        // There is a second try, for the process may have been about to end; and one that was
        // killed may be on its way out.
        if has_hung_thread("pondering") {
            for number in processes("pondering") {
                let number = Pid::from_raw(number.try_into().unwrap()).unwrap();
                kill_process(number, Signal::KILL).ok();
            }
        }
        checking.is_finished()
    })
    .await;
    let problems = checking.join().unwrap().unwrap_err().to_string();
    assert!(problems.contains("SIGKILL"), "{problems}");
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
