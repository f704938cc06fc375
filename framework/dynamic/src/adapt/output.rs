//! [`Output`], what a call puts out, and [`Answer`], what came of it.
//!
//! A library fills in a struct of ours during the call, or hands one of its own to `op_complete`.
//! Either way it is read once, and what it owns is taken over or released then.

use bytes::Bytes;
use larder_abi::call::{self, health};
use larder_abi::{NEVER, Status, read_extensible, value};
use larder_core::backend::Deadlines;
use larder_core::{CacheError, Timestamp};

use super::args::Args;
use super::failure::Failure;
use crate::borrow::{self, Garbage};
use crate::host::instances::Identity;

mod scratch;

pub(crate) use scratch::Scratch;

/// What came of a call.
#[derive(Debug)]
pub(crate) enum Answer<O> {
    /// It was done, or found.
    Done(O),
    /// It was not there or not done; with what was put out nevertheless.
    Miss(Option<O>),
    Failed(Failure),
}

impl<O> Answer<O> {
    /// The library did what the header forbids.
    pub(crate) fn broken(message: impl Into<String>) -> Self {
        Self::Failed(Failure::ours(Status::BROKEN, message))
    }

    /// What was put out, or `None` after a miss.
    pub(crate) fn found(
        self,
        operation: &'static str,
        of: &Identity,
    ) -> larder_core::Result<Option<O>> {
        match self {
            Self::Done(output) => Ok(Some(output)),
            Self::Miss(_) => Ok(None),
            Self::Failed(failure) => Err(failure.into_error(operation, of)),
        }
    }

    /// What was put out where there is no miss.
    pub(crate) fn done(self, operation: &'static str, of: &Identity) -> larder_core::Result<O> {
        match self {
            Self::Done(output) => Ok(output),
            Self::Miss(_) => Err(missed(operation, of)),
            Self::Failed(failure) => Err(failure.into_error(operation, of)),
        }
    }
}

pub(crate) fn missed(operation: &'static str, of: &Identity) -> CacheError {
    Failure::ours(Status::BROKEN, "`miss` is no answer to this").into_error(operation, of)
}

impl<O: Output> Answer<O> {
    /// Reads an answer.
    ///
    /// # Safety
    ///
    /// `out` must be null or what this type of output reads, `error` null or an error, both as the
    /// header says; and this must be the one time that they are read.
    pub(crate) unsafe fn taken(
        status: Status,
        out: *mut O::Raw,
        error: *const call::Error,
        lent: &Lent,
    ) -> Self {
        // Both are read whatever the status is: what they own would be lost otherwise.
        let failure = if status.is_error() {
            // SAFETY: the caller says so.
            Some(unsafe { Failure::taken(status, error) })
        } else {
            // SAFETY: the caller says so.
            unsafe { Failure::discard(error) };
            None
        };
        let is_there = size_of::<O::Raw>() == 0 || (!out.is_null() && out.is_aligned());
        // SAFETY: the caller says so; it is neither null nor misaligned.
        let output = is_there.then(|| unsafe { O::take(out, lent) });
        if let Some(failure) = failure {
            return Self::Failed(failure);
        }
        match (status, output) {
            (Status::MISS, _) if !O::ALSO_ON_MISS => Self::Miss(None),
            (Status::OK | Status::MISS, None) => Self::broken("the output is null or not aligned"),
            (Status::OK | Status::MISS, Some(Err(garbage))) => Self::broken(garbage.to_string()),
            (Status::OK, Some(Ok(output))) => Self::Done(output),
            (Status::MISS, Some(Ok(output))) => Self::Miss(Some(output)),
            _ => Self::broken(format!("`{status}` is no answer")),
        }
    }
}

/// What a call lent to the library, as far as its answer is judged by it: what the library says
/// about this may be wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lent {
    /// How many keys it is about.
    keys: usize,
    /// The buffer for a small value. An answer that comes later has its own or none.
    scratch: Option<(*mut u8, usize)>,
    /// The arrays for many reads. An answer that comes later has its own.
    arrays: Option<(*mut value::Read, *mut Status)>,
    /// The array for keys to warm, and its length. An answer that comes later has its own.
    items: Option<(*mut value::WarmItem, usize)>,
}

// SAFETY: the pointers are only compared.
unsafe impl Send for Lent {}
// SAFETY: as above.
unsafe impl Sync for Lent {}

