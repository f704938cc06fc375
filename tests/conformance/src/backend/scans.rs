//! Every key is listed.

use std::collections::BTreeSet;
use std::time::Duration;

use larder_core::backend::{Lease, ScanRequest};
use larder_core::{Backend, Capabilities, ErrorKind};

use super::keys::HOSTILE;
use super::{LIFE, Subject, entry};
use crate::must::Must;

/// Nothing, once, without a next page.
pub async fn an_empty_backend_lists_nothing(subject: &Subject) {
    let backend = subject.open().await;
    if can_scan(&*backend).await {
        assert_eq!(list(&*backend, ScanRequest::all()).await, Vec::<String>::new());
    }
}

/// Keys that are there from the first page to the last are listed, whatever comes and goes
/// meanwhile; keys that were never there are not.
pub async fn a_scan_lists_every_key_that_stays(subject: &Subject) {
    let backend = subject.open().await;
    if !can_scan(&*backend).await {
        return;
    }
    let stays: BTreeSet<String> = (0..200).map(|number| format!("stays {number}")).collect();
    let goes: BTreeSet<String> = (0..200).map(|number| format!("goes {number}")).collect();
    let comes: BTreeSet<String> = (0..200).map(|number| format!("comes {number}")).collect();
    for key in stays.iter().chain(&goes) {
        backend.set(key, entry(b"value")).await.must();
    }
    for limit in [0, 1, 7, 1000] {
        let (mut listed, mut request) = (BTreeSet::new(), ScanRequest::all().limit(limit));
        let mut changes = goes.iter().zip(&comes);
        loop {
            let page = backend.scan(request.clone()).await.must();
            listed.extend(page.keys);
            let Some(next) = page.next else { break };
            request = request.from_cursor(Some(next));
            if let Some((gone, come)) = changes.next() {
                backend.delete(gone).await.must();
                backend.set(come, entry(b"value")).await.must();
            }
        }
        let missing: Vec<_> = stays.difference(&listed).collect();
        assert!(missing.is_empty(), "{missing:?} are not listed by pages of {limit}");
        let known =
            |key: &&String| stays.contains(*key) || goes.contains(*key) || comes.contains(*key);
        assert!(listed.iter().all(|key| known(&key)), "{listed:?}");
    }
}

/// Whatever the characters of prefix and keys mean elsewhere.
pub async fn a_scan_of_a_prefix_has_all_that_begin_with_it(subject: &Subject) {
    let backend = subject.open().await;
    if !can_scan(&*backend).await {
        return;
    }
    for key in HOSTILE {
        backend.set(key, entry(b"value")).await.must();
    }
    for prefix in ["a", "", "user:", "user:*", "*", "..", "{", "\u{202e}", "nobody"] {
        let request = ScanRequest::all().prefix(prefix).limit(3);
        let listed: BTreeSet<String> = list(&*backend, request).await.into_iter().collect();
        // A backend may list others as well, but none that is not there.
        assert!(listed.iter().all(|key| HOSTILE.contains(&key.as_str())), "{listed:?}");
        for key in HOSTILE.iter().filter(|key| key.starts_with(prefix)) {
            assert!(listed.contains(*key), "{key:?} is not listed for {prefix:?}");
        }
    }
    backend.set("mortal", subject.full_entry(b"value")).await.must();
    backend.delete("*").await.must();
    subject.advance(LIFE);
    let listed = list(&*backend, ScanRequest::all()).await;
    assert!(!listed.iter().any(|key| key == "*"), "a deleted key is listed");
}

/// With an entry or without one, as long as the lease holds.
pub async fn a_scan_of_leases_has_the_keys_that_somebody_loads(subject: &Subject) {
    let backend = subject.open().await;
    if !can_scan(&*backend).await || !backend.capabilities().contains(Capabilities::LEASE_SCAN) {
        return;
    }
    backend.set("of nobody", entry(b"value")).await.must();
    backend.set("again", entry(b"old")).await.must();
    for key in HOSTILE.iter().chain(&["again"]) {
        let lease = backend.lease(key, Duration::from_secs(10)).await.must();
        assert!(matches!(lease, Lease::Granted { .. }), "{lease:?} where nobody has the lease");
    }
    for prefix in ["", "a", "user:", "user:*", "*", "{"] {
        let request = ScanRequest::all().prefix(prefix).leased().limit(3);
        let listed: BTreeSet<String> = list(&*backend, request).await.into_iter().collect();
        for key in HOSTILE.iter().chain(&["again"]).filter(|key| key.starts_with(prefix)) {
            assert!(listed.contains(*key), "{key:?} is not listed for {prefix:?}");
        }
    }
    let leased: Vec<&str> = HOSTILE.to_vec();
    backend.delete_many(&leased).await.must();
    let listed = list(&*backend, ScanRequest::all().leased()).await;
    assert!(listed.iter().all(|key| !HOSTILE.contains(&key.as_str())), "{listed:?}: they ended");
    assert!(listed.iter().any(|key| key == "again"), "{listed:?}");
}

async fn list(backend: &dyn Backend, mut request: ScanRequest) -> Vec<String> {
    let mut keys = Vec::new();
    for _ in 0..100_000 {
        let page = backend.scan(request.clone()).await.must();
        keys.extend(page.keys);
        if page.next.is_none() {
            return keys;
        }
        request = request.from_cursor(page.next);
    }
    panic!("the scan does not end");
}

async fn can_scan(backend: &dyn Backend) -> bool {
    let declared = backend.capabilities().contains(Capabilities::SCAN);
    if !declared {
        let error = backend.scan(ScanRequest::all()).await.must_fail();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "`SCAN` is not declared");
    }
    declared
}
