//! [`Held`], an entry that stays where the library put it: in the [`Scratch`] of the call.

use bytes::Bytes;
use larder_abi::value;
use larder_core::backend::Deadlines;

use super::{Found, Lent, Output, blank_read, deadlines};
use crate::adapt::args::Args;
use crate::borrow::Garbage;

/// A buffer of this thread, which one call at a time writes small values to.
#[derive(Debug, Default)]
pub(crate) struct Scratch(Option<Box<[u8]>>);

/// How large it is.
const SCRATCH: usize = 4096;

thread_local! {
    static SPARE: std::cell::Cell<Option<Box<[u8]>>> = const { std::cell::Cell::new(None) };
}

impl Scratch {
    pub(crate) fn open(&mut self) -> (*mut u8, usize) {
        let spare = SPARE.try_with(std::cell::Cell::take).unwrap_or_default();
        let buffer = self.0.insert(spare.unwrap_or_else(|| vec![0; SCRATCH].into()));
        (buffer.as_mut_ptr(), buffer.len())
    }
}

impl Scratch {
    /// The buffer, to be looked at for longer than the call.
    pub(crate) fn into_buffer(mut self) -> Box<[u8]> {
        self.0.take().unwrap_or_default()
    }

    /// The thread has a buffer again.
    pub(crate) fn give_back(buffer: Box<[u8]>) {
        // A thread that ends keeps nothing.
        SPARE.try_with(|spare| spare.set(Some(buffer))).ok();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(buffer) = self.0.take() {
            Self::give_back(buffer);
        }
    }
}

/// As [`Found`], and what the library put into the buffer of the call stays there.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) envelope: Envelope,
    pub(crate) deadlines: Deadlines,
}

/// Where an envelope is.
#[derive(Debug)]
pub(crate) enum Envelope {
    /// Here.
    Bytes(Bytes),
    /// So long, at the beginning of the buffer of the call.
    Scratch(usize),
}

impl Output for Held {
    type Raw = value::Read;
    type Room = Scratch;

    fn blank(room: &mut Scratch, _: &Args<'_>) -> value::Read {
        blank_read(room.open())
    }

    fn lent(raw: &value::Read) -> Lent {
        Found::lent(raw)
    }

    unsafe fn take(raw: *mut value::Read, lent: &Lent) -> Result<Self, Garbage> {
        // SAFETY: the caller says so.
        let read = unsafe { raw.read() };
        let bytes = &read.entry.value;
        let deadlines = deadlines(read.entry.soft_us, read.entry.hard_us);
        let is_lent = |(scratch, room): (*mut u8, usize)| {
            bytes.vt.is_null() && std::ptr::eq(bytes.ptr, scratch) && bytes.len <= room
        };
        if lent.scratch.is_some_and(is_lent) {
            return Ok(Self { envelope: Envelope::Scratch(bytes.len), deadlines });
        }
        // SAFETY: the caller says so; the first look took nothing over.
        let Found { envelope, deadlines } = unsafe { Found::take(raw, lent) }?;
        Ok(Self { envelope: Envelope::Bytes(envelope), deadlines })
    }
}
