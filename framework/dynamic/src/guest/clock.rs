//! [`CallClock`], the time that the host says it is.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use larder_core::clock::Sleep;
use larder_core::{Clock, Moment, SystemClock, Timestamp};

/// Between calls the time goes on in steps of this, so that within a call it stands still, also in
/// what of it is done later. Nothing is served too long because of that: the host looks at the
/// deadlines of what it gets once more.
const STEP: Duration = Duration::from_secs(10);

/// A clock that every call sets: two sides that disagree about the time would disagree about which
/// entries are over.
#[derive(Debug)]
pub struct CallClock(Mutex<Seen>);

#[derive(Debug)]
struct Seen {
    at: Timestamp,
    since: Instant,
    /// When the clock began, and the latest moment that it said.
    start: Timestamp,
    last: Moment,
}

impl CallClock {
    /// A clock that stands at this time, in microseconds since 1970.
    #[must_use]
    pub fn new(now_us: i64) -> Self {
        let (at, since) = (timestamp(now_us), Instant::now());
        Self(Mutex::new(Seen { at, since, start: at, last: Moment::default() }))
    }

    /// A call says what time it is, in microseconds since 1970.
    pub fn set(&self, now_us: i64) {
        self.with(|seen| (seen.at, seen.since) = (timestamp(now_us), Instant::now()));
    }

    fn with<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn timestamp(us: i64) -> Timestamp {
    Timestamp::from_micros(u64::try_from(us).unwrap_or(0))
}

impl Seen {
    fn wall(&self) -> Timestamp {
        let steps = self.since.elapsed().as_millis() / STEP.as_millis();
        self.at.after(STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX)))
    }
}

impl Clock for CallClock {
    fn now(&self) -> Moment {
        self.with(|seen| {
            let wall = seen.wall();
            // Clocks on walls may be set back; moments never go back.
            seen.last = seen.last.max(Moment::default().after(wall.since(seen.start)));
            seen.last
        })
    }

    fn wall(&self) -> Timestamp {
        self.with(|seen| seen.wall())
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        SystemClock.sleep(duration)
    }
}
