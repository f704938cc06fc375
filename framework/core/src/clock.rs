//! Time: [`Clock`], its two implementations, and the two kinds of instant.
//!
//! Nothing in Larder asks the operating system for the time; everything asks a [`Clock`], so a
//! test can turn time by hand. Inside a process life is measured in [`Moment`]s, which never go
//! backwards; entries that outlive the process carry [`Timestamp`]s.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;

mod coarse;

/// A monotonic instant in nanoseconds since the clock's own start. Only instants of one clock
/// compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The instant `nanos` nanoseconds after the clock's start.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's start.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This instant moved into the future; stays at the end of time instead of wrapping.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        // In 64 bits, as this is part of every look at an entry that has a life.
        let seconds = duration.as_secs().saturating_mul(1_000_000_000);
        Self(self.0.saturating_add(seconds).saturating_add(u64::from(duration.subsec_nanos())))
    }

    /// How long ago `earlier` was; zero when it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A wall-clock instant in microseconds since the Unix epoch. Below 2^53 until the year 2255, so
/// that Lua, JSON and doubles hold it exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The instant `micros` microseconds after the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// This instant moved into the future; stays at the end of time instead of wrapping.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// How long ago `earlier` was; zero when it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// The same instant for the standard library.
    #[must_use]
    pub fn to_system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(self.0)
    }
}

/// A future that ends when a time has come.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Further away than any coarse time is behind.
const NEAR: Duration = Duration::from_millis(200);

/// The source of time.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The monotonic time. Cost: one clock read.
    fn now(&self) -> Moment;

    /// The wall-clock time.
    fn wall(&self) -> Timestamp;

    /// The monotonic time, wrong by up to some 20 milliseconds either way. For what is done so
    /// often that a clock read would be most of its cost, such as counting calls by the second.
    fn now_coarse(&self) -> Moment {
        self.now()
    }

    /// The wall-clock time, or that of up to some 20 milliseconds ago; see
    /// [`now_coarse`](Self::now_coarse).
    fn wall_coarse(&self) -> Timestamp {
        self.wall()
    }

    /// Whether a time has come. Exact, and cheaper than [`wall`](Self::wall) unless it is near.
    fn has_come(&self, at: Timestamp) -> bool {
        let coarse = self.wall_coarse();
        at <= coarse || at.since(coarse) < NEAR && at <= self.wall()
    }

    /// Ends after `duration` of this clock.
    ///
    /// # Cancellation
    ///
    /// Dropping the future forgets the wait.
    fn sleep(&self, duration: Duration) -> Sleep;
}

/// The time of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The clock, ready to be shared.
    #[must_use]
    pub fn shared() -> Arc<dyn Clock> {
        Arc::new(Self)
    }
}

fn process_start() -> Instant {
    start().0
}

/// When the process first asked for the time, by the exact clock and by the coarse one.
fn start() -> &'static (Instant, Option<u64>) {
    static START: OnceLock<(Instant, Option<u64>)> = OnceLock::new();
    START.get_or_init(|| (Instant::now(), coarse::monotonic()))
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        Moment::default().after(process_start().elapsed())
    }

    fn wall(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::default().after(since)
    }

    fn now_coarse(&self) -> Moment {
        coarse::now().unwrap_or_else(|| self.now())
    }

    fn wall_coarse(&self) -> Timestamp {
        coarse::wall().unwrap_or_else(|| self.wall())
    }

    /// Needs a tokio runtime with its timer enabled.
    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A clock that moves only when told to. For tests, and for replaying traces.
///
/// ```
/// use std::time::Duration;
/// use larder_core::{Clock, ManualClock};
///
/// let clock = ManualClock::new();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(30));
/// assert_eq!(clock.now().since(before), Duration::from_secs(30));
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    state: Arc<Mutex<ManualState>>,
}

#[derive(Debug, Default)]
struct ManualState {
    elapsed: Duration,
    sleepers: Vec<(Moment, oneshot::Sender<()>)>,
}

