//! A [`Wrapper`] as a `larder_codec_vt`.

use std::ffi::c_void;

use larder_abi::call::{Create, Error};
use larder_abi::table::{CodecContext, CodecVt, codec};
use larder_abi::value::{Bytes, Output, Slice};
use larder_abi::{Status, read_extensible};
use larder_core::plugin::Factory;
use larder_core::{CacheError, ErrorKind, Result, Role, WrapContext, Wrapper};

use super::instance::{Here, create, destroy, guest};
use super::part::Exported;
use super::reply::{self, own};
use super::runtime::runtime;
use crate::borrow;
use crate::guard::guard;

type S = *mut c_void;
type Plugin = dyn Wrapper;

/// The table of the wrapper that a config type builds.
pub(super) const fn table<X: Exported>(role: Role) -> CodecVt {
    CodecVt {
        struct_size: size_of::<CodecVt>() as u32,
        model: match role {
            Role::Compress => codec::COMPRESS,
            Role::Encrypt => codec::ENCRYPT,
            Role::Encode => codec::ENCODE,
        },
        number: 0,
        reserved: 0,
        create: Some(make::<X>),
        destroy: Some(end),
        encode: Some(encode),
        decode: Some(decode),
    }
}

unsafe extern "C" fn make<X: Exported>(
    args: *const Create,
    this: *mut S,
    error: *mut Error,
) -> Status {
    // SAFETY: the host keeps the rules of the header.
    unsafe {
        create::<Plugin>((args, this, error), |order| {
            let Factory::Wrapper(_, factory) = X::DESCRIPTOR.factory else {
                return Err(CacheError::new(ErrorKind::Plugin, "it is no wrapper"));
            };
            runtime().block_on(factory.build(order.options.clone(), &order.context))
        })
    }
}

unsafe extern "C" fn end(this: S) {
    // SAFETY: the host keeps the rules of the header.
    unsafe { destroy::<Plugin>(this) };
}

unsafe extern "C" fn encode(
    this: S,
    context: *const CodecContext,
    input: *const Slice,
    out: *mut Output,
    error: *mut Error,
) -> Status {
    // SAFETY: the host keeps the rules of the header.
    unsafe {
        code((this, context, input, out, error), |wrapper, bytes, at| wrapper.wrap(bytes, at))
    }
}

unsafe extern "C" fn decode(
    this: S,
    context: *const CodecContext,
    input: *const Slice,
    out: *mut Output,
    error: *mut Error,
) -> Status {
    // SAFETY: the host keeps the rules of the header.
    unsafe {
        code((this, context, input, out, error), |wrapper, bytes, at| wrapper.undo(bytes, at))
    }
}

type Pointers = (S, *const CodecContext, *const Slice, *mut Output, *mut Error);

/// Bytes to bytes.
///
/// # Safety
///
/// The pointers must be those of a call of the header.
unsafe fn code(
    (this, context, input, out, error): Pointers,
    run: impl FnOnce(&Plugin, &[u8], &WrapContext<'_>) -> Result<Vec<u8>>,
) -> Status {
    let coded = guard(|| {
        // SAFETY: the caller says so.
        let guest = unsafe { guest::<Plugin>(this) };
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
