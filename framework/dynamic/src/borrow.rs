//! What the other side put out or lent, made safe: bounded, copied or taken over, released once.

use std::borrow::Cow;
use std::ffi::c_void;

use bytes::Bytes;
use larder_abi::{Status, value};

/// No output of a plugin may be larger: a greater number is taken for garbage.
pub(crate) const MOST_BYTES: usize = 1 << 30;

/// Up to here it is cheaper to copy what a plugin owns than to keep its owner.
const CHEAP_TO_COPY: usize = 1024;

/// Why what a plugin put out cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Garbage {
    /// A pointer is null that must not be.
    Null(&'static str),
    /// A length is beyond anything sensible.
    Length(&'static str, usize),
    /// It is about so many keys, where so many were asked for.
    Count(usize, usize),
    /// A pointer is not the one that was lent.
    Foreign(&'static str),
    /// It is not UTF-8.
    Text(&'static str),
}

impl std::fmt::Display for Garbage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null(what) => write!(f, "{what} is null"),
            Self::Length(what, length) => write!(f, "{what} has the impossible length `{length}`"),
            Self::Count(found, asked) => {
                write!(f, "it answered `{found}` keys, and was asked for `{asked}`")
            }
            Self::Foreign(what) => write!(f, "{what} was exchanged for another"),
            Self::Text(what) => write!(f, "{what} is no UTF-8"),
        }
    }
}

/// Bytes of the other side, which are released when this is dropped.
struct Owned(value::Bytes);

// SAFETY: by the header the owner may be released on any thread.
unsafe impl Send for Owned {}

impl Drop for Owned {
    fn drop(&mut self) {
        release(&self.0);
    }
}

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `take` found the pointer not null and the length sane; by the header the bytes
        // stay until they are released, and nobody writes to them.
        unsafe { std::slice::from_raw_parts(self.0.ptr, self.0.len) }
    }
}

/// Releases bytes that nobody wants. Call it once for what was handed over.
pub(crate) fn release(bytes: &value::Bytes) {
    // SAFETY: by the header `vt` is null or points to a table that stays.
    let Some(vt) = (unsafe { bytes.vt.as_ref() }) else { return };
    if let Some(release) = vt.release {
        // SAFETY: the bytes were handed over to us, and this is the one time that we release them.
        unsafe { release(bytes.owner) };
    }
}

/// Takes over what a plugin put out: a copy of what is short or only lent, else the bytes with
/// their owner.
pub(crate) fn take(bytes: &value::Bytes, what: &'static str) -> Result<Bytes, Garbage> {
    let owned = Owned(*bytes);
    if bytes.len == 0 {
        return Ok(Bytes::new());
    }
    if bytes.ptr.is_null() {
        return Err(Garbage::Null(what));
    }
    if bytes.len > MOST_BYTES {
        return Err(Garbage::Length(what, bytes.len));
    }
    // SAFETY: `vt` is null or points to a table that stays.
    let is_owned = unsafe { bytes.vt.as_ref() }.is_some_and(|vt| vt.release.is_some());
    if is_owned && bytes.len > CHEAP_TO_COPY {
        return Ok(Bytes::from_owner(owned));
    }
    Ok(Bytes::copy_from_slice(owned.as_ref()))
}

/// The same for bytes that may lie in a buffer that was lent for them: if they begin there, they
/// must end there.
pub(crate) fn take_within(
    bytes: &value::Bytes,
    (scratch, room): (*mut u8, usize),
    what: &'static str,
) -> Result<Bytes, Garbage> {
    let before = bytes.ptr.addr().checked_sub(scratch.addr());
    let left = before.and_then(|before| room.checked_sub(before)).filter(|left| *left > 0);
    if left.is_some_and(|left| bytes.len > left) {
        release(bytes);
        return Err(Garbage::Length(what, bytes.len));
    }
    take(bytes, what)
}

/// The bytes of a slice that is lent for the time of a call.
///
/// # Safety
///
/// A slice that is neither null nor absurdly long must point to as many bytes as it says, which
/// stay for `'a`.
pub(crate) unsafe fn slice<'a>(
    slice: &value::Slice,
    what: &'static str,
) -> Result<&'a [u8], Garbage> {
    match slice.len {
        0 => Ok(&[]),
        _ if slice.ptr.is_null() => Err(Garbage::Null(what)),
        length if length > MOST_BYTES => Err(Garbage::Length(what, length)),
        // SAFETY: the caller says so.
        length => Ok(unsafe { std::slice::from_raw_parts(slice.ptr, length) }),
    }
}

/// A text that is lent for the time of a call, cut at `most` bytes; empty if there is none.
///
/// # Safety
///
/// As [`slice`]; the pointer to the slice itself must be null or valid.
pub(crate) unsafe fn text<'a>(from: *const value::Slice, most: usize) -> Cow<'a, str> {
    // SAFETY: the caller says so.
    let Some(from) = (unsafe { from.as_ref() }) else { return Cow::Borrowed("") };
    // SAFETY: the caller says so.
    let bytes = unsafe { slice(from, "a text") }.unwrap_or_default();
    String::from_utf8_lossy(&bytes[..bytes.len().min(most)])
}

/// The elements of an array that is lent for the time of a call.
///
/// # Safety
///
/// A pointer that is not null must be to as many valid elements, which stay for `'a`.
pub(crate) unsafe fn array<'a, T>(first: *const T, count: usize) -> Result<&'a [T], Status> {
    match count {
        0 => Ok(&[]),
        _ if first.is_null() || !first.is_aligned() => Err(Status::BROKEN),
        _ if count > MOST_BYTES / size_of::<T>() => Err(Status::BROKEN),
        // SAFETY: the caller says so.
        _ => Ok(unsafe { std::slice::from_raw_parts(first, count) }),
    }
}

/// A pointer that may go to other threads, as the header says of what it is used for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable(pub(crate) *mut c_void);

// SAFETY: only used for instances and arguments that by the header may be used from any thread.
unsafe impl Send for Portable {}
// SAFETY: as above; nothing is done with the pointer itself.
unsafe impl Sync for Portable {}
