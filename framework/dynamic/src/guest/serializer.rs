//! A [`Serializer`] as a `larder_codec_vt`.
//!
//! A value comes as MessagePack, without its type, and leaves so. The serializer sees what
//! MessagePack can tell apart: numbers, texts, bytes, lists, maps. One whose format does not say
//! what is in it, and that would have to be told the type, cannot read its bytes here.

use larder_abi::Status;
use larder_abi::call::{Create, Error};
use larder_abi::table::{CodecContext, CodecVt, codec};
use larder_abi::value::{Output, Slice};
use larder_core::plugin::Factory;
use larder_core::serializer::format_of;
use larder_core::{CacheError, ErrorKind, Serializer};

use super::codec::{S, code};
use super::instance::{create, destroy};
use super::part::Exported;
use super::runtime::runtime;
use super::transcode;

type Plugin = dyn Serializer;

/// The table of the serializer that a config type builds.
pub(super) const fn table<X: Exported>() -> CodecVt {
    CodecVt {
        struct_size: size_of::<CodecVt>() as u32,
        model: codec::SERIALIZER,
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
            let Factory::Serializer(factory) = X::DESCRIPTOR.factory else {
                return Err(CacheError::new(ErrorKind::Plugin, "it is no serializer"));
            };
            let built = runtime().block_on(factory.build(order.options.clone(), &order.context))?;
            // The host marks entries with the number of the kind. With another one, entries of a
            // program that has the plugin linked in could not be read by one that loads it.
            if built.format() == format_of(X::DESCRIPTOR.kind) {
                return Ok(built);
            }
            let wrong = CacheError::new(ErrorKind::Plugin, "its format is not that of its kind");
            Err(wrong
                .with("format", built.format())
                .hint("`format` must return `format_of(KIND)` in a library"))
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
        code((this, context, input, out, error), |serializer: &Plugin, packed, _| {
            transcode::encode(serializer, packed)
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
        code((this, context, input, out, error), |serializer: &Plugin, bytes, at| {
            transcode::decode(serializer, bytes, at.max_size)
        })
    }
}