impl Lent {
    /// What counts for an answer that comes when the buffers of the call are gone.
    pub(crate) const fn later(self) -> Self {
        Self { keys: self.keys, scratch: None, arrays: None, items: None }
    }

    /// What a call lends that has a buffer for a small value.
    pub(crate) fn scratch(scratch: (*mut u8, usize)) -> Self {
        Self { scratch: Some(scratch), ..Self::default() }
    }

    /// What a call lends that has room for keys to warm.
    pub(crate) fn items(items: (*mut value::WarmItem, usize)) -> Self {
        Self { items: Some(items), ..Self::default() }
    }

    /// The room for keys to warm, of a call that is not over.
    pub(crate) const fn lent_items(&self) -> Option<(*mut value::WarmItem, usize)> {
        self.items
    }
}

/// What calls of one sort put out.
pub(crate) trait Output: Sized + Send + 'static {
    /// The struct of the header.
    type Raw;

    /// Whether it is also filled in with `LARDER_MISS`.
    const ALSO_ON_MISS: bool = false;

    /// What backs the struct during a call.
    type Room: Default;

    /// An empty struct for a call, which may point into `room`.
    fn blank(room: &mut Self::Room, args: &Args<'_>) -> Self::Raw;

    /// What such an empty struct lends.
    fn lent(_: &Self::Raw) -> Lent {
        Lent::default()
    }

    /// Reads the struct and takes over what it owns.
    ///
    /// # Errors
    ///
    /// [`Garbage`] when it cannot be. What it owns is released all the same.
    ///
    /// # Safety
    ///
    /// `raw` must be not null, aligned, filled in as the header says, and read for the first time.
    unsafe fn take(raw: *mut Self::Raw, lent: &Lent) -> Result<Self, Garbage>;
}

/// Nothing is put out.
impl Output for () {
    type Raw = ();
    type Room = ();

    fn blank((): &mut (), _: &Args<'_>) {}

    unsafe fn take(_: *mut (), _: &Lent) -> Result<(), Garbage> {
        Ok(())
    }
}

/// An entry: its envelope, and the deadlines that hold instead of those in it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) envelope: Bytes,
    pub(crate) deadlines: Deadlines,
}

/// An empty read, with a buffer if there is one.
pub(crate) const fn blank_read((scratch, scratch_cap): (*mut u8, usize)) -> value::Read {
    value::Read { scratch, scratch_cap, entry: value::Entry::EMPTY }
}

/// The deadlines of an entry, where `LARDER_NEVER` is none.
pub(crate) fn deadlines(soft_us: i64, hard_us: i64) -> Deadlines {
    // Before 1970 is over as well as 1970 is.
    let at =
        |us: i64| (us != NEVER).then(|| Timestamp::from_micros(u64::try_from(us).unwrap_or(0)));
    Deadlines { soft: at(soft_us), hard: at(hard_us) }
}

impl Output for Found {
    type Raw = value::Read;
    type Room = Scratch;

    fn blank(room: &mut Scratch, _: &Args<'_>) -> value::Read {
        blank_read(room.open())
    }

    fn lent(raw: &value::Read) -> Lent {
        Lent::scratch((raw.scratch, raw.scratch_cap))
    }

    unsafe fn take(raw: *mut value::Read, lent: &Lent) -> Result<Self, Garbage> {
        // SAFETY: the caller says so.
        let read = unsafe { raw.read() };
        let scratch = lent.scratch.unwrap_or((read.scratch, read.scratch_cap));
        let envelope = borrow::take_within(&read.entry.value, scratch, "the value")?;
        Ok(Self { envelope, deadlines: deadlines(read.entry.soft_us, read.entry.hard_us) })
    }
}

/// The answers to many reads, in their order; an error stands for each that failed.
pub(crate) type Many = Vec<Result<Option<Found>, Status>>;

/// Where many reads stand during a call.
#[derive(Debug, Default)]
pub(crate) struct ManyRoom {
    reads: Vec<value::Read>,
    status: Vec<Status>,
}

impl Output for Many {
    type Raw = value::Reads;
    type Room = ManyRoom;

