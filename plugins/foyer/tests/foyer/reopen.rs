//! What is there when a cache is opened again.

use std::pin::pin;
use std::task::{Context, Waker};

use larder_core::ErrorKind;

use super::*;

/// Opens a directory as soon as the backend that was dropped before has let go of it.
async fn open_after_drop(dir: &Path) -> FoyerBackend {
    loop {
        match build(config(dir)).await {
            Ok(backend) => return backend,
            Err(error) => assert!(error.to_string().contains("in use"), "{error}"),
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn entries_survive_an_orderly_close() {
    let (_outer, dir) = temporary();
    for round in 0..3_u64 {
        let backend = open(&dir).await;
        for key in 0..round * 100 {
            let found = get(&backend, &key.to_string()).await;
            assert_eq!(found.map(|found| number_of(&found)), Some(key), "round {round}");
        }
        for key in round * 100..round * 100 + 100 {
            backend.set(&key.to_string(), numbered(key)).await.unwrap();
        }
        backend.close().await.unwrap();
    }
}

#[tokio::test]
async fn what_was_deleted_or_overwritten_does_not_come_back() {
    let (_outer, dir) = temporary();
    let backend = open(&dir).await;
    // More deletes than foyer's own log of them has room for on its first page.
    for key in 0..900_u64 {
        backend.set(&key.to_string(), numbered(key)).await.unwrap();
    }
    backend.flush().await.unwrap();
    for key in 0..600_u64 {
        backend.delete(&key.to_string()).await.unwrap();
    }
    for key in 600..750_u64 {
        backend.set(&key.to_string(), numbered(key + 1000)).await.unwrap();
    }
    backend.close().await.unwrap();
    drop(backend);
    for _ in 0..2 {
        let backend = open(&dir).await;
        for key in 0..900_u64 {
            let found = get(&backend, &key.to_string()).await.map(|found| number_of(&found));
            let expected = match key {
                0..600 => None,
                600..750 => Some(key + 1000),
                _ => Some(key),
            };
            assert_eq!(found, expected, "{key}");
        }
        backend.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_clear_holds_at_once_and_after_a_reopen() {
    let (_outer, dir) = temporary();
    let backend = open(&dir).await;
    for key in 0..100_u64 {
        backend.set(&key.to_string(), numbered(key)).await.unwrap();
    }
    backend.clear().await.unwrap();
    assert_eq!(get(&backend, "7").await, None);
    set(&backend, "new", b"value").await;
    assert!(get(&backend, "new").await.is_some());
    backend.close().await.unwrap();
    drop(backend);
    let backend = open(&dir).await;
    for key in 0..100_u64 {
        assert_eq!(get(&backend, &key.to_string()).await, None);
    }
    assert_eq!(get(&backend, "new").await, Some(entry(b"value")));
}

#[tokio::test]
async fn what_is_set_after_a_clear_survives_a_reopen() {
    let (_outer, dir) = temporary();
    // A block holds more entries than one index of foyer lists.
    let config = || FoyerConfig::new(&dir, ByteSize(32 * MIB));
    for count in [100_u64, 200, 300, 400] {
        let backend = build(config()).await.unwrap();
        for key in 0..count {
            set(&backend, &key.to_string(), b"value").await;
        }
        backend.flush().await.unwrap();
        backend.clear().await.unwrap();
        set(&backend, "kept", &count.to_be_bytes()).await;
        backend.close().await.unwrap();
        drop(backend);
        let backend = build(config()).await.unwrap();
        let kept = get(&backend, "kept").await;
        assert_eq!(kept, Some(entry(&count.to_be_bytes())), "after {count} others");
        assert_eq!(get(&backend, "7").await, None);
        backend.close().await.unwrap();
    }
}

#[tokio::test]
async fn after_a_close_every_call_says_so() {
    let (_outer, dir) = temporary();
    let backend = open(&dir).await;
    set(&backend, "a", b"value").await;
    backend.close().await.unwrap();
    backend.close().await.unwrap();
    for error in [
        backend.get("a").await.unwrap_err(),
        backend.set("a", entry(b"value")).await.unwrap_err(),
        backend.delete("a").await.unwrap_err(),
        backend.clear().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
}

#[tokio::test]
async fn a_close_that_nobody_waits_for_comes_to_its_end() {
    let (_outer, dir) = temporary();
    let backend = open(&dir).await;
    set(&backend, "a", b"value").await;
    let begun = pin!(backend.close()).poll(&mut Context::from_waker(Waker::noop()));
    assert!(begun.is_pending(), "it takes a while");
    drop(backend);
    let backend = open_after_drop(&dir).await;
    assert_eq!(get(&backend, "a").await, Some(entry(b"value")));
}

#[tokio::test]
async fn without_a_close_the_cache_begins_empty() {
    let (_outer, dir) = temporary();
    let backend = open(&dir).await;
    set(&backend, "a", b"value").await;
    backend.flush().await.unwrap();
    drop(backend);
    let backend = open_after_drop(&dir).await;
    assert_eq!(get(&backend, "a").await, None);
}

#[tokio::test]
async fn with_another_size_the_cache_begins_empty() {
    let (_outer, dir) = temporary();
    let backend = open(&dir).await;
    set(&backend, "a", b"value").await;
    backend.close().await.unwrap();
    drop(backend);
    let mut larger = config(&dir);
    larger.max_bytes = ByteSize(16 * MIB);
    let backend = build(larger).await.unwrap();
    assert_eq!(get(&backend, "a").await, None);
    set(&backend, "b", b"value").await;
    assert!(get(&backend, "b").await.is_some());
}

#[test]
fn when_the_runtime_is_gone_calls_fail_or_miss_and_do_not_hang() {
    let (_outer, dir) = temporary();
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let first = runtime();
    let backend = first.block_on(async {
        let backend = open(&dir).await;
        for key in 0..100_u64 {
            backend.set(&key.to_string(), numbered(key)).await.unwrap();
        }
        backend.flush().await.unwrap();
        backend
    });
    drop(first);
    runtime().block_on(async {
        for key in 0..100_u64 {
            if let Ok(Some(found)) = backend.get(&key.to_string()).await {
                assert_eq!(number_of(&found), key);
            }
        }
        backend.set("new", entry(b"value")).await.ok();
        backend.flush().await.ok();
        backend.close().await.ok();
    });
    drop(backend);
}
