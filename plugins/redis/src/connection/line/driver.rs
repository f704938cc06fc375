//! [`Driver`]: the task of a [`Line`](super::Line).

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncReadExt, ReadHalf};
use tokio::time::{Instant, Sleep};

use super::{Flight, Sent, Shared, Stream, Wanted};
use crate::connection::resp::{self, Broken, Scan};

/// How many bytes are read at a time.
const READ_BYTES: usize = 64 * 1024;

/// Reads what comes over a line, and writes what did not fit.
pub(in crate::connection) struct Driver {
    shared: Arc<Shared>,
    reader: ReadHalf<Stream>,
    input: Input,
    /// What the next answers are for.
    current: Option<Sent>,
    timer: Option<Pin<Box<Sleep>>>,
}

/// What has arrived.
#[derive(Default)]
struct Input {
    bytes: Vec<u8>,
    /// Where the first answer begins that nobody has yet.
    start: usize,
    scan: Scan,
    /// The lengths of whole answers of a flight that is not all there.
    ready: Vec<usize>,
}

impl From<Broken> for io::Error {
    fn from(_: Broken) -> Self {
        io::ErrorKind::InvalidData.into()
    }
}

impl Driver {
    pub(super) fn new(shared: Arc<Shared>, reader: ReadHalf<Stream>) -> Self {
        Self { shared, reader, input: Input::default(), current: None, timer: None }
    }

    /// Works until the socket breaks.
    pub(in crate::connection) async fn run(mut self) {
        poll_fn(|context| match self.turn(context) {
            Ok(()) => Poll::Pending,
            Err(_) => Poll::Ready(()),
        })
        .await;
    }

    fn turn(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        {
            let mut state = self.shared.lock();
            match &mut state.driver {
                Some(waker) => waker.clone_from(context.waker()),
                None => state.driver = Some(context.waker().clone()),
            }
            state.is_settling = false;
            state.depart();
            if let Poll::Ready(Err(error)) = state.write(context) {
                return Err(error);
            }
        }
        // Reading goes on while writing cannot: otherwise both sides might wait for each other.
        if self.receive(context)? {
            // Those who were answered come again before the next flight leaves.
            context.waker().wake_by_ref();
        }
        self.keep_time(context);
        Ok(())
    }

    /// Reads until nothing is left; whether there may be flights to send off.
    fn receive(&mut self, context: &mut Context<'_>) -> io::Result<bool> {
        let mut has_landed = false;
        loop {
            self.input.make_room();
            let reading = pin!(self.reader.read_buf(&mut self.input.bytes));
            match reading.poll(context) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Poll::Ready(Ok(_)) => has_landed |= self.sort()?,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(has_landed),
            }
        }
    }

    /// Gives away the answers that are all there; whether there may be flights to send off.
    fn sort(&mut self) -> io::Result<bool> {
        let mut has_landed = false;
        while let Some(length) = self.input.next()? {
            if resp::is_push(self.input.last(length)) {
                self.input.skip(length)?;
                continue;
            }
            if self.current.is_none() {
                self.current = self.shared.lock().sent.pop_front();
            }
            match self.current.take() {
                Some(Sent::Batch(mut wanted)) => {
                    wanted.answers.push(resp::value(self.input.take(length))?);
                    wanted.left -= 1;
                    self.current = wanted.finish().map(Sent::Batch);
                }
                Some(Sent::Flight(flight, count)) => {
                    self.input.ready.push(length);
                    if self.input.ready.len() == count {
                        has_landed |= self.land(&flight);
                    } else {
                        self.current = Some(Sent::Flight(flight, count));
                    }
                }
                // An answer to nothing.
                None => return Err(Broken.into()),
            }
        }
        Ok(has_landed)
    }

    /// Gives a flight its answers; whether there may be others to send off.
    fn land(&mut self, flight: &Flight) -> bool {
        let were_many = flight.seats() > 1;
        let do_others_wait = {
            let mut state = self.shared.lock();
            state.flights -= 1;
            state.is_settling = were_many;
            !state.gathering.is_empty()
        };
        let lengths = std::mem::take(&mut self.input.ready);
        let (mut at, bytes) = (self.input.start, &self.input.bytes);
        let answers = lengths.iter().map(|length| {
            at += length;
            &bytes[at - length..at]
        });
        flight.land(answers);
        self.input.start += lengths.iter().sum::<usize>();
        were_many || do_others_wait
    }

    /// Tells those whose time is over.
    fn keep_time(&mut self, context: &mut Context<'_>) {
        loop {
            let is_timed = self.shared.lock().timed_for.is_some();
            let timer = self.timer.as_mut().filter(|_| is_timed);
            if timer.is_some_and(|timer| timer.as_mut().poll(context).is_pending()) {
                return;
            }
            let current = match &self.current {
                Some(Sent::Flight(flight, _)) => Some(flight),
                _ => None,
            };
            let Some(next) = self.shared.expire(current) else { return };
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(next),
                None => self.timer = Some(Box::pin(tokio::time::sleep_until(next))),
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(Sent::Flight(flight, _)) = &self.current {
            flight.lose();
        }
        self.shared.close();
    }
}

impl Shared {
    /// Tells those whose time is over, and lets go of flights in which nobody waits; when the next
    /// one's time is over.
    fn expire(&self, current: Option<&Arc<Flight>>) -> Option<Instant> {
        let now = Instant::now();
        let mut state = self.lock();
        let mut next = current.and_then(|flight| flight.expire(now));
        let mut note = |flight: &Flight| {
            let soonest = flight.expire(now);
            next = [next, soonest].into_iter().flatten().min();
            soonest.is_some()
        };
        for sent in &state.sent {
            if let Sent::Flight(flight, _) = sent {
                note(flight);
            }
        }
        state.gathering.retain(|flight| note(flight));
        state.gathered = state.gathering.iter().map(|flight| flight.seats()).sum();
        state.timed_for = next;
        next
    }
}

impl Wanted {
    /// Gives the answers away when all are there, and itself back until then.
    fn finish(mut self) -> Option<Self> {
        if self.left > 0 {
            return Some(self);
        }
        self.answers.drain(..self.skipped.min(self.answers.len()));
        // Whoever has given up needs no answer.
        self.reply.send(self.answers).ok();
        None
    }
}

impl Input {
    /// Where answers end of which nobody has heard yet.
    fn end(&self) -> usize {
        self.start + self.ready.iter().sum::<usize>()
    }

    /// The length of the next answer, if it is all there.
    fn next(&mut self) -> Result<Option<usize>, Broken> {
        let end = self.end();
        match self.bytes.get(end..) {
            None | Some([]) => Ok(None),
            Some(rest) => self.scan.end(rest),
        }
    }

    /// An answer of this length that was just found.
    fn last(&self, length: usize) -> &[u8] {
        let end = self.end();
        &self.bytes[end..end + length]
    }

    /// Forgets what nobody asked for.
    fn skip(&mut self, length: usize) -> Result<(), Broken> {
        if self.ready.is_empty() {
            self.start += length;
            return Ok(());
        }
        let end = self.end();
        drop(self.bytes.drain(end..end + length));
        Ok(())
    }

    /// An answer that is given away.
    fn take(&mut self, length: usize) -> &[u8] {
        self.start += length;
        &self.bytes[self.start - length..self.start]
    }

    /// Room for what comes next.
    fn make_room(&mut self) {
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
            // What was large once need not be again.
            self.bytes.shrink_to(4 * READ_BYTES);
        } else if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        if self.bytes.capacity() - self.bytes.len() < READ_BYTES / 4 {
            self.bytes.reserve(READ_BYTES);
        }
    }
}
