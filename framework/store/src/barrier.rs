//! A pair of memory barriers of which the one on the hit path costs nothing.
//!
//! A reader announces itself and then looks; a writer takes something out of reach and then looks
//! for readers. Each must see the other, which takes a full barrier on both sides. Readers are
//! many and writers wait for readers only once for a batch, so on Linux the writer's side is a
//! system call that makes every running thread of the process pass a barrier (`membarrier`, private
//! expedited), and the reader's side is nothing but an order to the compiler. Elsewhere, and where
//! the call is forbidden, both sides are an ordinary fence.

use crate::sync::{Ordering, fence};

#[cfg(all(target_os = "linux", not(miri), not(loom)))]
mod linux {
    #![expect(unsafe_code, reason = "the system call has no safe wrapper")]

    use std::sync::OnceLock;

    static REGISTERED: OnceLock<bool> = OnceLock::new();

    fn membarrier(command: libc::c_int) -> bool {
        // SAFETY: the call takes three integers and touches no memory of ours.
        let answer = unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) };
        answer == 0
    }

    pub(super) fn is_registered() -> bool {
        *REGISTERED.get_or_init(|| membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED))
    }

    pub(super) fn everywhere() -> bool {
        membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED)
    }
}

#[cfg(not(all(target_os = "linux", not(miri), not(loom))))]
mod linux {
    pub(super) const fn is_registered() -> bool {
        false
    }

    pub(super) const fn everywhere() -> bool {
        false
    }
}

/// Which pair this process uses. Both sides must come from one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Barrier {
    /// The writer interrupts, the reader pays nothing.
    Asymmetric,
    /// Both fence.
    Symmetric,
}

impl Barrier {
    /// What this process can have: the same answer for as long as it runs.
    pub(crate) fn of_process() -> Self {
        if linux::is_registered() { Self::Asymmetric } else { Self::Symmetric }
    }

    /// The reader's side.
    #[inline(always)]
    pub(crate) fn light(self) {
        match self {
            #[cfg(not(loom))]
            Self::Asymmetric => std::sync::atomic::compiler_fence(Ordering::SeqCst),
            #[cfg(loom)]
            Self::Asymmetric => fence(Ordering::SeqCst),
            Self::Symmetric => fence(Ordering::SeqCst),
        }
    }

    /// The writer's side; `false` when there was none, so that nothing follows from it.
    #[must_use]
    pub(crate) fn heavy(self) -> bool {
        fence(Ordering::SeqCst);
        self == Self::Symmetric || linux::everywhere()
    }
}
