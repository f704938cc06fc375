//! What serializers and wrappers have in common: bytes of the host to other bytes.

use std::ffi::c_void;

use larder_abi::call::Error;
use larder_abi::table::CodecContext;
use larder_abi::value::{Bytes, Output, Slice};
use larder_abi::{Status, read_extensible};
use larder_core::{CacheError, ErrorKind, Result, WrapContext};

use super::instance::{Here, guest};
use super::reply::{self, own};
use crate::borrow;
use crate::guard::guard;

/// The instance.
pub(super) type S = *mut c_void;

/// The arguments of `encode` and `decode`.
pub(super) type Pointers = (S, *const CodecContext, *const Slice, *mut Output, *mut Error);

/// Runs a function of an instance, bytes to bytes, and puts out what it answers.
///
/// # Safety
///
/// The pointers must be those of a call of the header to an instance of this type.
pub(super) unsafe fn code<T: ?Sized>(
    (this, context, input, out, error): Pointers,
    run: impl FnOnce(&T, &[u8], &WrapContext<'_>) -> Result<Vec<u8>>,
) -> Status {
    let coded = guard(|| {
        // SAFETY: the caller says so.
        let guest = unsafe { guest::<T>(this) };
        let _here = Here::new(guest.number);
        let broken = |what: &'static str| CacheError::new(ErrorKind::Plugin, what);
        // SAFETY: the caller says so.
        let context = unsafe { read_extensible(context) };
        let context = context.map_err(|_| broken("`larder_codec_context` cannot be read"))?;
        // SAFETY: the caller says so.
        let input = unsafe { input.as_ref() }.ok_or_else(|| broken("there is no input"))?;
        // SAFETY: the caller says so.
        let input = unsafe { borrow::slice(input, "the input") };
        let input = input.map_err(|_| broken("the input cannot be read"))?;
        // SAFETY: the caller says so.
        let cache = unsafe { borrow::text(&raw const context.cache, 1024) };
        // SAFETY: the caller says so.
        let key = unsafe { borrow::text(&raw const context.key, 4096) };
        // SAFETY: the caller says so.
        let inner = unsafe { borrow::array(context.inner, context.n_inner) };
        let format = u16::try_from(context.format).unwrap_or(0);
        let max_size = usize::try_from(context.max_size).unwrap_or(usize::MAX);
        let at = WrapContext::new(&cache, &key, format)
            .inner(inner.unwrap_or_default())
            .max_size(max_size);
        run(&*guest.plugin, input, &at)
    });
    match coded {
        Ok(Ok(bytes)) => {
            // SAFETY: the caller says so.
            unsafe { put(out, bytes) };
            Status::OK
        }
        // SAFETY: the caller says so.
        Ok(Err(failed)) => unsafe { reply::refuse(error, &failed) },
        // SAFETY: the caller says so.
        Err(panic) => unsafe { reply::panicked(error, panic) },
    }
}

/// Puts bytes out, into the buffer of the host if they fit.
///
/// # Safety
///
/// `out` must be that of a call of the header.
unsafe fn put(out: *mut Output, bytes: Vec<u8>) {
    // SAFETY: the caller says so.
    let out = unsafe { &mut *out };
    if bytes.len() > out.scratch_cap || out.scratch.is_null() {
        out.bytes = own(bytes);
        return;
    }
    // SAFETY: by the header the scratch has room for as many bytes as it says.
    unsafe { out.scratch.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    out.bytes = Bytes { ptr: out.scratch, len: bytes.len(), ..Bytes::EMPTY };
}