/// Where a manual clock's wall time starts: 2026-01-01T00:00:00Z.
const MANUAL_EPOCH: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

impl ManualClock {
    /// A clock that stands at zero, and at 2026-01-01 on the wall.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the time forward and wakes every sleeper whose time has come.
    pub fn advance(&self, duration: Duration) {
        let mut state = self.lock();
        state.elapsed += duration;
        let now = Moment::default().after(state.elapsed);
        let (due, waiting) = state.sleepers.drain(..).partition(|(deadline, _)| *deadline <= now);
        state.sleepers = waiting;
        drop(state);
        let due: Vec<(Moment, oneshot::Sender<()>)> = due;
        for (_, sleeper) in due {
            // A sleeper that was dropped meanwhile needs no waking.
            sleeper.send(()).ok();
        }
    }

    /// How many sleepers wait, so that a test can tell that a task has gone to sleep.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        let mut state = self.lock();
        state.sleepers.retain(|(_, sleeper)| !sleeper.is_closed());
        state.sleepers.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ManualState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        Moment::default().after(self.lock().elapsed)
    }

    fn wall(&self) -> Timestamp {
        MANUAL_EPOCH.after(self.lock().elapsed)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        if duration.is_zero() {
            return Box::pin(std::future::ready(()));
        }
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        let deadline = Moment::default().after(state.elapsed).after(duration);
        state.sleepers.push((deadline, sender));
        Box::pin(async move {
            if receiver.await.is_err() {
                // The clock is gone, so this time never comes.
                std::future::pending::<()>().await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn manual_sleep_ends_when_its_time_has_come() {
        let clock = ManualClock::new();
        let mut sleep = clock.sleep(Duration::from_secs(2));
        let mut context = Context::from_waker(Waker::noop());
        clock.advance(Duration::from_secs(1));
        assert_eq!(sleep.as_mut().poll(&mut context), Poll::Pending);
        assert_eq!(clock.sleepers(), 1);
        clock.advance(Duration::from_secs(1));
        assert_eq!(sleep.as_mut().poll(&mut context), Poll::Ready(()));
        assert_eq!(clock.sleepers(), 0);
    }

    #[test]
    fn wall_and_monotonic_time_advance_together() {
        let clock = ManualClock::new();
        let (moment, wall) = (clock.now(), clock.wall());
        clock.advance(Duration::from_millis(1500));
        assert_eq!(clock.now().since(moment), Duration::from_millis(1500));
        assert_eq!(clock.wall().since(wall), Duration::from_millis(1500));
    }

    #[test]
    fn instants_saturate_instead_of_wrapping() {
        assert_eq!(Moment::from_nanos(5).after(Duration::MAX).as_nanos(), u64::MAX);
        assert_eq!(Timestamp::from_micros(5).after(Duration::MAX).as_micros(), u64::MAX);
    }

    #[test]
    fn the_coarse_time_is_about_the_exact_one() {
        let clock = SystemClock;
        // Processors that others use may pause this in between for a while.
        let close = Duration::from_secs(10);
        let (now, coarse) = (clock.now(), clock.now_coarse());
        assert!(now.since(coarse) < close && coarse.since(now) < close, "{now:?} {coarse:?}");
        let (wall, coarse) = (clock.wall(), clock.wall_coarse());
        assert!(wall.since(coarse) < close && coarse.since(wall) < close, "{wall:?} {coarse:?}");
        assert!(clock.has_come(clock.wall()) && !clock.has_come(clock.wall().after(close)));
        let manual = ManualClock::new();
        manual.advance(Duration::from_millis(1));
        assert_eq!((manual.now_coarse(), manual.wall_coarse()), (manual.now(), manual.wall()));
        let next = manual.wall().after(Duration::from_micros(1));
        assert!(manual.has_come(manual.wall()) && !manual.has_come(next));
    }

    #[test]
    fn the_system_clock_does_not_go_backwards() {
        let clock = SystemClock;
        let first = clock.now();
        assert!(clock.now() >= first);
        assert!(clock.wall() > MANUAL_EPOCH);
    }
}
