//! Many callers at a time, and callers that go away.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::future::join_all;
use larder_core::{Backend, Bytes, ErrorKind};

use super::{Subject, entry};
use crate::must::Must;

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// Writers, readers and deleters of the same keys: every value that is read is one that was
/// written for that key, from its first byte to its last.
pub async fn many_callers_see_whole_values_of_their_keys(subject: &Subject) {
    let backend = subject.open().await;
    let mut random = crate::seed::random();
    let workers = (0..8).map(|worker| {
        let (backend, random) = (Arc::clone(&backend), random.fork());
        tokio::spawn(async move { work(&*backend, worker, random).await })
    });
    for worker in join_all(workers.collect::<Vec<_>>()).await {
        worker.expect("no worker panics");
    }
}

async fn work(backend: &dyn Backend, worker: u8, mut random: fastrand::Rng) {
    for _ in 0..60 {
        let key = KEYS[random.usize(..KEYS.len())];
        match random.u8(..8) {
            0 => drop(backend.delete(key).await.must()),
            1..=3 => {
                let size = random.usize(1..20_000);
                backend.set(key, entry(&value_of(key, worker, size))).await.must();
            }
            _ => {
                if let Some(found) = backend.get(key).await.must() {
                    assert_whole(key, &found.value);
                }
            }
        }
    }
}

/// The key, the writer, then the writer's number for as long as the value is.
fn value_of(key: &str, worker: u8, size: usize) -> Vec<u8> {
    let mut value = key.as_bytes().to_vec();
    value.extend((size as u32).to_be_bytes());
    value.resize(value.len() + size, worker);
    value
}

fn assert_whole(key: &str, value: &Bytes) {
    let size = u32::from_be_bytes([value[1], value[2], value[3], value[4]]) as usize;
    let worker = *value.last().expect("no value is empty");
    assert!(value[..] == value_of(key, worker, size), "a mixed value of {key}");
}

/// A future that is dropped after any number of steps leaves the old entry, the new one, or none.
/// What is set afterwards may be lost to a delete that was given up and comes late, but never to
/// an older value.
pub async fn a_caller_that_goes_away_leaves_a_whole_entry_or_none(subject: &Subject) {
    let backend = subject.open().await;
    let (old, new, last) = (entry(&[1; 3000]), entry(&[2; 50_000]), entry(&[3; 100]));
    for steps in 0..12 {
        backend.set("42", old.clone()).await.must();
        poll_some(backend.set("42", new.clone()), steps).await;
        for _ in 0..3 {
            let found = backend.get("42").await.must();
            let is_whole =
                found.is_none() || found == Some(old.clone()) || found == Some(new.clone());
            assert!(is_whole, "a mixed entry after {steps} steps");
        }
        poll_some(backend.delete("42"), steps).await;
        backend.set("42", last.clone()).await.must();
        for _ in 0..3 {
            let found = backend.get("42").await.must();
            let is_newest = found.is_none() || found == Some(last.clone());
            assert!(is_newest, "overwritten by what was given up after {steps} steps");
        }
        poll_some(backend.clear(), steps).await;
        poll_some(backend.get("42"), steps).await;
    }
    match backend.health().await {
        Ok(health) => assert_eq!(health.corrupt, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}"),
    }
}

/// Lets a future take some steps, and drops it.
async fn poll_some<T>(future: impl Future<Output = T>, steps: usize) {
    let mut future = pin!(future);
    for _ in 0..steps {
        let is_done = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await;
        if is_done {
            return;
        }
        tokio::task::yield_now().await;
    }
}
