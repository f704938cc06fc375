//! Where values come from, and what they say of themselves.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

/// A value that shows whether it was written for this key, by whom, and as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Value {
    /// The key that it was written for.
    pub key: String,
    /// Which of the values of the key it is.
    pub version: u64,
    /// The process that wrote it.
    pub writer: u32,
    /// What makes it large.
    pub filler: String,
    /// The checksum of all of it.
    pub checksum: u32,
}

impl Value {
    /// A small value of this process.
    #[must_use]
    pub fn new(key: &str, version: u64) -> Self {
        Self::large(key, version, 0)
    }

    /// A value with so many bytes on top.
    #[must_use]
    pub fn large(key: &str, version: u64, size: usize) -> Self {
        let filler = (b'a'..=b'z').cycle().take(size).map(char::from).collect();
        let writer = std::process::id();
        let value = Self { key: key.to_owned(), version, writer, filler, checksum: 0 };
        Self { checksum: value.sum(), ..value }
    }

    /// Checks that it is a value of the key, and whole.
    ///
    /// # Panics
    ///
    /// If nobody can have written it for this key.
    #[track_caller]
    pub fn check(&self, key: &str) {
        assert_eq!(self.key, key, "a value of another key");
        assert_eq!(self.checksum, self.sum(), "a value that nobody wrote: {self:?}");
    }

    fn sum(&self) -> u32 {
        let parts = format!("{}\0{}\0{}\0{}", self.key, self.version, self.writer, self.filler);
        crc32c::crc32c(parts.as_bytes())
    }
}

/// The database behind the caches: knows the version of each key, and counts who asks.
#[derive(Clone, Debug, Default)]
pub struct Source {
    versions: Arc<Mutex<HashMap<String, u64>>>,
    reads: Arc<AtomicUsize>,
}

impl Source {
    /// A source in which all keys have version 1.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Changes the value of a key; what version it is.
    #[must_use]
    pub fn change(&self, key: &str) -> u64 {
        let mut versions = self.versions.lock().expect("nobody panics with the lock");
        let version = versions.entry(key.to_owned()).or_insert(1);
        *version += 1;
        *version
    }

    /// The version of a key.
    #[must_use]
    pub fn version(&self, key: &str) -> u64 {
        let versions = self.versions.lock().expect("nobody panics with the lock");
        versions.get(key).copied().unwrap_or(1)
    }

    /// Reads a key, which is counted.
    #[must_use]
    pub fn read(&self, key: &str) -> Value {
        self.reads.fetch_add(1, Ordering::SeqCst);
        Value::new(key, self.version(key))
    }

    /// How often it was read.
    #[must_use]
    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}
