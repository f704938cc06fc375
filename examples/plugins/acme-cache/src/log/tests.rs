//! What `acme.log` keeps, forgets and survives.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use larder_core::backend::{Backend, Deadlines, ScanRequest};
use larder_core::{Clock, Entry, EntryMeta, ErrorKind, ManualClock};
use tempfile::TempDir;

use super::*;

fn entry(value: impl Into<Vec<u8>>) -> Entry {
    Entry { value: value.into().into(), meta: EntryMeta::default() }
}

async fn open(path: &Path) -> LogBackend {
    open_with(LogConfig::new(path), &BuildContext::new("test")).await
}

async fn open_with(config: LogConfig, context: &BuildContext) -> LogBackend {
    config.build(context).await.expect("the log can be opened")
}

fn directory() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("below").join("test.log");
    (directory, path)
}

#[tokio::test]
async fn what_was_set_and_deleted_is_so_after_a_restart() {
    let (_directory, path) = directory();
    let log = open(&path).await;
    for (key, value) in [("a", "1"), ("b", "2"), ("a", "3")] {
        log.set(key, entry(value)).await.unwrap();
    }
    assert!(log.delete("b").await.unwrap());
    assert!(!log.delete("b").await.unwrap());
    log.close().await.unwrap();
    let log = open(&path).await;
    assert_eq!(log.get("a").await.unwrap(), Some(entry("3")));
    assert_eq!(log.get("b").await.unwrap(), None);
}

#[tokio::test]
async fn a_record_that_was_torn_is_cut_off() {
    let (_directory, path) = directory();
    let log = open(&path).await;
    log.set("a", entry("1")).await.unwrap();
    let whole = fs::metadata(&path).unwrap().len();
    log.set("b", entry("2")).await.unwrap();
    log.close().await.unwrap();
    let bytes = fs::read(&path).unwrap();
    for end in whole as usize..bytes.len() {
        fs::write(&path, &bytes[..end]).unwrap();
        let log = open(&path).await;
        assert_eq!(log.get("a").await.unwrap(), Some(entry("1")), "cut at {end}");
        assert_eq!(log.get("b").await.unwrap(), None, "cut at {end}");
        assert_eq!(fs::metadata(&path).unwrap().len(), whole);
    }
}

#[tokio::test]
async fn a_flipped_byte_never_becomes_a_value() {
    let (_directory, path) = directory();
    let log = open(&path).await;
    log.set("a", entry("old")).await.unwrap();
    log.set("a", entry("new")).await.unwrap();
    log.close().await.unwrap();
    let bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x40;
        fs::write(&path, damaged).unwrap();
        let found = open(&path).await.get("a").await.unwrap();
        let value = found.map(|entry| entry.value);
        // The deadlines are not covered by the checksum, so damage there may leave the value.
        assert!(value.is_none_or(|value| value == "new"), "flipped at {at}");
    }
}

#[tokio::test]
async fn a_full_log_forgets_what_was_written_longest_ago() {
    let (_directory, path) = directory();
    let config = LogConfig::new(&path).max_bytes(LEAST_BYTES);
    let log = open_with(config, &BuildContext::new("test")).await;
    for index in 0..100 {
        log.set(&format!("key-{index:02}"), entry(vec![7; 100])).await.unwrap();
        assert!(fs::metadata(&path).unwrap().len() <= LEAST_BYTES.0);
    }
    assert!(log.exists("key-99").await.unwrap());
    assert!(!log.exists("key-00").await.unwrap());
    let keys = log.scan(ScanRequest::all()).await.unwrap().keys;
    assert!(keys.len() >= 10, "only {} were kept", keys.len());
    let newest: Vec<String> = (100 - keys.len()..100).map(|at| format!("key-{at:02}")).collect();
    assert_eq!(keys, newest);
}

