//! [`Barrier`], a pair of memory barriers of which the one in the way of a call costs nothing.
//!
//! A caller announces itself and then looks; whoever takes something away does that and then looks
//! for callers. Each must see the other, which takes a full barrier on both sides. Nothing is taken
//! away but after a panic, so on Linux that side makes every running thread of the process pass a
//! barrier (`membarrier`, private expedited), and the side of the caller is nothing but an order to
//! the compiler. Elsewhere, and where the call is forbidden, both sides are an ordinary fence.

use std::sync::LazyLock;
use std::sync::atomic::{Ordering, compiler_fence, fence};

#[cfg(all(target_os = "linux", not(miri)))]
mod system {
    use rustix::thread::{MembarrierCommand, membarrier};

    pub(super) fn is_registered() -> bool {
        membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
    }

    pub(super) fn everywhere() -> bool {
        membarrier(MembarrierCommand::PrivateExpedited).is_ok()
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod system {
    pub(super) const fn is_registered() -> bool {
        false
    }

    pub(super) const fn everywhere() -> bool {
        false
    }
}

/// Which pair this process uses. Both sides must come from one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Barrier {
    /// Whoever takes away interrupts the others, and callers pay nothing.
    Asymmetric,
    /// Both fence.
    Symmetric,
}

impl Barrier {
    /// What this process can have: the same answer for as long as it runs.
    pub(super) fn of_process() -> Self {
        static IS_REGISTERED: LazyLock<bool> = LazyLock::new(system::is_registered);
        if *IS_REGISTERED { Self::Asymmetric } else { Self::Symmetric }
    }

    /// The side of callers.
    #[inline]
    pub(super) fn light(self) {
        match self {
            Self::Asymmetric => compiler_fence(Ordering::SeqCst),
            Self::Symmetric => fence(Ordering::SeqCst),
        }
    }

    /// The side of whoever takes away; `false` when there was none, so that nothing follows from
    /// it.
    #[must_use]
    pub(super) fn heavy(self) -> bool {
        fence(Ordering::SeqCst);
        self == Self::Symmetric || system::everywhere()
    }
}
