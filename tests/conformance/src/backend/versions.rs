//! Writes that know which is newer.

use futures_util::future::join_all;
use larder_core::{Backend, Capabilities, Entry, ErrorKind, Stamp, Timestamp};

use super::{Subject, entry};
use crate::must::Must;

/// Greater stamps win, be it by time or by origin; equal ones do not.
pub async fn only_what_is_newer_is_put(subject: &Subject) {
    let backend = subject.open().await;
    if !can_put_if_newer(&*backend).await {
        return;
    }
    for (time, origin, is_newer) in [
        (100, 5, true),
        (100, 5, false),
        (99, 9, false),
        (100, 4, false),
        (100, 6, true),
        (101, 0, true),
        (1_800_000_000_000_000, 0, true),
        (1_800_000_000_000_000 - 1, u32::MAX, false),
    ] {
        let before = backend.get("42").await.must();
        let put = stamped(time, origin);
        let was_put = backend.put_if_newer("42", put.clone()).await.must();
        assert_eq!(was_put, is_newer, "{time}.{origin} over {before:?}");
        let expected = if is_newer { Some(put) } else { before };
        assert_eq!(backend.get("42").await.must(), expected);
    }
    let mut tombstone = stamped(1_800_000_000_000_001, 0);
    tombstone.meta.tombstone = true;
    assert!(backend.put_if_newer("42", tombstone).await.must());
    let late = stamped(1_800_000_000_000_000, 0);
    assert!(!backend.put_if_newer("42", late).await.must(), "a delete is not undone");
}

/// In whatever order they come.
pub async fn the_newest_of_many_writers_stays(subject: &Subject) {
    let backend = subject.open().await;
    if !can_put_if_newer(&*backend).await {
        return;
    }
    let mut random = crate::seed::random();
    let mut stamps: Vec<(u64, u32)> =
        (1..=64).map(|number| (1000 + number / 2, (number % 2) as u32)).collect();
    random.shuffle(&mut stamps);
    let writers = stamps.iter().map(|&(time, origin)| {
        let backend = &backend;
        async move { backend.put_if_newer("42", stamped(time, origin)).await.must() }
    });
    assert!(join_all(writers).await.contains(&true));
    assert_eq!(backend.get("42").await.must(), Some(stamped(1032, 0)));
}

fn stamped(micros: u64, origin: u32) -> Entry {
    let mut entry = entry(format!("{micros}.{origin}").as_bytes());
    entry.meta.stamp = Stamp { time: Timestamp::from_micros(micros), origin };
    entry
}

async fn can_put_if_newer(backend: &dyn Backend) -> bool {
    let declared = backend.capabilities().contains(Capabilities::PUT_IF_NEWER);
    if !declared {
        let error = backend.put_if_newer("42", entry(b"")).await.must_fail();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "`PUT_IF_NEWER` is not declared");
    }
    declared
}
