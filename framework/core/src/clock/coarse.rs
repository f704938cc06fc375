//! The time that the kernel noted at its last tick. To read it costs a fraction of what the exact
//! time costs, as no counter of the processor is asked. Linux has it; elsewhere there is none.

use std::time::Duration;

use super::{Moment, Timestamp, start};

/// The monotonic time since the start of the process.
pub(super) fn now() -> Option<Moment> {
    let since = monotonic()?.saturating_sub((start().1)?);
    Some(Moment::default().after(since))
}

/// The time on the wall.
pub(super) fn wall() -> Option<Timestamp> {
    system::wall()
}

/// The monotonic time since whenever the system began to count.
pub(super) fn monotonic() -> Option<Duration> {
    system::monotonic()
}

#[cfg(all(target_os = "linux", not(miri)))]
mod system {
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    use super::Timestamp;

    /// In 64 bits, as this is part of every call to a library.
    pub(super) fn wall() -> Option<Timestamp> {
        let now = clock_gettime(ClockId::RealtimeCoarse);
        let seconds = u64::try_from(now.tv_sec).ok()?;
        let micros = u64::try_from(now.tv_nsec).ok()? / 1_000;
        Some(Timestamp::from_micros(seconds.saturating_mul(1_000_000).saturating_add(micros)))
    }

    pub(super) fn monotonic() -> Option<Duration> {
        clock_gettime(ClockId::MonotonicCoarse).try_into().ok()
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod system {
    use std::time::Duration;

    use super::Timestamp;

    pub(super) fn wall() -> Option<Timestamp> {
        None
    }

    pub(super) fn monotonic() -> Option<Duration> {
        None
    }
}
