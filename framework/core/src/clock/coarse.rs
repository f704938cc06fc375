//! The time that the kernel noted at its last tick. To read it costs a fraction of what the exact
//! time costs, as no counter of the processor is asked. Linux has it; elsewhere there is none.

use super::{Moment, Timestamp, start};

/// The monotonic time since the start of the process.
pub(super) fn now() -> Option<Moment> {
    Some(Moment::from_nanos(monotonic()?.saturating_sub((start().1)?)))
}

/// The time on the wall.
pub(super) fn wall() -> Option<Timestamp> {
    system::wall()
}

/// The monotonic time in nanoseconds since whenever the system began to count.
pub(super) fn monotonic() -> Option<u64> {
    system::monotonic()
}

#[cfg(all(target_os = "linux", not(miri)))]
mod system {
    use rustix::time::{ClockId, Timespec, clock_gettime};

    use super::Timestamp;

    pub(super) fn wall() -> Option<Timestamp> {
        let (seconds, nanos) = parts(clock_gettime(ClockId::RealtimeCoarse))?;
        Some(Timestamp::from_micros(
            seconds.saturating_mul(1_000_000).saturating_add(nanos / 1_000),
        ))
    }

    pub(super) fn monotonic() -> Option<u64> {
        let (seconds, nanos) = parts(clock_gettime(ClockId::MonotonicCoarse))?;
        Some(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
    }

    /// Not a `Duration`, whose arithmetic takes longer than the clock: every call to a library
    /// reads it.
    #[inline]
    fn parts(time: Timespec) -> Option<(u64, u64)> {
        Some((u64::try_from(time.tv_sec).ok()?, u64::try_from(time.tv_nsec).ok()?))
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod system {
    use super::Timestamp;

    pub(super) fn wall() -> Option<Timestamp> {
        None
    }

    pub(super) fn monotonic() -> Option<u64> {
        None
    }
}
