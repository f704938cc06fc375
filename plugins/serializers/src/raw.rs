//! Bytes as they are: for values that are bytes already, such as pictures or what another library
//! has encoded.
//!
//! It takes `Vec<u8>`, `[u8; N]`, `Bytes` and all else that serde sees as bytes or as a sequence
//! of `u8`, and newtypes of these; what was written as one can be read as the other. Anything else
//! is refused when it is written. Text goes through `string`, other values through `messagepack`.
//!
//! The stored bytes are the value and nothing else, so other programs can read and write them. A
//! `Vec<u8>` costs a call for each byte, because serde hands it out byte by byte; for large values
//! use a type that serde sees as bytes, such as `bytes::Bytes` or those of `serde_bytes`.

use larder_core::erased_serde;
use larder_core::serializer::{Visit, formats};
use larder_core::{
    BuildContext, Descriptor, PluginConfig, Result, Serializer, async_trait, descriptor, register,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::Visitor;
use serde::de::value::{Error, SeqDeserializer};
use serde::forward_to_deserialize_any;
use serde::ser::{Error as _, SerializeSeq, SerializeTuple};

use crate::narrow::refuse;
use crate::{not_read, not_written};

/// Options of the `raw` serializer: there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RawConfig {}

#[async_trait]
impl PluginConfig for RawConfig {
    const KIND: &'static str = "raw";
    const SUMMARY: &'static str = "bytes as they are, for values that are bytes";
    type Plugin = Raw;

    async fn build(self, _context: &BuildContext) -> Result<Raw> {
        Ok(Raw::new())
    }
}

/// Writes and reads bytes.
#[derive(Clone, Debug, Default)]
pub struct Raw(());

impl Raw {
    /// The serializer.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }
}

impl Serializer for Raw {
    fn format(&self) -> u16 {
        formats::RAW
    }

    fn serialize(&self, value: &dyn erased_serde::Serialize, out: &mut Vec<u8>) -> Result<()> {
        erased_serde::serialize(value, BytesWriter { out }).map_err(|error| {
            not_written(RawConfig::KIND, error).hint(
                "the serializer `string` takes text, `json` and `messagepack` values of any type",
            )
        })
    }

    fn deserialize(&self, bytes: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        visit(&mut <dyn erased_serde::Deserializer<'_>>::erase(BytesReader { bytes }))
            .map_err(|error| not_read(RawConfig::KIND, error))
    }
}

/// Appends the bytes that a value is.
struct BytesWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl BytesWriter<'_> {
    fn refuse(self, kind: &'static str, _name: Option<&'static str>) -> Error {
        Error::custom(format_args!("expected bytes, found a value of the kind `{kind}`"))
    }
}

impl<'a> serde::Serializer for BytesWriter<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = BytesOneByOne<'a>;
    type SerializeTuple = BytesOneByOne<'a>;

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Error> {
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<BytesOneByOne<'a>, Error> {
        Ok(BytesOneByOne { out: self.out })
    }

    fn serialize_tuple(self, _len: usize) -> Result<BytesOneByOne<'a>, Error> {
        Ok(BytesOneByOne { out: self.out })
    }

    fn serialize_newtype_struct<T: ?Sized + serde::Serialize>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    refuse! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str none some unit tuple_struct
        map struct enum
    }
}

/// Appends the bytes of a sequence.
struct BytesOneByOne<'a> {
    out: &'a mut Vec<u8>,
}

impl SerializeSeq for BytesOneByOne<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: ?Sized + serde::Serialize>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(ByteWriter { out: self.out })
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

impl SerializeTuple for BytesOneByOne<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: ?Sized + serde::Serialize>(&mut self, value: &T) -> Result<(), Error> {
        SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

/// Appends one byte of a sequence.
struct ByteWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl ByteWriter<'_> {
    fn refuse(self, kind: &'static str, _name: Option<&'static str>) -> Error {
        Error::custom(format_args!(
            "expected a sequence of `u8`, found an element of the kind `{kind}`"
        ))
    }
}

impl serde::Serializer for ByteWriter<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_u8(self, byte: u8) -> Result<(), Error> {
        self.out.push(byte);
        Ok(())
    }

    refuse! {
        bool i8 i16 i32 i64 i128 u16 u32 u64 u128 f32 f64 char str bytes none some unit
        newtype_struct seq tuple tuple_struct map struct enum
    }
}

/// Hands out the bytes at once or one by one, as asked for.
struct BytesReader<'a> {
    bytes: &'a [u8],
}

impl<'de> BytesReader<'de> {
    fn one_by_one<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut bytes = SeqDeserializer::new(self.bytes.iter().copied());
        let value = visitor.visit_seq(&mut bytes)?;
        bytes.end()?;
        Ok(value)
    }
}

impl<'de> serde::Deserializer<'de> for BytesReader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_bytes(self.bytes)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.one_by_one(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.one_by_one(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct tuple_struct map struct enum identifier ignored_any
    }
}

/// The plugin, for explicit registration.
pub const RAW: Descriptor = descriptor!(serializer: RawConfig);

register!(serializer: RawConfig);
