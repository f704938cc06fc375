//! Grace periods: when nobody can see any more what was taken out of reach.
//!
//! Epoch-based reclamation (Fraser, "Practical lock-freedom", 2004), with one step instead of two:
//! whoever closes a period holds the lock under which its things were taken out of reach, so a
//! reader that begins in a later epoch cannot find them.
//!
//! 1. A reader notes the present epoch in its own [`Mark`], passes the light barrier, and looks.
//! 2. A writer takes things out of reach under its lock and [closes](Epoch::close) the period: the
//!    epoch moves on, and its new number is the *stamp* of those things.
//! 3. It passes the heavy barrier. A reader whose mark it does not see from then on begins late
//!    enough to find nothing of theirs.
//! 4. When no mark is from [before](Mark::is_before) the stamp, the things are nobody's.

use larder_core::barrier::Barrier;

use crate::sync::{AtomicU64, Ordering};

/// The number of the present period, from 1 on.
pub(crate) struct Epoch(AtomicU64);

/// Whether a thread reads, and since when. Only that thread writes it.
pub(crate) struct Mark(AtomicU64);

/// The mark of a thread that does not read.
const IDLE: u64 = 0;

impl Epoch {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(1))
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(1))
    }

    /// Begins a read, unless the thread is in one already; whether it was not.
    #[inline(always)]
    pub(crate) fn enter(&self, mark: &Mark, barrier: Barrier) -> bool {
        if mark.0.load(Ordering::Relaxed) != IDLE {
            return false;
        }
        // Acquire: a reader of this epoch sees what was done before it began. Release: who sees
        // this mark knows that the reads before it are over.
        mark.0.store(self.0.load(Ordering::Acquire), Ordering::Release);
        barrier.light();
        true
    }

    /// Ends the present period; the stamp of what was taken out of reach in it.
    pub(crate) fn close(&self) -> u64 {
        self.0.fetch_add(1, Ordering::AcqRel) + 1
    }
}

impl Mark {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(IDLE))
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(IDLE))
    }

    /// Ends the read.
    #[inline(always)]
    pub(crate) fn leave(&self) {
        self.0.store(IDLE, Ordering::Release);
    }

    /// Whether the thread is in a read that began before the stamp. Asked after the heavy barrier.
    pub(crate) fn is_before(&self, stamp: u64) -> bool {
        let since = self.0.load(Ordering::Acquire);
        since != IDLE && since < stamp
    }
}

#[cfg(all(test, loom))]
mod model;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_over_when_those_who_began_before_its_end_have_left() {
        let (epoch, early, late) = (Epoch::new(), Mark::new(), Mark::new());
        assert!(epoch.enter(&early, Barrier::Symmetric));
        let stamp = epoch.close();
        assert!(early.is_before(stamp));
        assert!(!late.is_before(stamp), "an idle thread holds nothing");
        assert!(epoch.enter(&late, Barrier::Symmetric));
        assert!(!late.is_before(stamp), "who begins later cannot find it");
        assert!(late.is_before(epoch.close()));
        early.leave();
        assert!(!early.is_before(stamp));
    }

    #[test]
    fn a_read_within_a_read_changes_nothing() {
        let (epoch, mark) = (Epoch::new(), Mark::new());
        assert!(epoch.enter(&mark, Barrier::Symmetric));
        let stamp = epoch.close();
        assert!(!epoch.enter(&mark, Barrier::Symmetric));
        assert!(mark.is_before(stamp), "the outer read still holds");
    }
}