    fn blank(room: &mut ManyRoom, args: &Args<'_>) -> value::Reads {
        let n = args.keys.len();
        room.reads = vec![blank_read((std::ptr::null_mut(), 0)); n];
        room.status = vec![Status::MISS; n];
        let (reads, status) = (room.reads.as_mut_ptr(), room.status.as_mut_ptr());
        value::Reads { reads, status, n }
    }

    fn lent(raw: &value::Reads) -> Lent {
        Lent { keys: raw.n, arrays: Some((raw.reads, raw.status)), ..Lent::default() }
    }

    unsafe fn take(raw: *mut value::Reads, lent: &Lent) -> Result<Self, Garbage> {
        // SAFETY: the caller says so.
        let value::Reads { reads, status, n } = unsafe { raw.read() };
        if n != lent.keys {
            return Err(Garbage::Count(n, lent.keys));
        }
        if lent.arrays.is_some_and(|arrays| arrays != (reads, status)) {
            return Err(Garbage::Foreign("an array of the call"));
        }
        // SAFETY: the caller says so.
        let statuses =
            unsafe { borrow::array(status, n) }.map_err(|_| Garbage::Null("a status"))?;
        // SAFETY: as above.
        let reads = unsafe { borrow::array(reads, n) }.map_err(|_| Garbage::Null("a read"))?;
        let each = statuses.iter().zip(reads).map(|(status, read)| {
            // SAFETY: as above, and each is read once.
            let found = unsafe { Found::take((&raw const *read).cast_mut(), &Lent::default()) };
            match *status {
                Status::OK => found.map(Some).map_err(|_| Status::BROKEN),
                Status::MISS => Ok(None),
                status => Err(status),
            }
        });
        Ok(each.collect())
    }
}

/// How many were removed.
impl Output for u64 {
    type Raw = Self;
    type Room = ();

    fn blank((): &mut (), _: &Args<'_>) -> Self {
        0
    }

    unsafe fn take(raw: *mut Self, _: &Lent) -> Result<Self, Garbage> {
        // SAFETY: the caller says so.
        Ok(unsafe { raw.read() })
    }
}

impl Output for value::Lease {
    type Raw = Self;
    type Room = ();

    const ALSO_ON_MISS: bool = true;

    fn blank((): &mut (), _: &Args<'_>) -> Self {
        Self { token: 0, remaining_us: NEVER }
    }

    unsafe fn take(raw: *mut Self, _: &Lent) -> Result<Self, Garbage> {
        // SAFETY: the caller says so.
        Ok(unsafe { raw.read() })
    }
}

/// A page of keys, still as bytes, and its cursor.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) keys: Bytes,
    pub(crate) next: Bytes,
}

impl Output for Page {
    type Raw = value::Page;
    type Room = ();

    fn blank((): &mut (), _: &Args<'_>) -> value::Page {
        value::Page { keys: value::Bytes::EMPTY, next: value::Bytes::EMPTY }
    }

    unsafe fn take(raw: *mut value::Page, _: &Lent) -> Result<Self, Garbage> {
        // SAFETY: the caller says so.
        let page = unsafe { raw.read() };
        let (keys, next) =
            (borrow::take(&page.keys, "a page"), borrow::take(&page.next, "a cursor"));
        Ok(Self { keys: keys?, next: next? })
    }
}

impl Output for larder_core::backend::Health {
    type Raw = call::Health;
    type Room = ();

    fn blank((): &mut (), _: &Args<'_>) -> call::Health {
        call::Health {
            struct_size: size_of::<call::Health>() as u32,
            flags: 0,
            entries: 0,
            bytes: 0,
            corrupt: 0,
            degraded: value::Bytes::EMPTY,
        }
    }

    unsafe fn take(raw: *mut call::Health, _: &Lent) -> Result<Self, Garbage> {
        // SAFETY: the caller says so.
        let raw = unsafe { read_extensible(raw.cast_const()) };
        let raw = raw.map_err(|_| Garbage::Null("the health"))?;
        let degraded = crate::host::short(&raw.degraded, "a reason");
        let mut health = Self::default();
        health.entries = (raw.flags & health::ENTRIES != 0).then_some(raw.entries);
        health.bytes = (raw.flags & health::BYTES != 0).then_some(raw.bytes);
        health.corrupt = raw.corrupt;
        health.degraded = (!degraded.is_empty()).then_some(degraded);
        Ok(health)
    }
}
