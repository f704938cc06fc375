//! [`ProcessCodec`], a serializer or a wrapper in another process as a [`Serializer`] or a
//! [`Wrapper`].
//!
//! Their traits answer at once, so the thread of the caller waits for the answer, and not for
//! long: a process that does not give one in time is killed. What comes back is not believed.

use std::sync::Arc;

use larder_core::serializer::{Visit, format_of};
use larder_core::wrapper::number_of;
use larder_core::{
    Bytes, CacheError, ErrorKind, Result, Serializer, WrapContext, Wrapper, erased_serde,
};

use super::instance::Instance;
use super::wire::{Call, Described, Place, Reply};
use crate::adapt::codec::value;

/// A serializer or a wrapper in another process.
#[derive(Debug)]
pub(super) struct ProcessCodec {
    instance: Arc<Instance>,
    described: &'static Described,
}

impl ProcessCodec {
    pub(super) const fn new(instance: Arc<Instance>, described: &'static Described) -> Self {
        Self { instance, described }
    }

    /// Bytes to bytes.
    fn code(&self, operation: &'static str, call: Call) -> Result<Bytes> {
        match self.instance.call_here(operation, call)? {
            Reply::Bytes(bytes) => Ok(bytes.0),
            _ => Err(self.instance.odd(operation)),
        }
    }
}

impl Serializer for ProcessCodec {
    fn format(&self) -> u16 {
        let Described { number, kind, .. } = self.described;
        if *number == 0 { format_of(kind) } else { *number }
    }

    fn serialize(&self, value: &dyn erased_serde::Serialize, out: &mut Vec<u8>) -> Result<()> {
        let value = value::pack(value, &self.described.kind)?.into();
        out.extend_from_slice(&self.code("serialize", Call::Encode { value })?);
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        let bytes = bytes.to_vec().into();
        let packed = self.code("deserialize", Call::Decode { bytes })?;
        value::unpack(&packed, &self.described.kind, visit)
    }
}

impl Wrapper for ProcessCodec {
    fn number(&self) -> u16 {
        let Described { number, kind, .. } = self.described;
        if *number == 0 { number_of(kind) } else { *number }
    }

    fn wrap(&self, bytes: &[u8], context: &WrapContext<'_>) -> Result<Vec<u8>> {
        let call = Call::Wrap { bytes: bytes.to_vec().into(), place: place(context) };
        Ok(self.code("wrap", call)?.into())
    }

    fn undo(&self, bytes: &[u8], context: &WrapContext<'_>) -> Result<Vec<u8>> {
        let call = Call::Undo { bytes: bytes.to_vec().into(), place: place(context) };
        let undone = self.code("undo", call)?;
        if undone.len() > context.max_size {
            return Err(CacheError::new(ErrorKind::Serialization, "the value is too large undone")
                .with("wrapper", &self.described.kind)
                .with("max_size", context.max_size));
        }
        Ok(undone.into())
    }
}

fn place(context: &WrapContext<'_>) -> Place {
    Place {
        cache: context.cache.to_owned(),
        key: context.key.to_owned(),
        format: context.format,
        inner: context.inner.to_vec(),
        max_size: context.max_size as u64,
    }
}
