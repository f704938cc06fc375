//! What the foyer backend promises, on real files.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

mod damage;
mod directory;
mod entries;
mod reopen;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use larder_core::backend::Backend;
use larder_core::entry::TagStamp;
use larder_core::{
    BuildContext, ByteSize, Bytes, Clock, Entry, EntryMeta, ManualClock, PluginConfig, Result,
    Stamp,
};
use larder_foyer::{FoyerBackend, FoyerConfig};
use tempfile::TempDir;

const MIB: u64 = 1024 * 1024;

/// A small cache whose memory holds few entries, so that reads meet the disk.
fn config(dir: &Path) -> FoyerConfig {
    let mut config = FoyerConfig::new(dir, ByteSize(8 * MIB));
    config.memory_bytes = ByteSize(16 * 1024);
    config
}

async fn open(dir: &Path) -> FoyerBackend {
    build(config(dir)).await.unwrap()
}

async fn open_at(dir: &Path, clock: &ManualClock) -> FoyerBackend {
    let context = BuildContext::new("users").clock(Arc::new(clock.clone()));
    config(dir).build(&context).await.unwrap()
}

async fn build(config: FoyerConfig) -> Result<FoyerBackend> {
    config.build(&BuildContext::new("users")).await
}

fn entry(value: &[u8]) -> Entry {
    Entry { value: Bytes::copy_from_slice(value), meta: EntryMeta::default() }
}

/// A value that tells whether it is complete: its number, over and over.
fn numbered(number: u64) -> Entry {
    let size = usize::try_from(number * 7919 % 500).unwrap() + 1;
    entry(&number.to_be_bytes().repeat(size))
}

fn number_of(found: &Entry) -> u64 {
    let number = u64::from_be_bytes(found.value[..8].try_into().unwrap());
    assert_eq!(*found, numbered(number), "the value is torn");
    number
}

async fn get(backend: &FoyerBackend, key: &str) -> Option<Entry> {
    backend.get(key).await.unwrap()
}

async fn set(backend: &FoyerBackend, key: &str, value: &[u8]) {
    backend.set(key, entry(value)).await.unwrap();
}

fn temporary() -> (TempDir, PathBuf) {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("cache");
    (outer, dir)
}
