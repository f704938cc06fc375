//! [`Reply`], results of the traits as structs of the header.

use std::cell::Cell;

use larder_abi::call::{self, ERROR_RETRYABLE, Error, health};
use larder_abi::value::{self, Bytes};
use larder_abi::{NEVER, Status};
use larder_core::backend::{Health, Lease, Loan, ScanPage};
use larder_core::{CacheError, Entry, EntryMeta, ErrorKind, Result, envelope};

use crate::adapt::args::deadline_us;
use crate::adapt::failure::{self, status_of};
use crate::adapt::output::blank_read;
use crate::borrow;
use crate::host::buffer::Buffer;

/// A result of a trait.
pub(crate) trait Reply: Send + 'static {
    /// The struct of the header.
    type Raw;

    /// An empty struct, for an answer that comes later.
    fn blank() -> Self::Raw;

    /// Fills in the struct.
    ///
    /// # Errors
    ///
    /// When it does not fit.
    fn write(self, out: &mut Self::Raw) -> Result<Status>;

    /// The status alone, where there is no place for more.
    ///
    /// # Errors
    ///
    /// As of [`write`](Self::write).
    fn write_nowhere(self) -> Result<Status>
    where
        Self: Sized,
    {
        let mut out = Self::blank();
        let written = self.write(&mut out);
        Self::take_back(&out);
        Self::free(&out);
        written
    }

    /// Releases what a struct owns that the host did not take over.
    fn take_back(out: &Self::Raw) {
        let _ = out;
    }

    /// Frees what an [empty struct](Self::blank) stands on, after it was read.
    fn free(out: &Self::Raw) {
        let _ = out;
    }
}

/// Fills in the struct, or the error.
///
/// # Safety
///
/// `out` must be a place that is live, or anything for a struct of no size; `error` null or an
/// error of the header.
pub(crate) unsafe fn write<R: Reply>(
    result: Result<R>,
    out: *mut R::Raw,
    error: *mut Error,
) -> Status {
    let written = result.and_then(|reply| {
        // SAFETY: the caller says so; nobody else uses the place during the call.
        let out = if size_of::<R::Raw>() == 0 { None } else { unsafe { out.as_mut() } };
        match out {
            Some(out) => reply.write(out),
            None => reply.write_nowhere(),
        }
    });
    match written {
        Ok(status) => status,
        // SAFETY: the caller says so.
        Err(failed) => unsafe { refuse(error, &failed) },
    }
}

/// Puts an error out.
///
/// # Safety
///
/// `error` must be null or an error of the header.
pub(crate) unsafe fn refuse(error: *mut Error, failed: &CacheError) -> Status {
    let status = status_of(failed.kind());
    let hint = failed.to_string();
    let hint = hint.split_once("hint: ").map_or("", |(_, hint)| hint);
    let mut filled = failure::blank();
    filled.code = status;
    filled.flags = if failed.is_retryable() { ERROR_RETRYABLE } else { 0 };
    filled.message = own(failed.message().as_bytes().to_vec());
    filled.hint = own(hint.as_bytes().to_vec());
    // SAFETY: the caller says so.
    unsafe { put(error, filled) };
    status
}

/// Puts a panic out.
///
/// # Safety
///
/// As [`refuse`].
pub(crate) unsafe fn panicked(error: *mut Error, message: String) -> Status {
    let mut filled = failure::blank();
    filled.code = Status::PANICKED;
    filled.message = own(message.into_bytes());
    // SAFETY: the caller says so.
    unsafe { put(error, filled) };
    Status::PANICKED
}

/// # Safety
///
/// As [`refuse`].
pub(crate) unsafe fn put(error: *mut Error, filled: Error) {
    let is_whole = !error.is_null() && error.is_aligned();
    // SAFETY: the caller says so; every error begins with its size.
    let has_room = is_whole && unsafe { (*error).struct_size } as usize >= size_of::<Error>();
    if has_room {
        // SAFETY: there is room for all of it.
        unsafe { error.write(filled) };
    } else {
        take_back_error(&filled);
    }
}

/// Releases an error that nobody took over.
pub(crate) fn take_back_error(error: &Error) {
    for bytes in [&error.message, &error.hint, &error.problems_json] {
        borrow::release(bytes);
    }
}

/// Bytes for the host to release.
pub(crate) fn own(bytes: Vec<u8>) -> Bytes {
    if bytes.is_empty() { Bytes::EMPTY } else { Buffer::new(bytes).give() }
}

impl Reply for () {
    type Raw = ();

    fn blank() {}

    fn write(self, (): &mut ()) -> Result<Status> {
        Ok(Status::OK)
    }
}

/// Whether something was there, or was done.
impl Reply for bool {
    type Raw = ();

    fn blank() {}

    fn write(self, (): &mut ()) -> Result<Status> {
        Ok(if self { Status::OK } else { Status::MISS })
    }
}

impl Reply for Option<Entry> {
    type Raw = value::Read;

