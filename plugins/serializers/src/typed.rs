//! The name of the type, then the value in MessagePack: an entry is read as the type that wrote it
//! or not at all.
//!
//! Without names a struct that happens to have the same fields reads the entries of another one.
//! That is what one wants as a type grows; where types come and go in one cache, as in plugins or
//! during a migration, it may be a mistake that nobody sees. Here it is a miss.
//!
//! The name is what serde knows: that of the struct, enum or newtype without its module and type
//! parameters (`User`, or the name of `#[serde(rename = "…")]`), else the kind of the value
//! (`u64`, `str`, `seq`, `map`, `tuple`, …). So:
//!
//! * Moving a type to another module or crate changes nothing; renaming it makes its entries
//!   misses, unless `serde(rename)` keeps the old name.
//! * `Page<User>` and `Page<Order>` are both `Page`; all vectors are `seq`. Wrap them in a newtype
//!   to tell them apart.
//! * `Some` has the name of what is inside, and `None` is `none`, which only an `Option` reads.
//! * Types that find out from the bytes what they are (`serde_json::Value`, `#[serde(untagged)]`,
//!   `#[serde(tag = "…")]`) do not tell serde a name when they are read, and read everything.
//!
//! The bytes are a MessagePack array of the name and the value, with the properties of
//! `messagepack`.

mod name;
mod named;

use larder_core::erased_serde;
use larder_core::serializer::{Visit, formats};
use larder_core::{
    BuildContext, Descriptor, PluginConfig, Result, Serializer, async_trait, descriptor, register,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{messagepack, not_read, not_written};
use named::Named;

/// Options of the `typed` serializer: there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TypedConfig {}

#[async_trait]
impl PluginConfig for TypedConfig {
    const KIND: &'static str = "typed";
    const SUMMARY: &'static str = "MessagePack with the name of the type, which is checked";
    type Plugin = Typed;

    async fn build(self, _context: &BuildContext) -> Result<Typed> {
        Ok(Typed::new())
    }
}

/// Writes and reads MessagePack with the name of the type in front.
#[derive(Clone, Debug, Default)]
pub struct Typed(());

impl Typed {
    /// The serializer.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }
}

impl Serializer for Typed {
    fn format(&self) -> u16 {
        formats::TYPED
    }

    fn serialize(&self, value: &dyn erased_serde::Serialize, out: &mut Vec<u8>) -> Result<()> {
        name::write(name::of(value), out).map_err(|error| not_written(TypedConfig::KIND, error))?;
        messagepack::write(value, out, TypedConfig::KIND)
    }

    fn deserialize(&self, bytes: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        let (name, value) =
            name::read(bytes).map_err(|error| not_read(TypedConfig::KIND, error))?;
        let mut visit_named = |deserializer: &mut dyn erased_serde::Deserializer<'_>| {
            let named = Named { inner: deserializer, name };
            visit(&mut <dyn erased_serde::Deserializer<'_>>::erase(named))
        };
        messagepack::read(value, &mut visit_named, TypedConfig::KIND)
    }
}

/// The plugin, for explicit registration.
pub const TYPED: Descriptor = descriptor!(serializer: TypedConfig);

register!(serializer: TypedConfig);
