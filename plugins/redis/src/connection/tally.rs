//! [`Tally`]: what is counted over all servers of a connection.

use std::sync::atomic::{AtomicU64, Ordering};

/// What has happened since the start.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    comebacks: AtomicU64,
    reconnects: AtomicU64,
    retries: AtomicU64,
}

impl Tally {
    /// A server can be used that could not be, or was not.
    pub(crate) fn note_comeback(&self) {
        self.comebacks.fetch_add(1, Ordering::Release);
    }

    /// A server is connected to that was before.
    pub(crate) fn note_reconnect(&self) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }

    /// Commands are sent again because of what a server said about itself.
    pub(crate) fn note_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn comebacks(&self) -> u64 {
        self.comebacks.load(Ordering::Acquire)
    }

    pub(crate) fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed)
    }

    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }
}
