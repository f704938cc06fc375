//! Versions of entries: [`Stamp`], and the [`StampClock`] that gives them out.
//!
//! A hybrid logical clock: stamps are wall-clock times, so that people can read them, and rise
//! with every write and every stamp that is seen, so that what follows from something is newer
//! than it. One writer's clock that runs ahead must not win for ever, so stamps too far in the
//! future are not followed.
//!
//! After Kulkarni, Demirbas, Madappa, Avva and Leone, "Logical physical clocks and consistent
//! snapshots in globally distributed databases" (2014), with time and counter in one number.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Timestamp;

/// The version of an entry: write time in microseconds, made strictly increasing per writer, and
/// the writer that breaks ties.
///
/// Greater wins, for puts and deletes alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// When it was written; see [`Timestamp`].
    pub time: Timestamp,
    /// Who wrote it: random per process start.
    pub origin: u32,
}

impl Stamp {
    /// The greatest time of a stamp, in microseconds: what JSON, Lua and any other user of
    /// 64-bit floats still hold exactly. It ends in the year 2255.
    pub const MAX_MICROS: u64 = (1 << 53) - 1;
}

/// Gives out stamps that rise.
///
/// Shared by all threads of a writer; never blocks.
#[derive(Debug)]
pub struct StampClock {
    origin: u32,
    /// The greatest time that was given out or followed.
    last: AtomicU64,
    max_drift: Duration,
    refused: AtomicU64,
}

impl StampClock {
    /// How far ahead a stamp may be to be followed, if nobody says otherwise.
    pub const MAX_DRIFT: Duration = Duration::from_secs(1);

    /// A clock for a writer, whose number should be random.
    #[must_use]
    pub const fn new(origin: u32) -> Self {
        let (last, refused) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { origin, last, max_drift: Self::MAX_DRIFT, refused }
    }

    /// Sets how far ahead a stamp may be to be followed.
    #[must_use]
    pub const fn max_drift(mut self, max_drift: Duration) -> Self {
        self.max_drift = max_drift;
        self
    }

    /// The writer that stamps carry.
    #[must_use]
    pub const fn origin(&self) -> u32 {
        self.origin
    }

    /// How many stamps were not followed since the start.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// A stamp greater than any that was given out or followed before: the time that it is, or,
    /// if that is not later, the next microsecond.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Stamp {
        let now = now.as_micros().min(Stamp::MAX_MICROS);
        let step = |last: u64| now.max(last + 1).min(Stamp::MAX_MICROS);
        let last =
            self.last.fetch_update(Ordering::AcqRel, Ordering::Acquire, |last| Some(step(last)));
        let time = step(last.unwrap_or_else(|last| last));
        Stamp { time: Timestamp::from_micros(time), origin: self.origin }
    }

    /// Whether what is stamped from now on is newer than a stamp without a
    /// [`follow`](Self::follow). Cost: one load.
    #[must_use]
    pub fn is_after(&self, seen: Stamp) -> bool {
        seen.time.as_micros() <= self.last.load(Ordering::Acquire)
    }

    /// Takes notice of a stamp that somebody else gave out: what is stamped from now on is newer.
    ///
    /// # Errors
    ///
    /// [`Drift`] when it is further ahead than allowed. It is then not followed, for if it were,
    /// one wrong clock would move those of all.
    pub fn follow(&self, seen: Stamp, now: Timestamp) -> Result<(), Drift> {
        let ahead = seen.time.since(now);
        if ahead > self.max_drift || seen.time.as_micros() > Stamp::MAX_MICROS {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Drift { stamp: seen, ahead });
        }
        self.last.fetch_max(seen.time.as_micros(), Ordering::AcqRel);
        Ok(())
    }
}

/// A stamp is too far in the future: the clock of its writer is wrong, or ours is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drift {
    /// The stamp.
    pub stamp: Stamp,
    /// By how much it is ahead of the time that it is here.
    pub ahead: Duration,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stamp, ahead } = self;
        write!(f, "writer `{:08x}` has a clock that is `{ahead:?}` ahead of ours", stamp.origin)
    }
}

impl std::error::Error for Drift {}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn seen(micros: u64) -> Stamp {
        Stamp { time: at(micros), origin: 9 }
    }

    #[test]
    fn stamps_rise_while_the_time_stands_and_when_it_goes_back() {
        let clock = StampClock::new(7);
        let stamps = [100, 100, 50, 200].map(|now| clock.next(at(now)));
        assert_eq!(stamps.map(|stamp| stamp.time.as_micros()), [100, 101, 102, 200]);
        assert!(stamps.iter().all(|stamp| stamp.origin == 7));
    }

    #[test]
    fn what_is_stamped_after_a_stamp_was_seen_is_newer() {
        let clock = StampClock::new(7);
        assert!(!clock.is_after(seen(900_000)));
        clock.follow(seen(900_000), at(100)).unwrap();
        assert!(clock.is_after(seen(900_000)) && !clock.is_after(seen(900_001)));
        assert!(clock.next(at(100)) > seen(900_000));
        clock.follow(seen(5), at(100)).unwrap();
        assert!(clock.next(at(100)) > seen(900_000), "an old stamp moves nothing back");
    }

    #[test]
    fn a_stamp_too_far_ahead_is_counted_and_not_followed() {
        let clock = StampClock::new(7);
        let drift = clock.follow(seen(1_000_101), at(100)).unwrap_err();
        assert_eq!(drift.ahead, Duration::from_micros(1_000_001));
        assert_eq!(
            drift.to_string(),
            "writer `00000009` has a clock that is `1.000001s` ahead of ours"
        );
        assert_eq!(clock.refused(), 1);
        assert_eq!(clock.next(at(100)).time, at(100));
        let patient = StampClock::new(7).max_drift(Duration::from_secs(2));
        patient.follow(seen(1_000_101), at(100)).unwrap();
        assert_eq!(patient.next(at(100)).time, at(1_000_102));
    }

    #[test]
    fn no_stamp_is_beyond_what_a_float_holds() {
        let clock = StampClock::new(7).max_drift(Duration::MAX);
        assert!(clock.follow(seen(u64::MAX), at(100)).is_err());
        let last = clock.next(at(u64::MAX)).time.as_micros();
        assert_eq!(last, Stamp::MAX_MICROS);
        assert_eq!(last as f64 as u64, last);
        assert_eq!(clock.next(at(1)).time.as_micros(), Stamp::MAX_MICROS, "it stands there");
    }

    #[test]
    fn threads_never_get_the_same_stamp() {
        let clock = StampClock::new(7);
        let draw = || (0..1000).map(|_| clock.next(at(100))).collect::<Vec<_>>();
        let mut all: Vec<Stamp> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(draw)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 4000);
    }
}
