//! [`Caller`]: tells a write that nobody waits for it any more.
//!
//! The future of a write can be dropped while its thread waits for another write to end. What the
//! caller does next may then come first, and must not be overwritten afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use larder_core::{CacheError, ErrorKind};

/// Whether somebody waits for a write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller(Arc<AtomicBool>);

impl Caller {
    pub(crate) fn has_gone(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// The error of a write that was given up, which nobody reads.
    pub(crate) fn gone(operation: &'static str) -> CacheError {
        let error = CacheError::new(ErrorKind::Closed, "the caller has gone");
        error.during(operation).with("backend", "redb")
    }
}

/// Stands for a caller in its future.
#[derive(Debug, Default)]
pub(crate) struct Presence(Caller);

impl Presence {
    pub(crate) fn caller(&self) -> Caller {
        self.0.clone()
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Release);
    }
}
