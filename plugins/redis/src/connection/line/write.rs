//! What goes out over a [`Line`](super::Line).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::{MOST_FLIGHTS, Sent, State};

/// How many bytes are gathered before they are written.
const WRITE_BYTES: usize = 64 * 1024;

impl State {
    /// Sends as many flights off as there may be.
    pub(super) fn depart(&mut self) {
        while self.flights < MOST_FLIGHTS
            && let Some(flight) = self.gathering.pop_front()
        {
            self.gathered = self.gathered.saturating_sub(flight.seats());
            let answers = flight.depart(&mut self.out);
            if answers > 0 {
                self.flights += 1;
                self.sent.push_back(Sent::Flight(flight, answers));
            }
        }
    }

    /// Writes what there is to write. What does not fit, and what goes wrong, is left to the
    /// driver.
    pub(super) fn write_or_wake(&mut self) {
        let Some(waker) = self.driver.take() else {
            // The driver has not run yet, and begins with this.
            return;
        };
        let written = self.write(&mut Context::from_waker(&waker));
        if matches!(written, Poll::Ready(Err(_))) {
            waker.wake_by_ref();
        }
        self.driver = Some(waker);
    }

    /// Has the driver look what there is to do.
    pub(super) fn wake(&self) {
        if let Some(driver) = &self.driver {
            driver.wake_by_ref();
        }
    }

    /// Writes until all is written or the socket takes no more.
    pub(super) fn write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.fill();
            let Some(writer) = &mut self.writer else {
                return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
            };
            if self.out.is_empty() {
                if !self.is_flushed {
                    ready!(Pin::new(writer).poll_flush(context))?;
                    self.is_flushed = true;
                }
                return Poll::Ready(Ok(()));
            }
            match Pin::new(&mut *writer).poll_write(context, &self.out[self.written..]) {
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.written += count;
                    self.is_flushed = false;
                }
                Poll::Ready(outcome) => {
                    self.writer = None;
                    return Poll::Ready(outcome.and(Err(io::ErrorKind::WriteZero.into())));
                }
                Poll::Pending => return Poll::Pending,
            }
            if self.written == self.out.len() {
                self.out.clear();
                self.written = 0;
                // What was large once need not be again.
                self.out.shrink_to(4 * WRITE_BYTES);
            }
        }
    }

    /// Takes over commands that are still wanted.
    fn fill(&mut self) {
        while self.out.len() < WRITE_BYTES
            && let Some(batch) = self.queue.pop_front()
        {
            self.queued = self.queued.saturating_sub(batch.bytes.len());
            if !batch.wanted.reply.is_closed() {
                self.out.extend_from_slice(&batch.bytes);
                self.sent.push_back(Sent::Batch(batch.wanted));
            }
        }
    }
}
