//! [`Poisoned`], the keys whose files could not be removed although they should be gone.
//!
//! A write that fails must not leave the entry from before, for the caller believes that it is
//! gone. On a disk that became read-only it stays; then this process at least does not return it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::layout::EntryName;

/// The most keys that are remembered; with more all keys count as poisoned.
const MOST: usize = 65_536;

/// Keys that are a miss whatever their file says.
#[derive(Debug, Default)]
pub(crate) struct Poisoned {
    /// So that a read of a healthy disk takes no lock.
    is_any: AtomicBool,
    names: Mutex<HashSet<EntryName>>,
}

impl Poisoned {
    pub(crate) fn contains(&self, name: EntryName) -> bool {
        if !self.is_any.load(Ordering::Acquire) {
            return false;
        }
        let names = self.names();
        names.len() >= MOST || names.contains(&name)
    }

    pub(crate) fn insert(&self, name: EntryName) {
        let mut names = self.names();
        if names.len() < MOST {
            names.insert(name);
        }
        self.is_any.store(true, Ordering::Release);
    }

    /// The key was written or removed after all. Once all keys are poisoned only a clear helps.
    pub(crate) fn remove(&self, name: EntryName) {
        if self.is_any.load(Ordering::Acquire) {
            let mut names = self.names();
            if names.len() < MOST {
                names.remove(&name);
                self.is_any.store(!names.is_empty(), Ordering::Release);
            }
        }
    }

    /// The cache was cleared, so nothing from before can be returned.
    pub(crate) fn clear(&self) {
        let mut names = self.names();
        names.clear();
        self.is_any.store(false, Ordering::Release);
    }

    pub(crate) fn len(&self) -> usize {
        if self.is_any.load(Ordering::Acquire) { self.names().len() } else { 0 }
    }

    fn names(&self) -> MutexGuard<'_, HashSet<EntryName>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> EntryName {
        EntryName::new(&[7; 16], "users", &number.to_string())
    }

    #[test]
    fn what_was_poisoned_is_healed_by_a_write_or_a_clear() {
        let poisoned = Poisoned::default();
        assert!(!poisoned.contains(name(1)));
        poisoned.insert(name(1));
        poisoned.insert(name(2));
        assert!(poisoned.contains(name(1)) && !poisoned.contains(name(3)));
        poisoned.remove(name(1));
        assert!(!poisoned.contains(name(1)) && poisoned.contains(name(2)));
        poisoned.clear();
        assert_eq!((poisoned.contains(name(2)), poisoned.len()), (false, 0));
    }

    #[test]
    fn with_too_many_all_are_poisoned() {
        let poisoned = Poisoned::default();
        (0..=MOST).for_each(|number| poisoned.insert(name(number)));
        assert!(poisoned.contains(name(MOST + 7)));
        poisoned.remove(name(1));
        assert!(poisoned.contains(name(1)), "nobody knows which ones are meant");
        assert_eq!(poisoned.len(), MOST);
    }
}
