//! [`Buffer`], bytes of the host that a library may keep: counted, and freed by who is last.

use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use larder_abi::Status;
use larder_abi::value::{Bytes, BytesVt};

use super::or_broken;
use crate::borrow::MOST_BYTES;

static VT: BytesVt = BytesVt { retain: Some(retain), release: Some(release) };

/// The memory of a vector, without a claim that nobody else reads or writes it: a library fills it
/// through a raw pointer.
#[derive(Debug)]
struct Memory {
    first: *mut u8,
    len: usize,
    capacity: usize,
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: these are the parts of a vector that was not dropped, and nobody is left who has
        // a pointer into it.
        drop(unsafe { Vec::from_raw_parts(self.first, self.len, self.capacity) });
    }
}

// SAFETY: it is plain memory; who writes and who reads is settled by the rules of the header.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

/// Bytes of the host with one owner more, for as long as this lives.
#[derive(Clone, Debug)]
pub(crate) struct Buffer(Arc<Memory>);

impl Buffer {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let mut bytes = ManuallyDrop::new(bytes);
        let (len, capacity) = (bytes.len(), bytes.capacity());
        Self(Arc::new(Memory { first: bytes.as_mut_ptr(), len, capacity }))
    }

    /// What a library sees: it may keep the bytes with `retain`.
    pub(crate) fn lend(&self) -> Bytes {
        let owner = Arc::as_ptr(&self.0).cast_mut().cast::<c_void>();
        Bytes { ptr: self.0.first, len: self.0.len, owner, vt: &raw const VT }
    }

    /// Hands one ownership over.
    pub(crate) fn give(self) -> Bytes {
        let bytes = self.lend();
        std::mem::forget(self.0);
        bytes
    }
}

unsafe extern "C" fn retain(owner: *mut c_void) {
    // SAFETY: `owner` is one that `lend` put out, and whoever retains has one already.
    unsafe { Arc::increment_strong_count(owner.cast::<Memory>().cast_const()) };
}

unsafe extern "C" fn release(owner: *mut c_void) {
    // SAFETY: `owner` is one that `lend` put out, and this gives one ownership back.
    unsafe { Arc::decrement_strong_count(owner.cast::<Memory>().cast_const()) };
}

pub(super) unsafe extern "C" fn bytes_new(
    len: usize,
    data: *mut *mut u8,
    out: *mut Bytes,
) -> Status {
    or_broken(|| {
        if data.is_null() || out.is_null() {
            return Status::BROKEN;
        }
        let mut bytes = Vec::new();
        if len > MOST_BYTES || bytes.try_reserve_exact(len).is_err() {
            return Status::CAPACITY;
        }
        bytes.resize(len, 0);
        let given = Buffer::new(bytes).give();
        // SAFETY: not null, and by the header a place for a pointer.
        unsafe { data.write(given.ptr.cast_mut()) };
        // SAFETY: not null, and by the header a place for the bytes.
        unsafe { out.write(given) };
        Status::OK
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::borrow;

    #[test]
    fn a_buffer_is_filled_kept_and_freed_once() {
        let (mut data, mut out) = (std::ptr::null_mut(), Bytes::EMPTY);
        // SAFETY: both are places of ours.
        let status = unsafe { bytes_new(3, &raw mut data, &raw mut out) };
        assert_eq!(status, Status::OK);
        // SAFETY: three bytes were asked for.
        unsafe { data.copy_from(b"abc".as_ptr(), 3) };
        // SAFETY: one more owner, which the first `take` gives back.
        unsafe { retain(out.owner) };
        assert_eq!(borrow::take(&out, "it").unwrap(), "abc");
        assert_eq!(borrow::take(&out, "it").unwrap(), "abc", "the other owner still has it");
    }

    #[test]
    fn what_cannot_be_had_is_refused() {
        let (mut data, mut out) = (std::ptr::null_mut(), Bytes::EMPTY);
        // SAFETY: both are places of ours.
        let status = unsafe { bytes_new(usize::MAX, &raw mut data, &raw mut out) };
        assert_eq!(status, Status::CAPACITY);
        // SAFETY: null is what is tested.
        let status = unsafe { bytes_new(1, std::ptr::null_mut(), &raw mut out) };
        assert_eq!(status, Status::BROKEN);
    }

    #[test]
    fn a_lent_buffer_outlives_its_lender_where_it_is_retained() {
        let buffer = Buffer::new(vec![7; 5000]);
        let lent = buffer.lend();
        // SAFETY: `buffer` still owns it.
        unsafe { retain(lent.owner) };
        drop(buffer);
        let kept = borrow::take(&lent, "it").unwrap();
        assert_eq!(kept, vec![7; 5000]);
    }
}