#[tokio::test]
async fn rewriting_one_key_does_not_push_out_the_others() {
    let (_directory, path) = directory();
    let config = LogConfig::new(&path).max_bytes(LEAST_BYTES);
    let log = open_with(config, &BuildContext::new("test")).await;
    log.set("kept", entry("1")).await.unwrap();
    for _ in 0..500 {
        log.set("again", entry(vec![7; 100])).await.unwrap();
    }
    assert_eq!(log.get("kept").await.unwrap(), Some(entry("1")));
}

#[tokio::test]
async fn an_entry_that_is_too_large_leaves_nothing_of_the_old_one() {
    let (_directory, path) = directory();
    let config = LogConfig::new(&path).max_bytes(LEAST_BYTES);
    let log = open_with(config.clone(), &BuildContext::new("test")).await;
    log.set("a", entry("old")).await.unwrap();
    let error = log.set("a", entry(vec![0; 5000])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capacity);
    assert_eq!(log.get("a").await.unwrap(), None);
    log.close().await.unwrap();
    let log = open_with(config, &BuildContext::new("test")).await;
    assert_eq!(log.get("a").await.unwrap(), None, "not after a restart either");
}

#[tokio::test]
async fn an_entry_ends_with_its_hard_deadline_which_touch_moves() {
    let (_directory, path) = directory();
    let clock = Arc::new(ManualClock::new());
    let context = BuildContext::new("test").clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let log = open_with(LogConfig::new(&path), &context).await;
    let mut mortal = entry("1");
    mortal.meta.hard_deadline = Some(clock.wall().after(Duration::from_secs(10)));
    log.set("a", mortal.clone()).await.unwrap();
    log.set("b", mortal).await.unwrap();
    let later = Some(clock.wall().after(Duration::from_secs(30)));
    assert!(log.touch("a", Deadlines { soft: None, hard: later }).await.unwrap());
    clock.advance(Duration::from_secs(10));
    assert!(log.exists("a").await.unwrap());
    assert!(!log.exists("b").await.unwrap());
    assert!(!log.touch("b", Deadlines::default()).await.unwrap());
}

#[tokio::test]
async fn pages_of_a_scan_have_every_key_with_the_prefix_once() {
    let (_directory, path) = directory();
    let log = open(&path).await;
    for key in ["a", "user:1", "user:2", "user:3", "z"] {
        log.set(key, entry("1")).await.unwrap();
    }
    let request = ScanRequest::all().prefix("user:").limit(2);
    let first = log.scan(request.clone()).await.unwrap();
    let second = log.scan(request.from_cursor(first.next)).await.unwrap();
    assert_eq!([first.keys, second.keys].concat(), ["user:1", "user:2", "user:3"]);
    assert_eq!(second.next, None);
}

#[tokio::test]
async fn a_log_has_one_owner_at_a_time() {
    let (_directory, path) = directory();
    let first = open(&path).await;
    let second = LogConfig::new(&path).build(&BuildContext::new("test")).await;
    assert_eq!(second.unwrap_err().kind(), ErrorKind::Config);
    first.close().await.unwrap();
    assert_eq!(first.get("a").await.unwrap_err().kind(), ErrorKind::Closed);
    open(&path).await;
}

#[tokio::test]
async fn a_cleared_log_is_empty_after_a_restart() {
    let (_directory, path) = directory();
    let log = open(&path).await;
    log.set("a", entry("1")).await.unwrap();
    log.clear().await.unwrap();
    log.set("b", entry("2")).await.unwrap();
    log.close().await.unwrap();
    let keys = open(&path).await.scan(ScanRequest::all()).await.unwrap().keys;
    assert_eq!(keys, ["b"]);
}

#[test]
fn a_path_without_a_file_and_a_tiny_limit_are_refused_together() {
    let config = LogConfig::new("/").max_bytes(ByteSize(1));
    let problems = config.validate(&KeyPath::root().join("backend")).unwrap_err();
    let paths: Vec<String> = problems.iter().map(|problem| problem.path.to_string()).collect();
    assert_eq!(paths, ["backend.path", "backend.max_bytes"]);
}
