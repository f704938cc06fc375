//! Reads with a library that never lets anybody wait.

use std::ptr;
use std::sync::atomic::Ordering;

use larder_abi::Status;
use larder_core::backend::{Deadlines, Loan};
use larder_core::envelope;
use larder_core::{Entry, Result};

use super::{ForeignBackend, calls, set_deadlines};
use crate::adapt::args::{Args, lend_key};
use crate::adapt::failure::{self, Failure};
use crate::adapt::output::{Answer, Found, Lent, Scratch, blank_read, deadlines};

/// What `get_now` says. It is large, so all that makes it in most cases is compiled into one
/// function, which writes it once.
type Answered = Option<Result<Option<Loan>>>;

impl ForeignBackend {
    /// Reads an entry.
    ///
    /// What nearly every call comes to is told apart first, where it lies: no entry, or one that is
    /// in the buffer of the call, and neither owns anything.
    #[inline(always)]
    pub(super) fn get_here(&self, key: &str) -> Answered {
        let mut room = Scratch::default();
        let lent = room.open();
        let (mut read, mut error) = (blank_read(lent), failure::blank());
        let places = (&raw mut read, &raw mut error);
        let text = lend_key(key);
        let Some(status) = self
            .keeper
            .call_now(|table, this, call| calls::get_one(table, this, call, text, places))
        else {
            return self.settle(key, self.keeper.refuse());
        };
        let value = &read.entry.value;
        let is_plain = value.vt.is_null() && failure::owns_nothing(&error);
        let is_lent = ptr::eq(value.ptr, lent.0) && value.len <= lent.1;
        match status {
            Status::MISS if is_plain => Some(Ok(None)),
            Status::OK if is_plain && is_lent => {
                let ends = deadlines(read.entry.soft_us, read.entry.hard_us);
                self.open_here(key, room, value.len, ends)
            }
            _ => {
                let (out, error) = (&raw mut read, &raw const error);
                // SAFETY: both are ours, filled in by the call, and read for the first time.
                let answer = unsafe { Answer::taken(status, out, error, &Lent::scratch(lent)) };
                self.settle(key, answer)
            }
        }
    }

    /// The entry that begins the buffer of a call, if it is one and is not over.
    #[inline(always)]
    fn open_here(&self, key: &str, room: Scratch, length: usize, ends: Deadlines) -> Answered {
        match envelope::read_checked(room.bytes(length)) {
            Ok(_) if self.is_dead(ends) => Some(Ok(None)),
            Ok((mut meta, value_at)) => {
                set_deadlines(&mut meta, ends);
                let buffer = room.into_buffer();
                Some(Ok(Some(Loan::new(meta, buffer, value_at..length, Scratch::give_back))))
            }
            Err(_) => self.lose(key),
        }
    }

    /// What else a call may come to.
    #[cold]
    fn settle(&self, key: &str, answer: Answer<Found>) -> Answered {
        Some(match answer {
            Answer::Done(Found { mut envelope, deadlines: ends }) => {
                match envelope::decode_owned(&mut envelope) {
                    Ok(_) if self.is_dead(ends) => Ok(None),
                    Ok(Entry { value, mut meta }) => {
                        set_deadlines(&mut meta, ends);
                        Ok(Some(Loan::from(Entry { value, meta })))
                    }
                    Err(_) => return self.lose(key),
                }
            }
            Answer::Miss(_) => Ok(None),
            failed => failed.done("get", &self.keeper.identity()).map(|_| None),
        })
    }

    /// Counts and removes what is no entry: a miss, also if it cannot be removed.
    #[cold]
    fn lose(&self, key: &str) -> Answered {
        self.corrupt.fetch_add(1, Ordering::Relaxed);
        let (args, mut error) = (Args::key(key), failure::blank());
        let place = &raw mut error;
        let removed = self.keeper.call_now(|table, this, call| {
            calls::remove(table, this, call, &args, ptr::null_mut(), place)
        });
        if removed.is_some() {
            // SAFETY: the error is ours, filled in by the call, and read for the first time.
            unsafe { Failure::discard(&raw const error) };
        }
        Some(Ok(None))
    }
}
