//! Leases: one of many loads, and only who still has the lease stores what it loaded.

use std::time::Duration;

use futures_util::future::{join, join_all};
use larder_core::backend::Lease;
use larder_core::{Backend, Capabilities, ErrorKind};

use super::{Subject, entry};
use crate::must::Must;

const TEN_SECONDS: Duration = Duration::from_secs(10);

/// How often a race is run.
const ROUNDS: usize = 20;

/// One of those who ask at the same time loads, the others are told to wait.
pub async fn at_most_one_of_many_gets_the_lease(subject: &Subject) {
    let backend = subject.open().await;
    if !can_lease(&*backend).await {
        return;
    }
    for key in ["a", "b"] {
        let asked = (0..32).map(|_| backend.lease(key, TEN_SECONDS));
        let answers = join_all(asked).await.into_iter().map(Must::must);
        let granted = answers.filter(|lease| matches!(lease, Lease::Granted { .. })).count();
        assert_eq!(granted, 1, "leases of {key}");
    }
}

/// Whichever comes first.
pub async fn a_lease_ends_with_a_write_a_delete_and_its_time(subject: &Subject) {
    let backend = subject.open().await;
    if !can_lease(&*backend).await {
        return;
    }
    let mut tokens = Vec::new();
    for end in [End::Write, End::Delete, End::Time, End::Clear, End::Release, End::Fill] {
        let token = lease(&*backend).await;
        tokens.push(token);
        let second = backend.lease("42", TEN_SECONDS).await.must();
        assert!(matches!(second, Lease::Held { .. }), "{second:?} before {end:?}");
        end.come(subject, &*backend, token).await;
    }
    lease(&*backend).await;
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), 6, "a token proves one lease");
}

/// What was loaded is there, and another may load at once.
pub async fn what_is_loaded_under_a_lease_is_stored_once(subject: &Subject) {
    let backend = subject.open().await;
    if !can_lease(&*backend).await {
        return;
    }
    backend.set("42", entry(b"old")).await.must();
    let token = lease(&*backend).await;
    let loaded = subject.full_entry(b"loaded");
    assert!(backend.fill("42", loaded.clone(), token).await.must(), "the lease holds");
    assert_eq!(backend.get("42").await.must(), Some(super::as_kept(&*backend, loaded.clone())));
    assert!(!backend.fill("42", entry(b"again"), token).await.must(), "the lease was used");
    assert_eq!(backend.get("42").await.must(), Some(super::as_kept(&*backend, loaded)));
    lease(&*backend).await;
}

/// However it was lost, and whoever has it instead.
pub async fn a_lost_lease_fills_nothing(subject: &Subject) {
    let backend = subject.open().await;
    if !can_lease(&*backend).await {
        return;
    }
    for end in [End::Write, End::Delete, End::Time, End::Clear, End::Release] {
        for has_successor in [false, true] {
            let lost = lease(&*backend).await;
            end.come(subject, &*backend, lost).await;
            let successor = if has_successor { Some(lease(&*backend).await) } else { None };
            let before = backend.get("42").await.must();
            let filled = backend.fill("42", entry(b"late"), lost).await.must();
            assert!(!filled, "after {end:?}");
            assert_eq!(backend.get("42").await.must(), before, "after {end:?}");
            if let Some(token) = successor {
                assert!(backend.release("42", token).await.must(), "it lost its lease: {end:?}");
            }
        }
    }
    let token = lease(&*backend).await;
    assert!(!backend.fill("42", entry(b"late"), token ^ 1).await.must(), "a token nobody has");
    assert!(!backend.fill("43", entry(b"late"), token).await.must(), "a lease of another key");
}

/// By who has it, and by nobody else.
pub async fn a_released_lease_can_be_taken_at_once(subject: &Subject) {
    let backend = subject.open().await;
    if !can_lease(&*backend).await {
        return;
    }
    let first = lease(&*backend).await;
    assert!(!backend.release("42", first ^ 1).await.must(), "a token nobody has");
    assert!(!backend.release("43", first).await.must(), "a lease of another key");
    let still = backend.lease("42", TEN_SECONDS).await.must();
    assert!(matches!(still, Lease::Held { .. }), "{still:?}: it was not released");
    assert!(backend.release("42", first).await.must());
    let second = lease(&*backend).await;
    assert!(!backend.release("42", first).await.must(), "it was released before");
    let still = backend.lease("42", TEN_SECONDS).await.must();
    assert!(matches!(still, Lease::Held { .. }), "{still:?}: another one has it");
    assert!(backend.release("42", second).await.must());
    assert_eq!(backend.get("42").await.must(), None, "a lease is no entry");
}

/// What was written while somebody loaded is never replaced by what was loaded.
pub async fn a_write_wins_over_a_fill_in_whatever_order(subject: &Subject) {
    let backend = subject.open().await;
    if !can_lease(&*backend).await {
        return;
    }
    for round in 0..ROUNDS {
        let token = lease(&*backend).await;
        let fill = backend.fill("42", entry(b"loaded"), token);
        let set = backend.set("42", entry(b"written"));
        let (filled, written) = match round % 2 {
            0 => join(fill, set).await,
            _ => {
                let (written, filled) = join(set, fill).await;
                (filled, written)
            }
        };
        filled.must();
        written.must();
        assert_eq!(backend.get("42").await.must(), Some(entry(b"written")), "round {round}");
    }
}

/// How a lease ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Clear,
    Delete,
    Fill,
    Release,
    Time,
    Write,
}

impl End {
    async fn come(self, subject: &Subject, backend: &dyn Backend, token: u64) {
        match self {
            Self::Clear => backend.clear().await.must(),
            Self::Delete => drop(backend.delete("42").await.must()),
            Self::Fill => assert!(backend.fill("42", entry(b"filled"), token).await.must()),
            Self::Release => assert!(backend.release("42", token).await.must()),
            Self::Time => subject.advance(TEN_SECONDS),
            Self::Write => backend.set("42", entry(b"value")).await.must(),
        }
    }
}

/// The token of a lease that is granted.
async fn lease(backend: &dyn Backend) -> u64 {
    match backend.lease("42", TEN_SECONDS).await.must() {
        Lease::Granted { token } => token,
        other => panic!("{other:?} where nobody has the lease"),
    }
}

async fn can_lease(backend: &dyn Backend) -> bool {
    let declared = backend.capabilities().contains(Capabilities::LEASE);
    if !declared {
        let errors = [
            backend.lease("42", TEN_SECONDS).await.map(drop),
            backend.fill("42", entry(b""), 1).await.map(drop),
            backend.release("42", 1).await.map(drop),
        ];
        for error in errors.map(Must::must_fail) {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "`LEASE` is not declared");
        }
    }
    declared
}
