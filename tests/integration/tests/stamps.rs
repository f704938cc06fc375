//! Versions of entries: what is written after something was read is newer than it.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::Arc;
use std::time::Duration;

use larder::{Cache, CacheManager, Format, ManualClock};
use larder_core::{Entry, Stamp};
use larder_integration::{Strings, strings};

/// A cache over a puppet, on a machine with a clock of its own.
async fn machine(puppet: &str, clock: &ManualClock) -> Cache<String, String> {
    let backend = format!("backend = {{ kind = \"test.puppet\", name = \"{puppet}\" }}");
    let manager = CacheManager::builder()
        .text("caches.toml", Format::Toml, format!("[caches.users]\n{backend}\n"))
        .clock(Arc::new(clock.clone()))
        .build()
        .await
        .unwrap();
    manager.cache("users").unwrap()
}

fn stamp_of(puppet: &Strings, key: &str) -> Stamp {
    let entries = puppet.entries.lock().unwrap();
    let Entry { meta, .. } = &entries[key];
    meta.stamp
}

/// Two machines, of which the second is ahead of the first.
async fn two(puppet: &str, ahead: Duration) -> (Cache<String, String>, Cache<String, String>) {
    let (first, second) = (ManualClock::new(), ManualClock::new());
    second.advance(ahead);
    (machine(puppet, &first).await, machine(puppet, &second).await)
}

#[tokio::test]
async fn an_answer_is_newer_than_what_it_answers() {
    let puppet = strings("answer");
    let (behind, ahead) = two("answer", Duration::from_millis(900)).await;
    ahead.set("question", "why?".into()).await.unwrap();
    behind.get("question").await.unwrap().unwrap();
    behind.set("answer", "because".into()).await.unwrap();
    assert!(stamp_of(&puppet, "answer") > stamp_of(&puppet, "question"));
}

#[tokio::test]
async fn a_clock_that_is_wrong_does_not_move_the_others() {
    let puppet = strings("wrong clock");
    let (right, wrong) = two("wrong clock", Duration::from_secs(600)).await;
    wrong.set("question", "when?".into()).await.unwrap();
    assert_eq!(right.get("question").await.unwrap().as_deref(), Some("when?"), "it is served");
    right.set("answer", "now".into()).await.unwrap();
    assert!(stamp_of(&puppet, "answer") < stamp_of(&puppet, "question"));
}
