//! Entries end with their hard deadline, and `touch` moves it.

use std::time::Duration;

use larder_core::backend::{Deadlines, Loan};
use larder_core::{Backend, Capabilities, Clock, Entry, ErrorKind};

use super::{LIFE, Subject, as_kept, entry};
use crate::must::Must;

const MICROSECOND: Duration = Duration::from_micros(1);

/// Not earlier, not later, by whatever way it is asked for.
pub async fn an_entry_ends_with_its_hard_deadline(subject: &Subject) {
    let backend = subject.open().await;
    for key in ["a", "b", "c", "d"] {
        backend.set(key, subject.full_entry(b"value")).await.must();
    }
    subject.advance(LIFE - MICROSECOND);
    assert!(backend.exists("a").await.must(), "it lives for another microsecond");
    assert!(backend.get("a").await.must().is_some());
    subject.advance(MICROSECOND);
    assert_eq!(backend.get("a").await.must(), None);
    assert!(!backend.exists("b").await.must());
    assert_eq!(backend.meta("c").await.must(), None);
    assert_eq!(backend.get_many(&["b", "c"]).await.must(), [None, None]);
    assert!(!backend.delete("d").await.must(), "it was gone already");
}

/// From the first set to the end of the last entry; a backend that is never quick is not asked.
pub async fn an_answer_at_once_is_that_of_get(subject: &Subject) {
    let backend = subject.open().await;
    let keys = ["lives", "for ever", "is long", "was deleted", "was never set"];
    let agree = async |expected: [Option<Entry>; 5]| {
        for (key, expected) in keys.into_iter().zip(expected) {
            let asked = backend.get(key).await.must();
            assert_eq!(asked, expected, "{key}");
            if let Some(now) = backend.get_now(key) {
                assert_eq!(now.must().map(Loan::into_entry), expected, "{key} at once");
            }
        }
    };
    agree([const { None }; 5]).await;
    let mortal = as_kept(&*backend, subject.full_entry(b"value"));
    let (lasting, long) = (entry(b"lasting"), entry(&vec![7; 100_000]));
    for (key, stored) in keys.into_iter().zip([&mortal, &lasting, &long, &lasting]) {
        backend.set(key, stored.clone()).await.must();
    }
    assert!(backend.delete("was deleted").await.must());
    let rest = [Some(lasting), Some(long), None, None];
    let with = |first: Option<&Entry>| {
        let mut all = [const { None }; 5];
        all[0] = first.cloned();
        all[1..].clone_from_slice(&rest);
        all
    };
    agree(with(Some(&mortal))).await;
    subject.advance(LIFE - MICROSECOND);
    agree(with(Some(&mortal))).await;
    subject.advance(MICROSECOND);
    agree(with(None)).await;
    backend.clear().await.must();
    agree([const { None }; 5]).await;
}

/// Whether a stale entry is served is for the cache to say.
pub async fn a_stale_entry_is_returned(subject: &Subject) {
    let backend = subject.open().await;
    let stored = subject.full_entry(b"value");
    backend.set("42", stored.clone()).await.must();
    subject.advance(LIFE - MICROSECOND);
    let found = backend.get("42").await.must();
    assert_eq!(found, Some(as_kept(&*backend, stored)));
}

/// And it takes the place of a living one.
pub async fn an_entry_that_is_dead_on_arrival_is_never_seen(subject: &Subject) {
    let backend = subject.open().await;
    let dead = subject.full_entry(b"dead");
    subject.advance(LIFE);
    backend.set("42", subject.full_entry(b"alive")).await.must();
    backend.set("42", dead).await.must();
    assert_eq!(backend.get("42").await.must(), None, "neither the dead nor the old one");
}

/// Value, stamp, tags and all else stay.
pub async fn touch_moves_the_deadlines_and_nothing_else(subject: &Subject) {
    let backend = subject.open().await;
    let now = subject.place().clock().wall();
    let longer = Deadlines { soft: None, hard: Some(now.after(LIFE * 2)) };
    if !can_touch(&*backend).await {
        return;
    }
    assert!(!backend.touch("42", longer).await.must(), "there is nothing yet");
    let mut expected = subject.full_entry(b"value");
    backend.set("42", expected.clone()).await.must();
    assert!(backend.touch("42", longer).await.must());
    (expected.meta.soft_deadline, expected.meta.hard_deadline) = (longer.soft, longer.hard);
    subject.advance(LIFE);
    let found = backend.get("42").await.must();
    assert_eq!(found, Some(as_kept(&*backend, expected.clone())));
    let for_ever = Deadlines::default();
    assert!(backend.touch("42", for_ever).await.must());
    subject.advance(LIFE * 100);
    (expected.meta.soft_deadline, expected.meta.hard_deadline) = (None, None);
    let found = backend.get("42").await.must();
    assert_eq!(found, Some(as_kept(&*backend, expected)));
    let over = Deadlines { soft: None, hard: Some(subject.place().clock().wall()) };
    backend.touch("42", over).await.must();
    assert_eq!(backend.get("42").await.must(), None, "a touch can end a life as well");
}

/// What is over stays over.
pub async fn touch_does_not_wake_the_dead(subject: &Subject) {
    let backend = subject.open().await;
    if !can_touch(&*backend).await {
        return;
    }
    backend.set("42", subject.full_entry(b"value")).await.must();
    subject.advance(LIFE);
    assert!(!backend.touch("42", Deadlines::default()).await.must());
    assert_eq!(backend.get("42").await.must(), None);
}

async fn can_touch(backend: &dyn Backend) -> bool {
    let declared = backend.capabilities().contains(Capabilities::TOUCH);
    if !declared {
        let error = backend.touch("42", Deadlines::default()).await.must_fail();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "`TOUCH` is not declared");
    }
    declared
}
