//! MessagePack: compact, quick, and exact for every number, byte string and key.
//!
//! Structs are written as maps from field names to values, not as arrays, so that fields can be
//! added, removed and reordered. Enum variants are written by name. 128-bit integers are written
//! as 16 bytes.

use larder_core::erased_serde;
use larder_core::serializer::{Visit, formats};
use larder_core::{
    BuildContext, Descriptor, PluginConfig, Result, Serializer, async_trait, descriptor,
    messagepack, register,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{not_read, not_written};

/// Options of the `messagepack` serializer: there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MessagePackConfig {}

#[async_trait]
impl PluginConfig for MessagePackConfig {
    const KIND: &'static str = "messagepack";
    const SUMMARY: &'static str = "MessagePack, compact and exact, structs by field name";
    type Plugin = MessagePack;

    async fn build(self, _context: &BuildContext) -> Result<MessagePack> {
        Ok(MessagePack::new())
    }
}

/// Writes and reads MessagePack.
#[derive(Clone, Debug, Default)]
pub struct MessagePack(());

impl MessagePack {
    /// The serializer.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }
}

impl Serializer for MessagePack {
    fn format(&self) -> u16 {
        formats::MESSAGEPACK
    }

    fn serialize(&self, value: &dyn erased_serde::Serialize, out: &mut Vec<u8>) -> Result<()> {
        write(value, out, MessagePackConfig::KIND)
    }

    fn deserialize(&self, bytes: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        read(bytes, visit, MessagePackConfig::KIND)
    }
}

/// Appends the value; `kind` is the serializer that an error names.
pub(crate) fn write(
    value: &dyn erased_serde::Serialize,
    out: &mut Vec<u8>,
    kind: &'static str,
) -> Result<()> {
    let start = out.len();
    let mut packer = rmp_serde::Serializer::new(&mut *out).with_struct_map();
    erased_serde::serialize(value, &mut packer).map_err(|error| not_written(kind, error))?;
    // What would be refused when it is read must not be stored.
    messagepack::check(&out[start..]).map_err(|error| not_written(kind, error))
}

/// Reads exactly one value; `kind` is the serializer that an error names.
pub(crate) fn read(bytes: &[u8], visit: &mut Visit<'_>, kind: &'static str) -> Result<()> {
    messagepack::check(bytes).map_err(|error| not_read(kind, error))?;
    let mut unpacker = rmp_serde::Deserializer::from_read_ref(bytes);
    visit(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut unpacker))
        .map_err(|error| not_read(kind, error))
}

/// The plugin, for explicit registration.
pub const MESSAGEPACK: Descriptor = descriptor!(serializer: MessagePackConfig);

register!(serializer: MessagePackConfig);
