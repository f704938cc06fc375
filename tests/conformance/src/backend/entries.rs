//! What was set comes back as it was, and what was deleted does not.

use larder_core::{Capabilities, ErrorKind};

use super::{Subject, as_kept, entry};
use crate::must::Must;

/// Nothing of an entry is lost on the way.
pub async fn an_entry_comes_back_with_its_value_and_its_meta(subject: &Subject) {
    let backend = subject.open().await;
    for value in [&b"value"[..], b""] {
        let stored = subject.full_entry(value);
        backend.set("42", stored.clone()).await.must();
        let found = backend.get("42").await.must();
        assert_eq!(found, Some(as_kept(&*backend, stored)));
    }
}

/// A miss is no error.
pub async fn what_was_never_set_is_not_there(subject: &Subject) {
    let backend = subject.open().await;
    assert_eq!(backend.get("42").await.must(), None);
    assert!(!backend.exists("42").await.must());
    assert_eq!(backend.meta("42").await.must(), None);
    assert!(!backend.delete("42").await.must());
    assert_eq!(backend.get_many(&["42", "43"]).await.must(), [None, None]);
}

/// A set replaces value and meta, whatever stood there.
pub async fn the_last_set_wins(subject: &Subject) {
    let backend = subject.open().await;
    let long = vec![7; 100_000];
    for value in [&b"first"[..], &long, b"", b"last"] {
        backend.set("42", subject.full_entry(b"other")).await.must();
        backend.set("42", entry(value)).await.must();
        assert_eq!(backend.get("42").await.must(), Some(entry(value)));
    }
}

/// Nothing, one byte, the sizes around those of pages and blocks, a mebibyte.
pub async fn values_of_every_size_come_back(subject: &Subject) {
    let backend = subject.open().await;
    let around = |size: usize| [size - 1, size, size + 1];
    let sizes = [around(1), around(512), around(4096), around(65_536), around(1 << 20)].concat();
    for &size in &sizes {
        let value: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        backend.set(&format!("size {size}"), entry(&value)).await.must();
        let found = backend.get(&format!("size {size}")).await.must().expect("it was just set");
        assert!(found.value == value, "{size} bytes came back changed");
    }
}

/// What they mean is the business of the cache; a backend keeps them.
pub async fn tombstones_and_negative_entries_are_entries(subject: &Subject) {
    let backend = subject.open().await;
    let (mut tombstone, mut negative) = (entry(b""), entry(b""));
    tombstone.meta.tombstone = true;
    negative.meta.negative = true;
    for (key, stored) in [("gone", tombstone), ("none", negative)] {
        backend.set(key, stored.clone()).await.must();
        assert_eq!(backend.get(key).await.must(), Some(stored));
        assert!(backend.exists(key).await.must());
    }
}

/// Deleting twice is fine, and the answers tell the two apart.
pub async fn delete_tells_whether_there_was_an_entry(subject: &Subject) {
    let backend = subject.open().await;
    backend.set("42", entry(b"value")).await.must();
    backend.set("43", entry(b"other")).await.must();
    assert!(backend.delete("42").await.must());
    assert!(!backend.delete("42").await.must());
    assert_eq!(backend.get("42").await.must(), None);
    assert_eq!(backend.get("43").await.must(), Some(entry(b"other")));
}

/// Three ways to ask, one answer.
pub async fn exists_and_meta_agree_with_get(subject: &Subject) {
    let backend = subject.open().await;
    backend.set("42", subject.full_entry(b"value")).await.must();
    let found = backend.get("42").await.must().expect("it was just set");
    assert!(backend.exists("42").await.must());
    assert_eq!(backend.meta("42").await.must(), Some(found.meta));
}

/// After a clear nothing of before is found, and the backend goes on as a new one.
pub async fn clear_leaves_nothing(subject: &Subject) {
    let backend = subject.open().await;
    backend.clear().await.must();
    let keys: Vec<String> = (0..100).map(|number| format!("key {number}")).collect();
    for round in 0..3_u8 {
        for key in &keys {
            backend.set(key, entry(&[round])).await.must();
        }
        backend.clear().await.must();
        for key in &keys {
            assert_eq!(backend.get(key).await.must(), None, "{key} after clear {round}");
        }
    }
    backend.set("42", entry(b"after")).await.must();
    assert_eq!(backend.get("42").await.must(), Some(entry(b"after")));
}

/// Calls that come after `close` answer `Closed`, or work as before.
pub async fn what_was_closed_neither_panics_nor_hangs(subject: &Subject) {
    let backend = subject.open().await;
    backend.set("42", entry(b"value")).await.must();
    backend.flush().await.must();
    let health = backend.health().await.must();
    assert_eq!(health.corrupt, 0, "nothing was damaged");
    backend.close().await.must();
    match backend.get("42").await {
        Ok(found) => assert_eq!(found, Some(entry(b"value"))),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Closed, "{error}"),
    }
    if let Err(error) = backend.set("42", entry(b"other")).await {
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    }
    assert_eq!(backend.capabilities() & Capabilities::all(), backend.capabilities());
}
