//! [`Serializer`], values to bytes and back.

use std::fmt;
use std::sync::Arc;

use crate::error::Result;

/// The callback of [`Serializer::deserialize`]: reads the value out of the deserializer it is
/// given.
pub type Visit<'a> =
    dyn FnMut(&mut dyn erased_serde::Deserializer<'_>) -> Result<(), erased_serde::Error> + 'a;

/// Turns values into bytes and back.
///
/// # Behaviour
///
/// * What `serialize` wrote, `deserialize` reads back equal, in any later version of the plugin.
/// * `deserialize` of any other bytes is an error: no panic, no unbounded memory, no code that
///   runs because of what the bytes say.
/// * Both are deterministic and keep no state between calls.
pub trait Serializer: Send + Sync + fmt::Debug + 'static {
    /// The number that marks the format in every stored entry, so that entries stay readable
    /// after the config changed. Below `0x8000` for first-party formats (see the table in
    /// [`formats`]); third parties use [`format_of`] with their kind.
    fn format(&self) -> u16;

    /// Appends the value to `out`. On an error `out` may hold a part of it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Serialization`](crate::ErrorKind::Serialization) when the format cannot
    /// express the value.
    fn serialize(&self, value: &dyn erased_serde::Serialize, out: &mut Vec<u8>) -> Result<()>;

    /// Reads a value: calls `visit` at most once with a deserializer over `bytes`, and refuses
    /// bytes that are left over.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Serialization`](crate::ErrorKind::Serialization) when the bytes are not what
    /// this serializer writes, or `visit` fails.
    fn deserialize(&self, bytes: &[u8], visit: &mut Visit<'_>) -> Result<()>;
}

impl<S: Serializer + ?Sized> Serializer for Arc<S> {
    fn format(&self) -> u16 {
        (**self).format()
    }

    fn serialize(&self, value: &dyn erased_serde::Serialize, out: &mut Vec<u8>) -> Result<()> {
        (**self).serialize(value, out)
    }

    fn deserialize(&self, bytes: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        (**self).deserialize(bytes, visit)
    }
}

/// The formats of the first-party serializers. Numbers are never reused.
pub mod formats {
    /// JSON text.
    pub const JSON: u16 = 1;
    /// MessagePack, structs as maps.
    pub const MESSAGEPACK: u16 = 2;
    /// Python pickle.
    pub const PICKLE: u16 = 3;
    /// CBOR.
    pub const CBOR: u16 = 4;
    /// Postcard.
    pub const POSTCARD: u16 = 5;
    /// UTF-8 text as it is.
    pub const STRING: u16 = 6;
    /// A value together with the name of its type.
    pub const TYPED: u16 = 7;
    /// Bytes as they are.
    pub const RAW: u16 = 8;
}

/// The format number of a third-party serializer: `0x8000` plus 15 bits of the FNV-1a hash of its
/// kind.
#[must_use]
pub const fn format_of(kind: &str) -> u16 {
    let bytes = kind.as_bytes();
    let mut hash: u32 = 0x811c_9dc5;
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u32).wrapping_mul(0x0100_0193);
        index += 1;
    }
    0x8000 | ((hash ^ (hash >> 16)) & 0x7fff) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn third_party_formats_do_not_meet_ours() {
        assert!(format_of("acme.proto") >= 0x8000);
        assert_eq!(format_of("acme.proto"), format_of("acme.proto"));
        assert_ne!(format_of("acme.proto"), format_of("acme.avro"));
    }
}
