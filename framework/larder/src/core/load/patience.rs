//! [`Patience`], what a load and those who wait for it tell each other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use larder_core::Moment;

/// Until when somebody waits for a load, and whether it was counted as one that failed.
#[derive(Debug)]
pub(in crate::core) struct Patience {
    /// `None` is for ever.
    end: Mutex<Option<Moment>>,
    is_counted: AtomicBool,
}

impl Patience {
    /// That of a load whose caller waits until then.
    pub(super) fn until(end: Moment) -> Arc<Self> {
        Arc::new(Self { end: Mutex::new(Some(end)), is_counted: AtomicBool::new(false) })
    }

    /// Somebody else waits for the load as well, until then or for ever.
    pub(in crate::core) fn extend(&self, end: Option<Moment>) {
        let mut longest = self.longest();
        *longest = longest.zip(end).map(|(longest, end)| longest.max(end));
    }

    /// When nobody waits any more.
    pub(super) fn end(&self) -> Option<Moment> {
        *self.longest()
    }

    /// Counts the load as one that failed or took too long; whether nobody has before.
    pub(super) fn count(&self) -> bool {
        !self.is_counted.swap(true, Ordering::AcqRel)
    }

    fn longest(&self) -> MutexGuard<'_, Option<Moment>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_of_those_who_wait_counts() {
        let [one, two, three] = [1, 2, 3].map(Moment::from_nanos);
        let patience = Patience::until(two);
        patience.extend(Some(one));
        assert_eq!(patience.end(), Some(two));
        patience.extend(Some(three));
        assert_eq!(patience.end(), Some(three));
        patience.extend(None);
        patience.extend(Some(three));
        assert_eq!(patience.end(), None);
    }

    #[test]
    fn a_load_is_counted_once() {
        let patience = Patience::until(Moment::from_nanos(1));
        assert!(patience.count());
        assert!(!patience.count());
    }
}
