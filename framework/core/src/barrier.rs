//! [`Barrier`], a pair of memory barriers of which the one on the hit path costs nothing. For the
//! crates of this project: nothing here is promised to others.
//!
//! A reader announces itself and then looks; a writer takes something out of reach and then looks
//! for readers. Each must see the other, which takes a full barrier on both sides. Readers are many
//! and writers are few, so on Linux the writer's side is a system call that makes every running
//! thread of the process pass a barrier (`membarrier`, private expedited), and the reader's side is
//! nothing but an order to the compiler. Elsewhere, and where the call is forbidden, both sides are
//! an ordinary fence, as they are for Miri and loom, which cannot follow the call.

use std::sync::LazyLock;

#[cfg(loom)]
use loom::sync::atomic::fence;
use std::sync::atomic::Ordering;
#[cfg(not(loom))]
use std::sync::atomic::{compiler_fence, fence};

#[cfg(all(target_os = "linux", not(miri), not(loom)))]
mod system {
    use rustix::thread::{MembarrierCommand, membarrier};

    pub(super) fn is_registered() -> bool {
        membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
    }

    pub(super) fn everywhere() -> bool {
        membarrier(MembarrierCommand::PrivateExpedited).is_ok()
    }
}

#[cfg(not(all(target_os = "linux", not(miri), not(loom))))]
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
#[non_exhaustive]
pub enum Barrier {
    /// The writer interrupts, the reader pays nothing.
    Asymmetric,
    /// Both fence.
    Symmetric,
}

impl Barrier {
    /// What this process can have: the same answer for as long as it runs.
    #[must_use]
    pub fn of_process() -> Self {
        static IS_REGISTERED: LazyLock<bool> = LazyLock::new(system::is_registered);
        if *IS_REGISTERED { Self::Asymmetric } else { Self::Symmetric }
    }

    /// The reader's side.
    #[inline(always)]
    pub fn light(self) {
        match self {
            #[cfg(not(loom))]
            Self::Asymmetric => compiler_fence(Ordering::SeqCst),
            #[cfg(loom)]
            Self::Asymmetric => fence(Ordering::SeqCst),
            Self::Symmetric => fence(Ordering::SeqCst),
        }
    }

    /// The writer's side; `false` when there was none, so that nothing follows from it.
    #[must_use]
    pub fn heavy(self) -> bool {
        fence(Ordering::SeqCst);
        self == Self::Symmetric || system::everywhere()
    }
}
