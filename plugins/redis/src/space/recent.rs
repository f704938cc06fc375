//! [`Recent`]: which keys this process has written lately, so that it reads its own writes where
//! gets go to replicas.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::sizes::{BUCKETS, bucket};

/// How long a key is one that was written lately: longer than a replica that is read is behind.
const LATELY: Duration = Duration::from_secs(15);

/// When keys were written. Keys that share a bucket are written together: then the primary is asked
/// for both, which is never wrong.
#[derive(Debug)]
pub(crate) struct Recent {
    origin: Instant,
    /// Milliseconds after the origin; 0 for never.
    written: Box<[AtomicU64]>,
}

impl Default for Recent {
    fn default() -> Self {
        let written = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        Self { origin: Instant::now(), written }
    }
}

impl Recent {
    /// A key is written, or was.
    pub(crate) fn note(&self, key: &str) {
        self.written[bucket(key)].fetch_max(self.millis(), Ordering::AcqRel);
    }

    /// Whether a key was written lately.
    pub(crate) fn contains(&self, key: &str) -> bool {
        let written = self.written[bucket(key)].load(Ordering::Acquire);
        written != 0 && u128::from(self.millis().saturating_sub(written)) < LATELY.as_millis()
    }

    fn millis(&self) -> u64 {
        1 + u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }
}

/// Notes keys when a write of them begins and when it ends. The server may do it also when it was
/// given up half-way, so that is an end like any other.
pub(crate) struct Noting<'a> {
    recent: Option<&'a Recent>,
    keys: &'a [&'a str],
}

impl<'a> Noting<'a> {
    /// A write of these keys begins.
    pub(crate) fn new(recent: Option<&'a Recent>, keys: &'a [&'a str]) -> Self {
        let noting = Self { recent, keys };
        noting.note();
        noting
    }

    fn note(&self) {
        if let Some(recent) = self.recent {
            self.keys.iter().for_each(|key| recent.note(key));
        }
    }
}

impl Drop for Noting<'_> {
    fn drop(&mut self) {
        self.note();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_written_is_recent_and_others_are_not() {
        let recent = Recent::default();
        recent.note("a");
        assert!(recent.contains("a"));
        let others = (0..100).filter(|number| recent.contains(&number.to_string())).count();
        assert!(others < 10, "{others} of 100 share a bucket");
    }
}
