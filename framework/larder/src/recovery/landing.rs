//! Writes whose outcome is not known: they may reach the tier yet.
//!
//! A write whose answer did not come, or that nobody waited for any more, can arrive after a later
//! removal of its key and undo it. So its key is remembered for as long as a marker keeps older
//! writes out: whoever removes it meanwhile leaves such a marker instead of nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use larder_core::{Capabilities, ErrorKind, Moment, Result};

use crate::tier::{ByteTier, is_outage, was_skipped};

/// For how long a write may be on its way, and a marker keeps it out.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);

/// The keys of such writes, a bounded number of them.
#[derive(Debug)]
pub(super) struct Landing {
    limit: usize,
    /// So that nobody takes a lock while there are none.
    is_used: AtomicBool,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    /// Until when a write of each may arrive.
    keys: HashMap<Arc<str>, Moment>,
    /// Until when one of any key may: there were more than are remembered.
    all: Option<Moment>,
    /// When those that are over are forgotten.
    next_sweep: Option<Moment>,
}

impl Landing {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, is_used: AtomicBool::new(false), notes: Mutex::default() }
    }

    pub(super) fn note(&self, key: &str, now: Moment) {
        let (mut notes, end) = (self.lock(), now.after(LONGEST));
        self.is_used.store(true, Ordering::Release);
        if notes.next_sweep.is_none_or(|next| next <= now) {
            notes.next_sweep = Some(end);
            notes.keys.retain(|_, end| *end > now);
        }
        notes.keys.insert(key.into(), end);
        if notes.keys.len() > self.limit {
            notes.keys.clear();
            notes.all = Some(end);
        }
    }

    pub(super) fn has(&self, key: &str, now: Moment) -> bool {
        if !self.is_used.load(Ordering::Acquire) {
            return false;
        }
        let notes = self.lock();
        notes.all.is_some_and(|end| end > now) || notes.keys.get(key).is_some_and(|end| *end > now)
    }

    /// The keys that are remembered, and are wanted.
    pub(super) fn keys(&self, now: Moment, is_wanted: impl Fn(&str) -> bool) -> Vec<Arc<str>> {
        if !self.is_used.load(Ordering::Acquire) {
            return Vec::new();
        }
        let notes = self.lock();
        let late = notes.keys.iter().filter(|(key, end)| **end > now && is_wanted(key));
        late.map(|(key, _)| Arc::clone(key)).collect()
    }

    /// Until when a write of any key may arrive.
    pub(super) fn end_of_all(&self, now: Moment) -> Option<Moment> {
        if !self.is_used.load(Ordering::Acquire) {
            return None;
        }
        self.lock().all.filter(|end| *end > now)
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A write that nobody knows the outcome of, until it is over.
struct OnItsWay<'a> {
    tier: &'a ByteTier,
    key: &'a str,
    is_over: bool,
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.tier.recovery.note_landing(self.key, self.tier.clock.now());
        }
    }
}

impl ByteTier {
    /// A bounded call that stores an entry. If its outcome stays unknown, be it that nobody waits
    /// for it any more, the key is remembered. A backend that does not compare versions stops a
    /// write that nobody waits for.
    pub(crate) async fn write<T>(
        &self,
        key: &str,
        operation: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let is_over = !self.can(Capabilities::PUT_IF_NEWER);
        let mut on_its_way = OnItsWay { tier: self, key, is_over };
        let outcome = self.bounded(operation, call).await;
        on_its_way.is_over |= match &outcome {
            Ok(_) => true,
            // What a plugin says of itself it says at the end of its work.
            Err(error) => {
                !is_outage(error) || was_skipped(error) || error.kind() == ErrorKind::Plugin
            }
        };
        outcome
    }
}
