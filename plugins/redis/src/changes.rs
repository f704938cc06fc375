//! [`Changes`]: writes that the server may not have carried out yet.
//!
//! Large values have a socket of their own, so a write that was given up may arrive long after one
//! that was sent later over the other socket. Until an answer shows that it is over, all that
//! changes its key goes over the same socket, behind it.
//!
//! A large write binds its key from its beginning, for it takes long. A small one does when it is
//! given up, so that those that are answered, which is nearly all, cost nothing here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::connection::Lane;

/// How many keys are remembered. The oldest is forgotten first.
const MOST_KEYS: usize = 4096;

/// Keys with writes that may be under way.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    keys: Mutex<HashMap<String, Key>>,
    /// How many keys there are, for those who need not look.
    count: AtomicUsize,
    /// The number of the last write that was noted.
    last: AtomicU64,
}

#[derive(Debug)]
struct Key {
    /// The lane that it is bound to.
    lane: Lane,
    running: usize,
    /// The number of the last write of which nobody knows whether it is over.
    given_up: Option<u64>,
}

/// A write of a key. Dropped without a verdict it may still come about.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    changes: &'a Changes,
    key: &'a str,
    lane: Lane,
    /// Of a large write its own number, of a small one that of the last before it.
    number: u64,
    verdict: Option<Verdict>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The server has answered.
    Answered,
    /// It is over, or nothing can be done about it.
    Dropped,
}

impl Changes {
    /// The lane for a command that changes a key, and would take this one.
    pub(crate) fn lane(&self, key: &str, lane: Lane) -> Lane {
        if self.count.load(Ordering::Acquire) == 0 {
            return lane;
        }
        self.lock().get(key).map_or(lane, |known| known.lane)
    }

    /// A key is changed over a lane.
    pub(crate) fn begin<'a>(&'a self, key: &'a str, lane: Lane) -> Change<'a> {
        let mut number = self.last.load(Ordering::Acquire);
        if lane == Lane::Bulk {
            let mut keys = self.lock();
            number = self.next();
            let key = self.entry(&mut keys, key, lane);
            // Others of its batch may take one along that was bound to the small lane.
            (key.lane, key.running) = (lane, key.running + 1);
        }
        Change { changes: self, key, lane, number, verdict: None }
    }

    fn next(&self) -> u64 {
        self.last.fetch_add(1, Ordering::AcqRel) + 1
    }

    fn entry<'k>(&self, keys: &'k mut HashMap<String, Key>, key: &str, lane: Lane) -> &'k mut Key {
        if keys.len() >= MOST_KEYS && !keys.contains_key(key) {
            forget_oldest(keys);
        }
        let is_known = keys.contains_key(key);
        self.count.store(keys.len() + usize::from(!is_known), Ordering::Release);
        keys.entry(key.to_owned()).or_insert(Key { lane, running: 0, given_up: None })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Key>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forget_oldest(keys: &mut HashMap<String, Key>) {
    let given_up = keys.iter().filter(|(_, key)| key.running == 0);
    let oldest = given_up.min_by_key(|(_, key)| key.given_up).map(|(key, _)| key.clone());
    if let Some(oldest) = oldest {
        keys.remove(&oldest);
    }
}

impl Change<'_> {
    /// The server has answered, so all that was sent before over this lane is over as well.
    pub(crate) fn answered(mut self) {
        self.verdict = Some(Verdict::Answered);
    }

    /// There will be no answer: it was not sent, or its connection broke. Of a large one a part may
    /// have been sent, and the next takes another connection; it is kept in mind.
    pub(crate) fn failed(mut self) {
        if self.lane != Lane::Bulk {
            self.verdict = Some(Verdict::Dropped);
        }
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        let is_small = self.lane != Lane::Bulk;
        let changes = self.changes;
        let is_plain = self.verdict.is_some() && changes.count.load(Ordering::Acquire) == 0;
        if is_small && is_plain {
            return;
        }
        let mut keys = changes.lock();
        if is_small && self.verdict.is_none() {
            let number = changes.next();
            let key = changes.entry(&mut keys, self.key, self.lane);
            key.given_up = key.given_up.max(Some(number));
            return;
        }
        if let Some(key) = keys.get_mut(self.key).filter(|key| key.lane == self.lane) {
            key.running = key.running.saturating_sub(usize::from(!is_small));
            match self.verdict {
                None => key.given_up = key.given_up.max(Some(self.number)),
                Some(Verdict::Answered) if key.given_up <= Some(self.number) => key.given_up = None,
                Some(_) => {}
            }
            if key.running == 0 && key.given_up.is_none() {
                keys.remove(self.key);
            }
        }
        changes.count.store(keys.len(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_to_the_lane_of_a_large_write_until_an_answer_shows_that_it_is_over() {
        let changes = Changes::default();
        changes.begin("a", Lane::Small).answered();
        assert_eq!(changes.lane("a", Lane::Small), Lane::Small);
        let first = changes.begin("a", Lane::Bulk);
        assert_eq!(changes.lane("a", Lane::Small), Lane::Bulk);
        assert_eq!(changes.lane("b", Lane::Small), Lane::Small);
        let second = changes.begin("a", Lane::Bulk);
        second.failed();
        first.answered();
        assert_eq!(changes.lane("a", Lane::Small), Lane::Bulk, "the second may be under way");
        changes.begin("a", Lane::Bulk).answered();
        assert_eq!(changes.lane("a", Lane::Small), Lane::Small);
        assert!(changes.lock().is_empty());
    }

    #[test]
    fn a_key_keeps_to_the_lane_of_a_small_write_that_was_given_up() {
        let changes = Changes::default();
        changes.begin("refused", Lane::Small).failed();
        let before = changes.begin("a", Lane::Small);
        drop(changes.begin("a", Lane::Small));
        assert_eq!(changes.lane("refused", Lane::Bulk), Lane::Bulk, "it was not sent");
        assert_eq!(changes.lane("a", Lane::Bulk), Lane::Small);
        before.answered();
        assert_eq!(changes.lane("a", Lane::Bulk), Lane::Small, "that one was sent before it");
        changes.begin("a", Lane::Small).answered();
        assert_eq!(changes.lane("a", Lane::Bulk), Lane::Bulk);
        assert!(changes.lock().is_empty());
        assert_eq!(changes.count.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_large_write_takes_a_key_along_that_was_bound_to_the_small_lane() {
        let changes = Changes::default();
        drop(changes.begin("a", Lane::Small));
        let large = changes.begin("a", Lane::Bulk);
        assert_eq!(changes.lane("a", Lane::Small), Lane::Bulk, "what follows comes after it");
        large.answered();
        assert!(changes.lock().is_empty());
        assert_eq!(changes.count.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_oldest_of_too_many_is_forgotten() {
        let changes = Changes::default();
        let running = changes.begin("running", Lane::Bulk);
        for number in 0..=MOST_KEYS {
            drop(changes.begin(&number.to_string(), Lane::Bulk));
        }
        assert_eq!(changes.lock().len(), MOST_KEYS);
        assert_eq!(changes.lane("0", Lane::Small), Lane::Small);
        assert_eq!(changes.lane("1", Lane::Small), Lane::Small);
        assert_eq!(changes.lane("2", Lane::Small), Lane::Bulk);
        assert_eq!(changes.lane("running", Lane::Small), Lane::Bulk);
        running.answered();
    }
}
