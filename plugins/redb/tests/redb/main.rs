//! What the redb backend promises, on real files.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

mod damage;
mod directory;
mod durability;
mod limits;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use larder_core::{
    Backend, BuildContext, ByteSize, Bytes, Clock, Entry, EntryMeta, ManualClock, PluginConfig,
    Result,
};
use larder_redb::{Durability, RedbBackend, RedbConfig};
use tempfile::TempDir;

/// The result of a future that must be ready at once: without a runtime everything is.
fn now<F: Future>(future: F) -> F::Output {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("without a runtime nothing waits"),
    }
}

/// Without durability, for most tests are not about the disk.
fn config(dir: &Path) -> RedbConfig {
    let mut config = RedbConfig::new(dir);
    config.durability = Durability::None;
    config
}

fn open(dir: &Path) -> RedbBackend {
    build(config(dir)).unwrap()
}

fn build(config: RedbConfig) -> Result<RedbBackend> {
    now(config.build(&BuildContext::new("users")))
}

fn build_at(config: RedbConfig, clock: &ManualClock) -> RedbBackend {
    now(config.build(&BuildContext::new("users").clock(Arc::new(clock.clone())))).unwrap()
}

fn entry(value: &[u8]) -> Entry {
    Entry { value: Bytes::copy_from_slice(value), meta: EntryMeta::default() }
}

fn get(backend: &RedbBackend, key: &str) -> Option<Entry> {
    now(backend.get(key)).unwrap()
}

fn set(backend: &RedbBackend, key: &str, value: &[u8]) {
    now(backend.set(key, entry(value))).unwrap();
}

fn temporary() -> (TempDir, PathBuf) {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("cache");
    (outer, dir)
}
