//! Values to bytes and back, for a value type that is known to serde.

use larder_core::{CacheError, ErrorKind, Result, Serializer};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How values of one type go through any serializer. Plain function pointers, so that the cache
/// itself needs no serde bounds.
pub(crate) struct Codec<V> {
    encode: fn(&V, &dyn Serializer) -> Result<Vec<u8>>,
    decode: fn(&[u8], &dyn Serializer) -> Result<V>,
}

impl<V> Clone for Codec<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Codec<V> {}

impl<V: Serialize + DeserializeOwned> Codec<V> {
    pub(crate) fn new() -> Self {
        Self { encode: encode::<V>, decode: decode::<V> }
    }
}

impl<V> Codec<V> {
    pub(crate) fn encode(&self, value: &V, serializer: &dyn Serializer) -> Result<Vec<u8>> {
        (self.encode)(value, serializer)
            .map_err(|error| error.with("data_type", std::any::type_name::<V>()))
    }

    pub(crate) fn decode(&self, bytes: &[u8], serializer: &dyn Serializer) -> Result<V> {
        (self.decode)(bytes, serializer)
            .map_err(|error| error.with("data_type", std::any::type_name::<V>()))
    }
}

fn encode<V: Serialize>(value: &V, serializer: &dyn Serializer) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    serializer.serialize(value, &mut bytes)?;
    Ok(bytes)
}

fn decode<V: DeserializeOwned>(bytes: &[u8], serializer: &dyn Serializer) -> Result<V> {
    let mut value = None;
    serializer.deserialize(bytes, &mut |deserializer| {
        value = Some(larder_core::erased_serde::deserialize(deserializer)?);
        Ok(())
    })?;
    value.ok_or_else(|| {
        CacheError::new(ErrorKind::Plugin, "the serializer returned without a value")
    })
}
