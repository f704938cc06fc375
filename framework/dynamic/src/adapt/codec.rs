//! [`ForeignCodec`], a `larder_codec_vt` as a [`Serializer`] or a [`Wrapper`].
//!
//! A serializer gets values as MessagePack and gives them back so, and the format of a struct in
//! Rust never crosses. A codec keeps no state between calls, so one that panicked is called again.

use std::ffi::c_void;

use larder_abi::call::Error;
use larder_abi::table::{CodeFn, CodecContext, CodecVt};
use larder_abi::value::{Bytes, Output, Slice};
use larder_abi::{Status, UNLIMITED};
use larder_core::serializer::{Visit, format_of};
use larder_core::wrapper::number_of;
use larder_core::{CacheError, ErrorKind, Result, Serializer, WrapContext, Wrapper};

use super::failure::{self, Failure};
use super::instance::Instance;
use super::output::Scratch;
use crate::borrow;
use crate::host::{lend, log};

pub(crate) mod value;

/// Numbers below belong to the codecs that come with Larder.
const FIRST_NUMBER: u32 = 0x8000;

/// A codec in a library.
#[derive(Debug)]
pub(crate) struct ForeignCodec {
    table: &'static CodecVt,
    instance: Instance,
    kind: &'static str,
}

impl ForeignCodec {
    pub(crate) fn new(table: &'static CodecVt, instance: Instance, kind: &'static str) -> Self {
        Self { table, instance, kind }
    }

    /// Its own number, if it has one that it may have.
    fn own_number(&self) -> Option<u16> {
        let number = self.table.number;
        (number >= FIRST_NUMBER).then(|| u16::try_from(number).ok()).flatten()
    }

    /// Bytes to bytes; at most `most` may come out.
    fn code(
        &self,
        operation: &'static str,
        function: Option<CodeFn>,
        input: &[u8],
        context: &CodecContext,
    ) -> Result<bytes::Bytes> {
        log::refresh();
        let mut room = Scratch::default();
        let (scratch, scratch_cap) = room.open();
        let mut out = Output { scratch, scratch_cap, bytes: Bytes::EMPTY };
        let mut error = failure::blank();
        let this: *mut c_void = self.instance.this();
        let (input, error_at): (_, *mut Error) = (Slice::new(input), &raw mut error);
        let status = function.map_or(Status::UNSUPPORTED, |function| {
            // SAFETY: the table was checked when it was loaded; what is passed lives during the
            // call.
            unsafe { function(this, &raw const *context, &raw const input, &raw mut out, error_at) }
        });
        // SAFETY: the error is ours, and read for the first time.
        let failure = unsafe { Failure::taken(status, &raw const error) };
        // Whatever the status is: what the output owns would be lost otherwise.
        let taken = borrow::take_within(&out.bytes, (scratch, scratch_cap), "the output");
        let failed = |failure: Failure| failure.into_error(operation, self.instance.identity());
        if status != Status::OK {
            let no_answer = || Failure::ours(Status::BROKEN, format!("`{status}` is no answer"));
            return Err(failed(if status.is_error() { failure } else { no_answer() }));
        }
        taken.map_err(|garbage| failed(Failure::ours(Status::BROKEN, garbage.to_string())))
    }

    fn context(&self, context: &WrapContext<'_>) -> CodecContext {
        CodecContext {
            struct_size: size_of::<CodecContext>() as u32,
            format: context.format.into(),
            cache: lend(context.cache),
            key: lend(context.key),
            inner: context.inner.as_ptr(),
            n_inner: context.inner.len(),
            max_size: context.max_size as u64,
        }
    }

    /// The context of a serializer, which does not know where its bytes belong.
    fn anywhere(&self) -> CodecContext {
        let nowhere = WrapContext::new("", "", self.format());
        // More would be refused when it is taken over.
        CodecContext { max_size: borrow::MOST_BYTES as u64, ..self.context(&nowhere) }
    }
}

impl Serializer for ForeignCodec {
    fn format(&self) -> u16 {
        self.own_number().unwrap_or_else(|| format_of(self.kind))
    }

    fn serialize(
        &self,
        value: &dyn larder_core::erased_serde::Serialize,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let packed = value::pack(value, self.kind)?;
        out.extend_from_slice(&self.code(
            "serialize",
            self.table.encode,
            &packed,
            &self.anywhere(),
        )?);
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        let packed = self.code("deserialize", self.table.decode, bytes, &self.anywhere())?;
        value::unpack(&packed, self.kind, visit)
    }
}

impl Wrapper for ForeignCodec {
    fn number(&self) -> u16 {
        self.own_number().unwrap_or_else(|| number_of(self.kind))
    }

    fn wrap(&self, bytes: &[u8], context: &WrapContext<'_>) -> Result<Vec<u8>> {
        let context = CodecContext { max_size: UNLIMITED, ..self.context(context) };
        Ok(self.code("wrap", self.table.encode, bytes, &context)?.into())
    }

    fn undo(&self, bytes: &[u8], context: &WrapContext<'_>) -> Result<Vec<u8>> {
        let undone = self.code("undo", self.table.decode, bytes, &self.context(context))?;
        if undone.len() > context.max_size {
            return Err(CacheError::new(ErrorKind::Serialization, "the value is too large undone")
                .with("wrapper", self.kind)
                .with("max_size", context.max_size));
        }
        Ok(undone.into())
    }
}
