//! Values as MessagePack, in which they go to a serializer elsewhere and come back.

use larder_core::serializer::Visit;
use larder_core::{CacheError, ErrorKind, Result, erased_serde, messagepack};

/// The MessagePack of a value for a serializer of this kind.
pub(crate) fn pack(value: &dyn erased_serde::Serialize, kind: &str) -> Result<Vec<u8>> {
    let mut packed = Vec::new();
    let mut writer = rmp_serde::Serializer::new(&mut packed).with_struct_map();
    let written = value.erased_serialize(&mut <dyn erased_serde::Serializer>::erase(&mut writer));
    let unfit = || {
        CacheError::new(ErrorKind::Serialization, "the value does not go into MessagePack")
            .with("serializer", kind)
    };
    written.map_err(|error| unfit().caused_by(error))?;
    // What would be refused when it is read must not be stored.
    messagepack::check(&packed).map_err(|error| unfit().caused_by(error))?;
    Ok(packed)
}

/// Reads a value that a serializer of this kind gave back.
pub(crate) fn unpack(packed: &[u8], kind: &str, visit: &mut Visit<'_>) -> Result<()> {
    let unreadable = |message: &'static str| {
        CacheError::new(ErrorKind::Serialization, message).with("serializer", kind)
    };
    messagepack::check(packed)
        .map_err(|error| unreadable("what the plugin decoded is no value").caused_by(error))?;
    let mut reader = rmp_serde::Deserializer::from_read_ref(packed);
    let read = visit(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut reader));
    read.map_err(|error| unreadable("what the plugin decoded is no such value").caused_by(error))
}
