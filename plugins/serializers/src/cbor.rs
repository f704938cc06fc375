//! CBOR (RFC 8949): a standard of the IETF that many languages read, as compact and as exact as
//! MessagePack.
//!
//! Structs are written as maps from field names to values, so that fields can be added, removed
//! and reordered. Enum variants are written by name. Floating-point numbers take the shortest form
//! that keeps their value, integers beyond 64 bits are bignums (tags 2 and 3). Tags that stand
//! before a value that another program wrote are passed over.

mod shape;

use larder_core::erased_serde;
use larder_core::serializer::{Visit, formats};
use larder_core::{
    BuildContext, Descriptor, PluginConfig, Result, Serializer, async_trait, descriptor, register,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{MAX_DEPTH, not_read, not_written};

/// Options of the `cbor` serializer: there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CborConfig {}

#[async_trait]
impl PluginConfig for CborConfig {
    const KIND: &'static str = "cbor";
    const SUMMARY: &'static str = "CBOR, compact and exact, a standard of many languages";
    type Plugin = Cbor;

    async fn build(self, _context: &BuildContext) -> Result<Cbor> {
        Ok(Cbor::new())
    }
}

/// Writes and reads CBOR.
#[derive(Clone, Debug, Default)]
pub struct Cbor(());

impl Cbor {
    /// The serializer.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }
}

impl Serializer for Cbor {
    fn format(&self) -> u16 {
        formats::CBOR
    }

    fn serialize(&self, value: &dyn erased_serde::Serialize, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        cbor2::to_writer(value, &mut *out).map_err(|error| not_written(CborConfig::KIND, error))?;
        // What would be refused when it is read must not be stored.
        shape::check(&out[start..]).map_err(|error| not_written(CborConfig::KIND, error))
    }

    fn deserialize(&self, bytes: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        shape::check(bytes).map_err(|error| not_read(CborConfig::KIND, error))?;
        // The reader counts an enum and its content as two, so its limit is only the second one.
        let limit = 2 * MAX_DEPTH + 1;
        let mut cbor = cbor2::de::Deserializer::from_slice_with_recursion_limit(bytes, limit);
        visit(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut cbor))
            .map_err(|error| not_read(CborConfig::KIND, error))?;
        match cbor.offset() == bytes.len() {
            true => Ok(()),
            false => Err(not_read(CborConfig::KIND, shape::ShapeError::LeftOver)),
        }
    }
}

/// The plugin, for explicit registration.
pub const CBOR: Descriptor = descriptor!(serializer: CborConfig);

register!(serializer: CborConfig);
