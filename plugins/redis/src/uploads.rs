//! [`Uploads`]: large writes that the server may not have carried out yet.
//!
//! Large values have a socket of their own, so a large write that was given up may arrive long
//! after a small command that was sent later. Until an answer shows that it is over, all that
//! changes its key goes over the same socket, behind it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::connection::Lane;

/// How many keys are remembered. The oldest is forgotten first.
const MOST_KEYS: usize = 4096;

/// Keys whose large writes may be under way.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    known: Mutex<Known>,
    /// How many keys there are, for those who need not look.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Known {
    keys: HashMap<String, Key>,
    /// The number of the last command.
    last: u64,
}

#[derive(Debug, Default)]
struct Key {
    running: usize,
    /// The number of the last command of which nobody knows whether it is over.
    given_up: Option<u64>,
}

/// A command on the large lane that changes a key. Dropped without an answer it may still come
/// about.
#[derive(Debug)]
pub(crate) struct Upload<'a> {
    uploads: &'a Uploads,
    key: &'a str,
    number: u64,
    is_answered: bool,
}

impl Uploads {
    /// The lane for a command that changes a key, and would take this one.
    pub(crate) fn lane(&self, key: &str, lane: Lane) -> Lane {
        if self.count.load(Ordering::Acquire) > 0 && self.lock().keys.contains_key(key) {
            return Lane::Bulk;
        }
        lane
    }

    /// Notes that a key is changed over a lane; over others than the large one nothing is noted.
    pub(crate) fn begin<'a>(&'a self, key: &'a str, lane: Lane) -> Option<Upload<'a>> {
        if lane != Lane::Bulk {
            return None;
        }
        let mut known = self.lock();
        if known.keys.len() >= MOST_KEYS && !known.keys.contains_key(key) {
            known.forget_oldest();
        }
        known.last += 1;
        let number = known.last;
        known.keys.entry(key.to_owned()).or_default().running += 1;
        self.count.store(known.keys.len(), Ordering::Release);
        Some(Upload { uploads: self, key, number, is_answered: false })
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn forget_oldest(&mut self) {
        let given_up = self.keys.iter().filter(|(_, key)| key.running == 0);
        let oldest = given_up.min_by_key(|(_, key)| key.given_up).map(|(key, _)| key.clone());
        if let Some(oldest) = oldest {
            self.keys.remove(&oldest);
        }
    }
}

impl Upload<'_> {
    /// The server has answered, so all that was sent before is over as well.
    pub(crate) fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        let mut known = self.uploads.lock();
        if let Some(key) = known.keys.get_mut(self.key) {
            key.running -= 1;
            if !self.is_answered {
                key.given_up = key.given_up.max(Some(self.number));
            } else if key.given_up < Some(self.number) {
                key.given_up = None;
            }
            if key.running == 0 && key.given_up.is_none() {
                known.keys.remove(self.key);
            }
        }
        self.uploads.count.store(known.keys.len(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_to_the_lane_of_a_large_write_until_an_answer_shows_that_it_is_over() {
        let uploads = Uploads::default();
        assert!(uploads.begin("a", Lane::Small).is_none());
        assert_eq!(uploads.lane("a", Lane::Small), Lane::Small);
        let first = uploads.begin("a", Lane::Bulk).unwrap();
        assert_eq!(uploads.lane("a", Lane::Small), Lane::Bulk);
        assert_eq!(uploads.lane("b", Lane::Small), Lane::Small);
        let second = uploads.begin("a", Lane::Bulk).unwrap();
        drop(second);
        first.answered();
        assert_eq!(uploads.lane("a", Lane::Small), Lane::Bulk, "the second may be under way");
        uploads.begin("a", Lane::Bulk).unwrap().answered();
        assert_eq!(uploads.lane("a", Lane::Small), Lane::Small);
        assert!(uploads.lock().keys.is_empty());
    }

    #[test]
    fn the_oldest_of_too_many_is_forgotten() {
        let uploads = Uploads::default();
        let running = uploads.begin("running", Lane::Bulk).unwrap();
        for number in 0..=MOST_KEYS {
            drop(uploads.begin(&number.to_string(), Lane::Bulk));
        }
        assert_eq!(uploads.lock().keys.len(), MOST_KEYS);
        assert_eq!(uploads.lane("0", Lane::Small), Lane::Small);
        assert_eq!(uploads.lane("1", Lane::Small), Lane::Small);
        assert_eq!(uploads.lane("2", Lane::Small), Lane::Bulk);
        assert_eq!(uploads.lane("running", Lane::Small), Lane::Bulk);
        running.answered();
    }
}
