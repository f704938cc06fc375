//! Values between MessagePack and a serializer, without the type that they have in the program.
//!
//! What is read is written at once, part by part: nothing is kept in between.

use std::cell::Cell;
use std::fmt;

use larder_core::messagepack::MAX_DEPTH;
use larder_core::{CacheError, ErrorKind, Result};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{self, Serialize, SerializeMap, SerializeSeq, Serializer};

/// What the serializer makes of a value, which comes as MessagePack.
///
/// # Errors
///
/// Those of the serializer.
pub fn encode(serializer: &dyn larder_core::Serializer, value: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    serializer.serialize(&Packed(value), &mut bytes)?;
    Ok(bytes)
}

/// The value that the serializer makes of bytes, as at most `most` bytes of MessagePack.
///
/// # Errors
///
/// Those of the serializer; and when it reads nothing.
pub fn decode(
    serializer: &dyn larder_core::Serializer,
    bytes: &[u8],
    most: usize,
) -> Result<Vec<u8>> {
    let mut packed = None;
    serializer.deserialize(bytes, &mut |reader| {
        packed = Some(pack(reader, most)?);
        Ok(())
    })?;
    packed.ok_or_else(|| {
        CacheError::new(ErrorKind::Plugin, "the serializer returned without a value")
    })
}

/// One value as MessagePack, which goes into any serializer. The host has checked its shape.
struct Packed<'a>(&'a [u8]);

impl Serialize for Packed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut reader = rmp_serde::Deserializer::from_read_ref(self.0);
        let left = Cell::new(usize::MAX);
        Once::new(&mut reader, Room { depth: 0, left: &left }).serialize(serializer)
    }
}

/// Reads a value as MessagePack, at most `most` bytes.
///
/// # Errors
///
/// When it cannot be read, is nested too deep, or is longer.
fn pack<'de, D: Deserializer<'de>>(reader: D, most: usize) -> Result<Vec<u8>, D::Error> {
    let left = Cell::new(most);
    let mut bytes = Vec::new();
    let mut writer = rmp_serde::Serializer::new(&mut bytes);
    let value = Once::new(reader, Room { depth: 0, left: &left });
    value.serialize(&mut writer).map_err(de::Error::custom)?;
    Ok(bytes)
}

/// How much more a value may hold. It is counted here, because the writer keeps the elements of a
/// list whose length it is not told, and a few stored bytes could stand for any number of them.
#[derive(Clone, Copy)]
struct Room<'a> {
    depth: usize,
    /// In bytes; every value takes one at least.
    left: &'a Cell<usize>,
}

impl Room<'_> {
    fn take<E: de::Error>(self, bytes: usize) -> Result<(), E> {
        let left = self.left.get().checked_sub(bytes.max(1));
        self.left.set(left.ok_or_else(|| E::custom("the value is too large"))?);
        Ok(())
    }

    /// The same for the parts of the value.
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            let message = format_args!("the value is nested deeper than `{MAX_DEPTH}` levels");
            return Err(E::custom(message));
        }
        self.take(1)?;
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

/// A value that is read when it is written.
struct Once<'a, D> {
    reader: Cell<Option<D>>,
    room: Room<'a>,
}

impl<'a, D> Once<'a, D> {
    const fn new(reader: D, room: Room<'a>) -> Self {
        Self { reader: Cell::new(Some(reader)), room }
    }
}

impl<'de, D: Deserializer<'de>> Serialize for Once<'_, D> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let twice = || ser::Error::custom("a part of the value can be written only once");
        let reader = self.reader.take().ok_or_else(twice)?;
        let through = Through { serializer, room: self.room };
        reader.deserialize_any(through).map_err(ser::Error::custom)
    }
}

/// Where the parts of a value go.
macro_rules! places {
    ($($(#[$doc:meta])* $name:ident: $of:ident, $serialize:ident;)*) => {$(
        $(#[$doc])*
        struct $name<'a, W>(&'a mut W, Room<'a>);

        impl<'de, W: $of> DeserializeSeed<'de> for $name<'_, W> {
            type Value = ();

            fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
                self.0.$serialize(&Once::new(reader, self.1)).map_err(de::Error::custom)
            }
        }
    )*};
}

places! {
    /// The next element of a list.
    Element: SerializeSeq, serialize_element;
    /// The next key of a map.
    Key: SerializeMap, serialize_key;
    /// What belongs to the key that was written last.
    Under: SerializeMap, serialize_value;
}

