//! [`Line`]: a socket for small values, over which many callers talk at once.
//!
//! Commands go out one after another, and their answers come back in the same order. Reads travel
//! in flights: while as many are under way as may be, those who come later gather, and all of them
//! go when one is back. So a lone read waits for nothing, and the busier it is, the larger the
//! flights are. No read is held back by a timer.
//!
//! Whoever finds room writes to the socket itself, which spares it the way over another task. One
//! task, the [`Driver`], does everything else: it writes what did not fit, reads what comes, and
//! tells those whose time is over. So nobody depends on a caller that goes away.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use redis::{Pipeline, Value};
use tokio::io::WriteHalf;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::link::Lost;
use super::stream::Stream;

mod driver;
mod flight;
mod write;

pub(super) use driver::Driver;
use flight::Flight;
pub(crate) use flight::{Landed, Read, Seat, WHOLE_FLIGHT};

/// How many flights are under way at a time: one at the server, one on its way.
const MOST_FLIGHTS: usize = 2;

/// How many reads may gather.
const MOST_GATHERED: usize = 16_384;

/// How many bytes of commands may wait to be sent.
const MOST_QUEUED: usize = 64 * 1024 * 1024;

/// A socket that callers share.
pub(super) struct Line {
    shared: Arc<Shared>,
}

/// What callers and the driver share.
struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// None when the socket is closed.
    writer: Option<WriteHalf<Stream>>,
    /// What is being written, and how much of it is.
    out: Vec<u8>,
    written: usize,
    is_flushed: bool,
    queue: VecDeque<Batch>,
    queued: usize,
    gathering: VecDeque<Arc<Flight>>,
    gathered: usize,
    /// What was written and is not answered.
    sent: VecDeque<Sent>,
    flights: usize,
    /// Many have just been answered, and mostly come again at once: they should go together.
    is_settling: bool,
    /// When the driver looks whose time is over.
    timed_for: Option<Instant>,
    driver: Option<Waker>,
}

/// Commands that wait to be sent.
struct Batch {
    bytes: Vec<u8>,
    wanted: Wanted,
}

/// Answers that somebody waits for.
struct Wanted {
    /// How many answers are left.
    left: usize,
    /// How many of the first are of no interest.
    skipped: usize,
    answers: Vec<Value>,
    reply: oneshot::Sender<Vec<Value>>,
}

/// What was sent, in its order.
enum Sent {
    Batch(Wanted),
    /// A flight, and how many answers it gets.
    Flight(Arc<Flight>, usize),
}

impl Line {
    /// A line over this stream. It works as long as its driver runs.
    pub(super) fn new(stream: Stream) -> (Self, Driver) {
        let (reader, writer) = tokio::io::split(stream);
        let state = State { writer: Some(writer), ..State::default() };
        let shared = Arc::new(Shared { state: Mutex::new(state) });
        let driver = Driver::new(Arc::clone(&shared), reader);
        (Self { shared }, driver)
    }

    /// Sends commands in one go and returns their answers in order.
    ///
    /// # Errors
    ///
    /// Why there are none.
    ///
    /// # Cancellation
    ///
    /// The commands are carried out if they were sent already.
    pub(super) async fn send(&self, commands: &Pipeline) -> Result<Vec<Value>, Lost> {
        let count = commands.len();
        // The answer to a transaction is the last of its answers.
        let skipped = if commands.is_transaction() { count + 1 } else { 0 };
        let left = if commands.is_transaction() { count + 2 } else { count };
        let (reply, answers) = oneshot::channel();
        let wanted = Wanted { left, skipped, answers: Vec::with_capacity(left), reply };
        self.shared.queue(Batch { bytes: commands.get_packed_pipeline(), wanted })?;
        answers.await.map_err(|_| Lost::Broken)
    }

    /// Takes a seat for a read.
    ///
    /// # Errors
    ///
    /// [`Lost::Full`] when too many others wait, [`Lost::Broken`] when the socket is closed.
    pub(super) fn read(&self, read: &Read<'_>, deadline: Instant) -> Result<Seat, Lost> {
        self.shared.board(read, deadline)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self, batch: Batch) -> Result<(), Lost> {
        let mut state = self.lock();
        if state.writer.is_none() {
            return Err(Lost::Broken);
        }
        if state.queued.saturating_add(batch.bytes.len()) > MOST_QUEUED {
            return Err(Lost::Full);
        }
        state.queued += batch.bytes.len();
        state.queue.push_back(batch);
        state.write_or_wake();
        Ok(())
    }

    fn board(&self, read: &Read<'_>, deadline: Instant) -> Result<Seat, Lost> {
        let mut state = self.lock();
        if state.writer.is_none() {
            return Err(Lost::Broken);
        }
        if state.gathered >= MOST_GATHERED {
            return Err(Lost::Full);
        }
        let last = state.gathering.back().and_then(|flight| flight.board(read, deadline));
        let seat = last.or_else(|| {
            let flight = Arc::new(Flight::new(read));
            let seat = flight.board(read, deadline);
            state.gathering.push_back(flight);
            seat
        });
        state.gathered += 1;
        let may_depart = state.flights < MOST_FLIGHTS && !state.is_settling;
        if may_depart && read.is_alone {
            state.depart();
            state.write_or_wake();
        }
        if state.timed_for.is_none_or(|time| deadline < time) {
            state.timed_for = None;
            state.wake();
        } else if may_depart && !read.is_alone {
            state.wake();
        }
        seat.ok_or(Lost::Full)
    }

    /// Ends everything that waits.
    fn close(&self) {
        let state = std::mem::take(&mut *self.lock());
        state.gathering.iter().for_each(|flight| flight.lose());
        for sent in &state.sent {
            if let Sent::Flight(flight, _) = sent {
                flight.lose();
            }
        }
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
