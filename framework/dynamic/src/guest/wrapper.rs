//! A [`Wrapper`] as a `larder_codec_vt`.

use larder_abi::Status;
use larder_abi::call::{Create, Error};
use larder_abi::table::{CodecContext, CodecVt, codec};
use larder_abi::value::{Output, Slice};
use larder_core::plugin::Factory;
use larder_core::{CacheError, ErrorKind, Role, Wrapper};

use super::codec::{S, code};
use super::instance::{create, destroy};
use super::part::Exported;
use super::runtime::runtime;

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
        destroy: Some(destroy::<Plugin>),
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

unsafe extern "C" fn encode(
    this: S,
    context: *const CodecContext,
    input: *const Slice,
    out: *mut Output,
    error: *mut Error,
) -> Status {
    // SAFETY: the host keeps the rules of the header.
    unsafe {
        code((this, context, input, out, error), |wrapper: &Plugin, bytes, at| {
            wrapper.wrap(bytes, at)
        })
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
        code((this, context, input, out, error), |wrapper: &Plugin, bytes, at| {
            wrapper.undo(bytes, at)
        })
    }
}