/// Writes what it is shown.
struct Through<'a, S> {
    serializer: S,
    room: Room<'a>,
}

/// Values without parts.
macro_rules! scalars {
    ($($visit:ident($type:ty) => $serialize:ident;)*) => {$(
        fn $visit<E: de::Error>(self, value: $type) -> Result<S::Ok, E> {
            self.room.take(1)?;
            self.serializer.$serialize(value).map_err(E::custom)
        }
    )*};
}

impl<'de, S: Serializer> Visitor<'de> for Through<'_, S> {
    type Value = S::Ok;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    scalars! {
        visit_bool(bool) => serialize_bool;
        visit_i8(i8) => serialize_i8;
        visit_i16(i16) => serialize_i16;
        visit_i32(i32) => serialize_i32;
        visit_i64(i64) => serialize_i64;
        visit_i128(i128) => serialize_i128;
        visit_u8(u8) => serialize_u8;
        visit_u16(u16) => serialize_u16;
        visit_u32(u32) => serialize_u32;
        visit_u64(u64) => serialize_u64;
        visit_u128(u128) => serialize_u128;
        visit_f32(f32) => serialize_f32;
        visit_f64(f64) => serialize_f64;
        visit_char(char) => serialize_char;
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<S::Ok, E> {
        self.room.take(text.len())?;
        self.serializer.serialize_str(text).map_err(E::custom)
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<S::Ok, E> {
        self.room.take(bytes.len())?;
        self.serializer.serialize_bytes(bytes).map_err(E::custom)
    }

    fn visit_unit<E: de::Error>(self) -> Result<S::Ok, E> {
        self.room.take(1)?;
        self.serializer.serialize_unit().map_err(E::custom)
    }

    fn visit_none<E: de::Error>(self) -> Result<S::Ok, E> {
        self.room.take(1)?;
        self.serializer.serialize_none().map_err(E::custom)
    }

    fn visit_some<D: Deserializer<'de>>(self, reader: D) -> Result<S::Ok, D::Error> {
        let room = self.room.deeper()?;
        self.serializer.serialize_some(&Once::new(reader, room)).map_err(de::Error::custom)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, reader: D) -> Result<S::Ok, D::Error> {
        let room = self.room.deeper()?;
        Once::new(reader, room).serialize(self.serializer).map_err(de::Error::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<S::Ok, A::Error> {
        let room = self.room.deeper()?;
        let list = self.serializer.serialize_seq(parts.size_hint());
        let mut list = list.map_err(de::Error::custom)?;
        while parts.next_element_seed(Element(&mut list, room))?.is_some() {}
        list.end().map_err(de::Error::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut parts: A) -> Result<S::Ok, A::Error> {
        let room = self.room.deeper()?;
        let map = self.serializer.serialize_map(parts.size_hint());
        let mut map = map.map_err(de::Error::custom)?;
        while parts.next_key_seed(Key(&mut map, room))?.is_some() {
            parts.next_value_seed(Under(&mut map, room))?;
        }
        map.end().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde::de::value::{Error, SeqDeserializer};
    use serde_json::Value;

    use super::*;

    /// Lists in lists.
    fn nest(depth: usize) -> Value {
        (1..depth).fold(Value::Array(Vec::new()), |inner, _| Value::Array(vec![inner]))
    }

    #[test]
    fn a_value_comes_through_both_ways() {
        let text = r#"{"a":[1,-2,0.5,null,true,"text",{"b":[]}],"c":18446744073709551615}"#;
        let packed = pack(&mut serde_json::Deserializer::from_str(text), usize::MAX).unwrap();
        larder_core::messagepack::check(&packed).unwrap();
        assert_eq!(serde_json::to_string(&Packed(&packed)).unwrap(), text);
    }

    #[test]
    fn a_list_without_end_is_refused() {
        let endless = SeqDeserializer::<_, Error>::new(std::iter::repeat(7_u8));
        let error = pack(endless, 1_000).unwrap_err();
        assert!(error.to_string().contains("too large"), "{error}");
    }

    #[test]
    fn a_value_that_is_nested_too_deep_is_refused() {
        assert!(pack(nest(MAX_DEPTH), usize::MAX).is_ok());
        let error = pack(nest(MAX_DEPTH + 1), usize::MAX).unwrap_err();
        assert!(error.to_string().contains("nested deeper"), "{error}");
    }
}
