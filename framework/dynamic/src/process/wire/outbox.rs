//! [`Outbox`], frames that wait for the thread that writes them.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::frame::{self, FrameError};

/// No more bytes wait, but for one frame that is longer: the other side does not read.
const MOST_WAITING: usize = 64 * 1024 * 1024;

/// Frames for the other side, in their order. Whoever adds one does not wait for it.
#[derive(Debug, Default)]
pub struct Outbox {
    frames: Mutex<Frames>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Frames {
    bytes: Vec<u8>,
    is_closed: bool,
}

/// Why a frame is not sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unsent {
    /// The connection has ended.
    Closed,
    /// Too much waits to be sent.
    Full,
    /// It is no frame.
    Unfit(FrameError),
}

impl Outbox {
    /// Adds a frame.
    ///
    /// # Errors
    ///
    /// Why it is not sent.
    pub fn push(&self, message: &impl Serialize) -> Result<(), Unsent> {
        self.push_below(message, MOST_WAITING)
    }

    /// Adds a frame that may be lost, unless so many bytes wait already.
    ///
    /// # Errors
    ///
    /// Why it is not sent.
    pub fn push_below(&self, message: &impl Serialize, most: usize) -> Result<(), Unsent> {
        let frame = frame::frame(message).map_err(Unsent::Unfit)?;
        let mut frames = self.lock();
        if frames.is_closed {
            return Err(Unsent::Closed);
        }
        if !frames.bytes.is_empty() && frames.bytes.len() + frame.len() > most {
            return Err(Unsent::Full);
        }
        match frames.bytes.is_empty() {
            true => frames.bytes = frame,
            false => frames.bytes.extend_from_slice(&frame),
        }
        drop(frames);
        self.changed.notify_one();
        Ok(())
    }

    /// Adds nothing more. What waits is still sent.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// All that waits, as soon as there is something; `None` when it is closed and nothing waits.
    pub fn take(&self) -> Option<Vec<u8>> {
        let mut frames = self.lock();
        while frames.bytes.is_empty() {
            if frames.is_closed {
                return None;
            }
            frames = self.changed.wait(frames).unwrap_or_else(PoisonError::into_inner);
        }
        Some(std::mem::take(&mut frames.bytes))
    }

    fn lock(&self) -> MutexGuard<'_, Frames> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_and_sent_after_the_close() {
        let outbox = Outbox::default();
        let long = "x".repeat(100);
        outbox.push_below(&long, 10).expect("a frame alone may be longer");
        assert!(matches!(outbox.push_below(&"y", 10), Err(Unsent::Full)));
        outbox.push(&"z").unwrap();
        outbox.close();
        assert!(matches!(outbox.push(&"z"), Err(Unsent::Closed)));
        let bytes = outbox.take().unwrap();
        let mut from = &bytes[..];
        assert_eq!(frame::read::<String>(&mut from).unwrap(), Some(long));
        assert_eq!(frame::read::<String>(&mut from).unwrap().as_deref(), Some("z"));
        assert!(outbox.take().is_none());
    }
}
