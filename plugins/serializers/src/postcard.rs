//! Postcard: the smallest, because nothing but the values is written.
//!
//! Neither names nor types are in the bytes; the type that reads must be the very type that wrote.
//! An application has to know what that means:
//!
//! * A field that is added, removed or moved, a variant that is not added at the end, another type
//!   of number: entries of before are misses, or, where the bytes happen to fit, other values than
//!   those that were written. Give the cache another name or `clear` it when the type changes.
//! * Types that find out from the bytes what they are (`serde_json::Value`, `#[serde(untagged)]`,
//!   `#[serde(tag = "…")]`, `#[serde(flatten)]`) and `#[serde(skip_serializing_if = "…")]` do not
//!   work: the first three are written and never read, so each look-up is a miss.
//! * A million of `()` in a sequence takes no bytes; such a sequence is refused beyond 256
//!   elements more than there are bytes, since stored bytes could claim any number of them.
//! * `Some` counts as a level of the nesting, as it takes a byte here.
//!
//! Use it where entries are many and small and do not outlive the program that wrote them, and
//! `messagepack` elsewhere.

mod bounds;
mod reading;
mod writing;

use larder_core::erased_serde;
use larder_core::serializer::{Visit, formats};
use larder_core::{
    BuildContext, Descriptor, PluginConfig, Result, Serializer, async_trait, descriptor, register,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{not_read, not_written};
use bounds::{Bounded, Bounds, BoundsError};

/// Options of the `postcard` serializer: there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PostcardConfig {}

#[async_trait]
impl PluginConfig for PostcardConfig {
    const KIND: &'static str = "postcard";
    const SUMMARY: &'static str =
        "values without names or types, smallest; the type must not change";
    type Plugin = Postcard;

    async fn build(self, _context: &BuildContext) -> Result<Postcard> {
        Ok(Postcard::new())
    }
}

/// Writes and reads Postcard.
#[derive(Clone, Debug, Default)]
pub struct Postcard(());

impl Postcard {
    /// The serializer.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }
}

impl Serializer for Postcard {
    fn format(&self) -> u16 {
        formats::POSTCARD
    }

    fn serialize(&self, value: &dyn erased_serde::Serialize, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        // How many bytes there will be is known at the end.
        let bounds = Bounds::new(u64::MAX);
        let flavor = ::postcard::ser_flavors::io::WriteFlavor::new(&mut *out);
        let mut writer = ::postcard::Serializer { output: flavor };
        erased_serde::serialize(value, Bounded { inner: &mut writer, bounds: &bounds }).map_err(
            |error| match bounds.exceeded() {
                Some(error) => not_written(PostcardConfig::KIND, error),
                None => not_written(PostcardConfig::KIND, error),
            },
        )?;
        if bounds.elements() > Bounds::most_elements(out.len() - start) {
            let cause = BoundsError::TooManyElements;
            return Err(not_written(PostcardConfig::KIND, cause));
        }
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        let bounds = Bounds::new(Bounds::most_elements(bytes.len()));
        let mut reader = ::postcard::Deserializer::from_bytes(bytes);
        let bounded = Bounded { inner: &mut reader, bounds: &bounds };
        visit(&mut <dyn erased_serde::Deserializer<'_>>::erase(bounded)).map_err(|error| {
            match bounds.exceeded() {
                Some(error) => not_read(PostcardConfig::KIND, error),
                None => not_read(PostcardConfig::KIND, error),
            }
        })?;
        match reader.finalize() {
            Ok([]) => Ok(()),
            Ok(_) => Err(not_read(PostcardConfig::KIND, BoundsError::LeftOver)),
            Err(error) => Err(not_read(PostcardConfig::KIND, error)),
        }
    }
}

/// The plugin, for explicit registration.
pub const POSTCARD: Descriptor = descriptor!(serializer: PostcardConfig);

register!(serializer: PostcardConfig);
