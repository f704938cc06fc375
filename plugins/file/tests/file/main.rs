//! What the file backend promises, on real files.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

mod damage;
mod entries;
mod faults;
mod kills;
mod limits;
mod processes;
mod root;
mod runtime;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use larder_core::backend::Backend;
use larder_core::entry::TagStamp;
use larder_core::{
    BuildContext, Bytes, Clock, Entry, EntryMeta, ManualClock, PluginConfig, Result, Stamp,
    Wrappers,
};
use larder_file::{FileBackend, FileConfig};
use tempfile::TempDir;

/// The result of a future that must be ready at once: without a runtime everything is.
fn now<F: Future>(future: F) -> F::Output {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("without a runtime nothing waits"),
    }
}

fn open(dir: &Path) -> FileBackend {
    build(FileConfig::new(dir), &BuildContext::new("users")).unwrap()
}

fn open_at(dir: &Path, clock: &ManualClock) -> FileBackend {
    let context = BuildContext::new("users").clock(Arc::new(clock.clone()));
    build(FileConfig::new(dir), &context).unwrap()
}

fn build(config: FileConfig, context: &BuildContext) -> Result<FileBackend> {
    now(config.build(context))
}

fn entry(value: &[u8]) -> Entry {
    Entry { value: Bytes::copy_from_slice(value), meta: EntryMeta::default() }
}

/// An entry in which no field has its default.
fn full_entry(clock: &ManualClock) -> Entry {
    Entry {
        value: Bytes::from_static(b"value"),
        meta: EntryMeta {
            stamp: Stamp { time: clock.wall(), origin: 7 },
            epoch: 9,
            soft_deadline: Some(clock.wall().after(Duration::from_secs(30))),
            hard_deadline: Some(clock.wall().after(Duration::from_secs(60))),
            load_cost: Duration::from_millis(3),
            tags: vec![TagStamp { tag: 1, version: 2 }, TagStamp { tag: 3, version: 4 }],
            negative: true,
            tombstone: true,
            format: 2,
            wrappers: Wrappers::new(&[4, 1]).unwrap(),
        },
    }
}

fn get(backend: &FileBackend, key: &str) -> Option<Entry> {
    now(backend.get(key)).unwrap()
}

fn set(backend: &FileBackend, key: &str, value: &[u8]) {
    now(backend.set(key, entry(value))).unwrap();
}

fn corrupt(backend: &FileBackend) -> u64 {
    now(backend.health()).unwrap().corrupt
}

/// Every file below `v1/d`.
fn entry_files(dir: &Path) -> Vec<PathBuf> {
    files_below(&dir.join("v1/d"))
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for item in std::fs::read_dir(dir).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// The one entry file of a directory.
fn only_file(dir: &Path) -> PathBuf {
    let mut files = entry_files(dir);
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

fn temporary() -> (TempDir, PathBuf) {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("cache");
    (outer, dir)
}