    fn blank() -> value::Read {
        blank_read((std::ptr::null_mut(), 0))
    }

    fn write(self, out: &mut value::Read) -> Result<Status> {
        let Some(entry) = self else { return Ok(Status::MISS) };
        put_out(&entry.meta, &entry.value, out)
    }

    fn take_back(out: &value::Read) {
        borrow::release(&out.entry.value);
    }
}

impl Reply for Option<Loan> {
    type Raw = value::Read;

    fn blank() -> value::Read {
        <Option<Entry>>::blank()
    }

    fn write(self, out: &mut value::Read) -> Result<Status> {
        let Some(loan) = self else { return Ok(Status::MISS) };
        put_out(&loan.meta, loan.value(), out)
    }

    fn take_back(out: &value::Read) {
        <Option<Entry>>::take_back(out);
    }
}

thread_local! {
    /// Where entries are made that go into a buffer of the host.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Puts an entry out: into the buffer of the call, without an allocation, if it has room there.
fn put_out(meta: &EntryMeta, value: &[u8], out: &mut value::Read) -> Result<Status> {
    let mut bytes = SPARE.try_with(Cell::take).unwrap_or_default();
    bytes.clear();
    envelope::encode_parts(meta, value, &mut bytes)
        .map_err(|error| CacheError::transparent(ErrorKind::Serialization, error))?;
    out.entry.soft_us = deadline_us(meta.soft_deadline);
    out.entry.hard_us = deadline_us(meta.hard_deadline);
    out.entry.version.time_us = meta.stamp.time.as_micros();
    out.entry.version.origin = meta.stamp.origin;
    if bytes.len() > out.scratch_cap || out.scratch.is_null() {
        out.entry.value = own(bytes);
    } else {
        // SAFETY: by the header the scratch has room for as many bytes as it says.
        unsafe { out.scratch.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        out.entry.value = Bytes { ptr: out.scratch, len: bytes.len(), ..Bytes::EMPTY };
        // A thread that ends keeps nothing.
        SPARE.try_with(|spare| spare.set(bytes)).ok();
    }
    Ok(Status::OK)
}

/// The head of an entry: what [`envelope::decode_header`] reads.
pub(crate) struct Head(pub(crate) Option<EntryMeta>);

impl Reply for Head {
    type Raw = value::Read;

    fn blank() -> value::Read {
        <Option<Entry>>::blank()
    }

    fn write(self, out: &mut value::Read) -> Result<Status> {
        self.0.map(|meta| Entry { value: larder_core::Bytes::new(), meta }).write(out)
    }

    fn take_back(out: &value::Read) {
        <Option<Entry>>::take_back(out);
    }
}

impl Reply for ScanPage {
    type Raw = value::Page;

    fn blank() -> value::Page {
        value::Page { keys: Bytes::EMPTY, next: Bytes::EMPTY }
    }

    fn write(self, out: &mut value::Page) -> Result<Status> {
        let mut keys = Vec::new();
        for key in &self.keys {
            let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
            keys.extend_from_slice(&length.to_le_bytes());
            keys.extend_from_slice(key.as_bytes());
        }
        out.keys = own(keys);
        out.next = own(self.next.unwrap_or_default().into_bytes());
        Ok(Status::OK)
    }

    fn take_back(out: &value::Page) {
        borrow::release(&out.keys);
        borrow::release(&out.next);
    }
}

impl Reply for Lease {
    type Raw = value::Lease;

    fn blank() -> value::Lease {
        value::Lease { token: 0, remaining_us: NEVER }
    }

    fn write(self, out: &mut value::Lease) -> Result<Status> {
        Ok(match self {
            Self::Granted { token } => {
                out.token = token;
                Status::OK
            }
            Self::Held { remaining } => {
                let micros = remaining.map(|left| i64::try_from(left.as_micros()));
                out.remaining_us = micros.and_then(Result::ok).unwrap_or(NEVER);
                Status::MISS
            }
            _ => Status::UNSUPPORTED,
        })
    }
}

impl Reply for Health {
    type Raw = call::Health;

    fn blank() -> call::Health {
        call::Health {
            struct_size: size_of::<call::Health>() as u32,
            flags: 0,
            entries: 0,
            bytes: 0,
            corrupt: 0,
            degraded: Bytes::EMPTY,
        }
    }

    fn write(self, out: &mut call::Health) -> Result<Status> {
        let flag = |known: Option<u64>, flag: u32| if known.is_some() { flag } else { 0 };
        out.flags = flag(self.entries, health::ENTRIES) | flag(self.bytes, health::BYTES);
        (out.entries, out.bytes) = (self.entries.unwrap_or(0), self.bytes.unwrap_or(0));
        out.corrupt = self.corrupt;
        out.degraded = own(self.degraded.unwrap_or_default().into_bytes());
        Ok(Status::OK)
    }

    fn take_back(out: &call::Health) {
        borrow::release(&out.degraded);
    }
}
