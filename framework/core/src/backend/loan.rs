//! [`Loan`], an entry that is looked at where it lies.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use crate::entry::{Entry, EntryMeta};

/// An entry that a backend has at hand; see [`Backend::get_now`](super::Backend::get_now).
///
/// Its value may lie in a buffer that the backend uses again, so that a small value that is looked
/// at and forgotten takes no memory. [`into_entry`](Self::into_entry) makes one to keep.
#[derive(Debug)]
pub struct Loan {
    /// Everything but the value.
    pub meta: EntryMeta,
    value: Value,
}

#[derive(Debug)]
enum Value {
    Lent(Lent, Range<usize>),
    Shared(Bytes),
}

/// A buffer that goes back to whom it belongs.
struct Lent {
    buffer: Box<[u8]>,
    give_back: fn(Box<[u8]>),
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a buffer of {} bytes", self.buffer.len())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        (self.give_back)(std::mem::take(&mut self.buffer));
    }
}

impl Loan {
    /// An entry whose value is part of a buffer, which `give_back` gets in the end, on any thread.
    ///
    /// # Panics
    ///
    /// When the buffer does not have the part.
    #[inline]
    #[must_use]
    pub fn new(
        meta: EntryMeta,
        buffer: Box<[u8]>,
        value: Range<usize>,
        give_back: fn(Box<[u8]>),
    ) -> Self {
        assert!(buffer.get(value.clone()).is_some(), "the value is no part of the buffer");
        Self { meta, value: Value::Lent(Lent { buffer, give_back }, value) }
    }

    /// The value.
    #[inline]
    #[must_use]
    pub fn value(&self) -> &[u8] {
        match &self.value {
            Value::Lent(lent, range) => &lent.buffer[range.clone()],
            Value::Shared(bytes) => bytes,
        }
    }

    /// An entry to keep. Copies a value that lies in a buffer.
    #[must_use]
    pub fn into_entry(self) -> Entry {
        let value = match self.value {
            Value::Lent(lent, range) => Bytes::copy_from_slice(&lent.buffer[range]),
            Value::Shared(bytes) => bytes,
        };
        Entry { value, meta: self.meta }
    }
}

impl From<Entry> for Loan {
    fn from(entry: Entry) -> Self {
        Self { meta: entry.meta, value: Value::Shared(entry.value) }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static GIVEN_BACK: Cell<usize> = const { Cell::new(0) };
    }

    fn lent() -> Loan {
        let give_back = |buffer: Box<[u8]>| GIVEN_BACK.set(GIVEN_BACK.get() + buffer.len());
        Loan::new(EntryMeta::default(), Box::from(*b"a value!"), 2..7, give_back)
    }

    #[test]
    fn a_buffer_goes_back_once_whether_the_entry_is_kept_or_not() {
        assert_eq!((lent().value(), GIVEN_BACK.get()), (&b"value"[..], 0));
        assert_eq!(lent().into_entry().value, "value");
        assert_eq!(GIVEN_BACK.get(), 16);
    }

    #[test]
    fn a_value_that_is_shared_is_not_copied() {
        let entry = Entry { value: Bytes::from(vec![7; 99]), ..Entry::default() };
        let loan = Loan::from(entry.clone());
        assert_eq!(loan.value().as_ptr(), entry.value.as_ptr());
        assert_eq!(loan.into_entry().value.as_ptr(), entry.value.as_ptr());
    }

    #[test]
    #[should_panic(expected = "the value is no part of the buffer")]
    fn a_value_beyond_the_end_of_its_buffer_is_refused() {
        drop(Loan::new(EntryMeta::default(), Box::from(*b"short"), 2..6, drop));
    }
}
