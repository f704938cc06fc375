//! What outlives a process, and what two of them see.
//!
//! Two backends in one place stand for two processes; each has its own connection or handles.

use larder_core::Capabilities;

use super::{Subject, as_kept, entry};
use crate::must::Must;

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// Closed in good order, opened again.
pub async fn what_was_stored_is_there_after_a_restart(subject: &Subject) {
    let first = subject.open().await;
    for key in KEYS {
        first.set(key, subject.full_entry(key.as_bytes())).await.must();
    }
    assert!(first.delete("d").await.must());
    first.close().await.must();
    let persists = first.capabilities().contains(Capabilities::PERSIST);
    drop(first);
    let second = subject.open().await;
    for key in KEYS {
        let expected = as_kept(&*second, subject.full_entry(key.as_bytes()));
        let expected = (persists && key != "d").then_some(expected);
        assert_eq!(second.get(key).await.must(), expected, "{key}");
    }
}

/// Deleted and cleared entries do not come back with the next process.
pub async fn what_was_cleared_stays_away_after_a_restart(subject: &Subject) {
    let first = subject.open().await;
    for key in KEYS {
        first.set(key, entry(b"before")).await.must();
    }
    first.clear().await.must();
    first.set("d", entry(b"after")).await.must();
    first.close().await.must();
    let persists = first.capabilities().contains(Capabilities::PERSIST);
    drop(first);
    let second = subject.open().await;
    for key in ["a", "b", "c"] {
        assert_eq!(second.get(key).await.must(), None, "{key}");
    }
    let expected = persists.then(|| entry(b"after"));
    assert_eq!(second.get("d").await.must(), expected);
}

/// Sets and deletes of one are seen by the other at once.
pub async fn what_one_process_stores_all_others_see(subject: &Subject) {
    let Some((first, second)) = two(subject).await else { return };
    for round in 0..20_u8 {
        let (one, other) = if round % 2 == 0 { (&first, &second) } else { (&second, &first) };
        one.set("42", subject.full_entry(&[round])).await.must();
        let found = other.get("42").await.must();
        assert_eq!(found, Some(as_kept(&**other, subject.full_entry(&[round]))));
        if round % 3 == 0 {
            assert!(other.delete("42").await.must());
            assert_eq!(one.get("42").await.must(), None);
        }
    }
}

/// A clear of one is a clear of all.
pub async fn what_one_process_cleared_no_other_sees(subject: &Subject) {
    let Some((first, second)) = two(subject).await else { return };
    for round in 0..20_u8 {
        first.set("a", entry(&[round])).await.must();
        second.set("b", entry(&[round])).await.must();
        let clearer = if round % 2 == 0 { &first } else { &second };
        clearer.clear().await.must();
        for backend in [&first, &second] {
            assert_eq!(backend.get_many(&["a", "b"]).await.must(), [None, None], "{round}");
        }
        second.set("a", entry(b"after")).await.must();
        assert_eq!(first.get("a").await.must(), Some(entry(b"after")));
    }
}

type Shared = std::sync::Arc<dyn larder_core::Backend>;

/// Two that share their entries. One that does not share may refuse to be opened twice, or have
/// entries of its own.
async fn two(subject: &Subject) -> Option<(Shared, Shared)> {
    let first = subject.open().await;
    first.set("shared?", entry(b"value")).await.must();
    if first.capabilities().contains(Capabilities::SHARED) {
        return Some((first, subject.open().await));
    }
    if let Ok(second) = subject.try_open().await {
        let found = second.get("shared?").await.must();
        assert_eq!(found, None, "two share entries, but `SHARED` is not declared");
    }
    None
}
