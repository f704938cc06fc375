//! [`Unreadable`]: counts what is found under our names and is no entry, and says so once.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use larder_core::envelope::EnvelopeError;
use larder_core::telemetry;

/// What was found in one cache and could not be read.
#[derive(Debug)]
pub(crate) struct Unreadable {
    cache: Box<str>,
    count: AtomicU64,
    /// One bit for each [`Reason`] that was said.
    said: AtomicU8,
}

/// Whose the bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Ours, and torn or changed. They can be removed.
    Damaged,
    /// Those of another program. They stay: nobody has asked us to clean up.
    Foreign,
    /// Those of a later version of Larder. They stay: while programs are upgraded one after
    /// another, the later one still reads them.
    Later,
}

impl Reason {
    pub(crate) const fn of(error: &EnvelopeError) -> Self {
        match error {
            EnvelopeError::Magic { .. } => Self::Foreign,
            EnvelopeError::Codec { .. }
            | EnvelopeError::Flags { .. }
            | EnvelopeError::Version { .. } => Self::Later,
            _ => Self::Damaged,
        }
    }
}

impl Unreadable {
    /// Nothing was found yet in the cache of this name.
    pub(crate) fn new(cache: &str) -> Self {
        Self { cache: cache.into(), count: AtomicU64::new(0), said: AtomicU8::new(0) }
    }

    /// The name of the cache.
    pub(crate) fn cache(&self) -> &str {
        &self.cache
    }

    /// How often something was found.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Counts one, and says it if nothing was found yet for this reason.
    pub(crate) fn note(&self, error: &EnvelopeError) -> Reason {
        let reason = Reason::of(error);
        self.count.fetch_add(1, Ordering::Relaxed);
        let bit = 1 << reason as u8;
        if self.said.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
            tracing::warn!(
                target: telemetry::TARGET,
                cache = %self.cache, reason = %error, "{}", telemetry::REDIS_UNREADABLE
            );
        }
        reason
    }
}
