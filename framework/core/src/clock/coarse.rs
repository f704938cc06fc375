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
    system::wall().map(|since| Timestamp::default().after(since))
}

/// The monotonic time since whenever the system began to count.
pub(super) fn monotonic() -> Option<Duration> {
    system::monotonic()
}

#[cfg(all(target_os = "linux", not(miri)))]
mod system {
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    pub(super) fn wall() -> Option<Duration> {
        read(ClockId::RealtimeCoarse)
    }

    pub(super) fn monotonic() -> Option<Duration> {
        read(ClockId::MonotonicCoarse)
    }

    fn read(clock: ClockId) -> Option<Duration> {
        clock_gettime(clock).try_into().ok()
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod system {
    use std::time::Duration;

    pub(super) fn wall() -> Option<Duration> {
        None
    }

    pub(super) fn monotonic() -> Option<Duration> {
        None
    }
}
