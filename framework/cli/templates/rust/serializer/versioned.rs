//! `acme.versioned`: MessagePack behind the version of your types, so that entries of another
//! version are misses. Put what you came for in its place.

use larder_core::serializer::{Visit, format_of};
use larder_core::{
    BuildContext, CacheError, ErrorKind, PluginConfig, Result, Serializer, async_trait,
    erased_serde, messagepack,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Options of `acme.versioned`. These comments are what an editor shows.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct VersionedConfig {
    /// The version of your types: raise it when what they mean changes. Default 1.
    pub version: u32,
}

impl Default for VersionedConfig {
    fn default() -> Self {
        Self { version: 1 }
    }
}

#[async_trait]
impl PluginConfig for VersionedConfig {
    const KIND: &'static str = "acme.versioned";
    const SUMMARY: &'static str = "MessagePack behind the version of your types";
    type Plugin = Versioned;

    async fn build(self, _: &BuildContext) -> Result<Versioned> {
        Ok(Versioned { version: self.version.to_le_bytes() })
    }
}

/// Writes and reads values with a version in front.
#[derive(Debug)]
pub struct Versioned {
    version: [u8; 4],
}

impl Serializer for Versioned {
    fn format(&self) -> u16 {
        format_of(VersionedConfig::KIND)
    }

    fn serialize(&self, value: &dyn erased_serde::Serialize, out: &mut Vec<u8>) -> Result<()> {
        let mut packed = Vec::new();
        let mut writer = rmp_serde::Serializer::new(&mut packed).with_struct_map();
        let unfit = || failed("the value cannot be serialized");
        erased_serde::serialize(value, &mut writer).map_err(|error| unfit().caused_by(error))?;
        // What would be refused when it is read must not be stored.
        messagepack::check(&packed).map_err(|error| unfit().caused_by(error))?;
        out.extend_from_slice(&self.version);
        out.extend_from_slice(&packed);
        Ok(())
    }

    /// Whatever the bytes are: an error, and neither a panic nor a great deal of memory.
    fn deserialize(&self, bytes: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        let Some(packed) = bytes.strip_prefix(&self.version) else {
            return Err(failed("the bytes are of another version"));
        };
        let unfit = || failed("the bytes cannot be read as this type");
        messagepack::check(packed).map_err(|error| unfit().caused_by(error))?;
        let mut reader = rmp_serde::Deserializer::from_read_ref(packed);
        visit(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut reader))
            .map_err(|error| unfit().caused_by(error))
    }
}

fn failed(message: &'static str) -> CacheError {
    CacheError::new(ErrorKind::Serialization, message).with("serializer", VersionedConfig::KIND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn entries_of_another_version_are_refused() -> Result<()> {
        let context = BuildContext::new("tested");
        let old = VersionedConfig { version: 1 }.build(&context).await?;
        let new = VersionedConfig { version: 2 }.build(&context).await?;
        let mut bytes = Vec::new();
        old.serialize(&"value", &mut bytes)?;
        let read = |serializer: &Versioned| {
            serializer.deserialize(&bytes, &mut |value| {
                erased_serde::deserialize::<String>(value).map(drop)
            })
        };
        assert!(read(&old).is_ok() && read(&new).is_err());
        Ok(())
    }
}
