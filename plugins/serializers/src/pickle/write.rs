//! [`Writer`], from serde to a pickle.
//!
//! Nothing is put into the memo, as Rust values have no identity. The longest integers have 17
//! bytes.

use serde::de::value::Error;
use serde::ser::{Error as _, Serialize};

use super::opcodes as op;
use super::parts::{Kind, Parts};
use crate::MAX_DEPTH;

/// Writes one value.
pub(super) struct Writer<'o> {
    pub(super) out: &'o mut Vec<u8>,
    protocol: u8,
    depth: usize,
    /// How many keys of dicts it is inside of.
    pub(super) keys: usize,
}

pub(super) type Result<T> = std::result::Result<T, Error>;

impl<'o> Writer<'o> {
    pub(super) fn begin(out: &'o mut Vec<u8>, protocol: u8) -> Self {
        out.extend([op::PROTO, protocol]);
        Self { out, protocol, depth: 0, keys: 0 }
    }

    pub(super) fn end(self) {
        self.out.push(op::STOP);
    }

    /// Begins a level of the nesting.
    pub(super) fn enter(&mut self) -> Result<()> {
        if self.depth == MAX_DEPTH {
            let message = format_args!("the value is nested deeper than `{MAX_DEPTH}` levels");
            return Err(Error::custom(message));
        }
        self.depth += 1;
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Python looks up keys by their hash, which only values that cannot change have.
    fn hashable(&self, what: &str) -> Result<()> {
        if self.keys == 0 {
            return Ok(());
        }
        Err(Error::custom(format_args!("Python cannot have a {what} in the key of a dict")))
    }

    /// Begins a dict.
    pub(super) fn dict(&mut self, what: &str) -> Result<()> {
        self.hashable(what)?;
        self.enter()?;
        self.out.push(op::EMPTY_DICT);
        Ok(())
    }

    fn unsigned(&mut self, value: u64) {
        match value {
            0..=0xff => self.out.extend([op::BININT1, value as u8]),
            0x100..=0xffff => {
                self.out.push(op::BININT2);
                self.out.extend((value as u16).to_le_bytes());
            }
            _ => self.signed(value.into()),
        }
    }

    fn signed(&mut self, value: i128) {
        if let Ok(small) = u16::try_from(value) {
            return self.unsigned(small.into());
        }
        if let Ok(small) = i32::try_from(value) {
            self.out.push(op::BININT);
            self.out.extend(small.to_le_bytes());
            return;
        }
        self.long(&value.to_le_bytes(), value < 0);
    }

    /// An integer in as few bytes as keep its sign.
    fn long(&mut self, digits: &[u8; 16], is_negative: bool) {
        let filler = if is_negative { 0xff } else { 0 };
        let length = digits.iter().rposition(|digit| *digit != filler).map_or(0, |last| last + 1);
        let highest = length.checked_sub(1).map_or(filler, |last| digits[last]);
        let needs_sign = (highest >= 0x80) != is_negative || length == 0;
        self.out.extend([op::LONG1, length as u8 + u8::from(needs_sign)]);
        self.out.extend(&digits[..length]);
        self.out.extend(needs_sign.then_some(filler));
    }

    pub(super) fn text(&mut self, text: &str) -> Result<()> {
        let length = text.len();
        match (u8::try_from(length), u32::try_from(length)) {
            (Ok(length), _) if self.protocol >= 4 => {
                self.out.extend([op::SHORT_BINUNICODE, length]);
            }
            (_, Ok(length)) => {
                self.out.push(op::BINUNICODE);
                self.out.extend(length.to_le_bytes());
            }
            _ if self.protocol >= 4 => {
                self.out.push(op::BINUNICODE8);
                self.out.extend((length as u64).to_le_bytes());
            }
            _ => return Err(self.too_long()),
        }
        self.out.extend(text.as_bytes());
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        match (u8::try_from(bytes.len()), u32::try_from(bytes.len())) {
            _ if self.protocol < 3 => return self.encoded_bytes(bytes),
            (Ok(length), _) => self.out.extend([op::SHORT_BINBYTES, length]),
            (_, Ok(length)) => {
                self.out.push(op::BINBYTES);
                self.out.extend(length.to_le_bytes());
            }
            _ if self.protocol >= 4 => {
                self.out.push(op::BINBYTES8);
                self.out.extend((bytes.len() as u64).to_le_bytes());
            }
            _ => return Err(self.too_long()),
        }
        self.out.extend(bytes);
        Ok(())
    }

    /// Protocol 2 has no bytes, so Python writes the call that makes them from text.
    fn encoded_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.push(op::GLOBAL);
        self.out.extend(b"_codecs\nencode\n");
        let text: String = bytes.iter().copied().map(char::from).collect();
        self.text(&text)?;
        self.text("latin1")?;
        self.out.extend([op::TUPLE2, op::REDUCE]);
        Ok(())
    }

    fn too_long(&self) -> Error {
        Error::custom(format_args!(
            "protocol `{}` has no strings of more than 4 GiB",
            self.protocol
        ))
    }
}

/// Methods for numbers that another method takes as well.
macro_rules! numbers {
    ($($method:ident $type:ty => $wide:ident;)*) => {$(
        fn $method(self, value: $type) -> Result<()> {
            self.$wide(value.into());
            Ok(())
        }
    )*};
}

impl<'w, 'o> serde::Serializer for &'w mut Writer<'o> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Parts<'w, 'o>;
    type SerializeTuple = Parts<'w, 'o>;
    type SerializeTupleStruct = Parts<'w, 'o>;
    type SerializeTupleVariant = Parts<'w, 'o>;
    type SerializeMap = Parts<'w, 'o>;
    type SerializeStruct = Parts<'w, 'o>;
    type SerializeStructVariant = Parts<'w, 'o>;

    numbers! {
        serialize_u8 u8 => unsigned;
        serialize_u16 u16 => unsigned;
        serialize_u32 u32 => unsigned;
        serialize_u64 u64 => unsigned;
        serialize_i8 i8 => signed;
        serialize_i16 i16 => signed;
        serialize_i32 i32 => signed;
        serialize_i64 i64 => signed;
        serialize_i128 i128 => signed;
    }

    fn serialize_u128(self, value: u128) -> Result<()> {
        match i128::try_from(value) {
            Ok(value) => self.signed(value),
            Err(_) => self.long(&value.to_le_bytes(), false),
        }
        Ok(())
    }

    fn serialize_bool(self, value: bool) -> Result<()> {
        self.out.push(if value { op::NEWTRUE } else { op::NEWFALSE });
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<()> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<()> {
        self.out.push(op::BINFLOAT);
        self.out.extend(value.to_be_bytes());
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<()> {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<()> {
        self.text(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<()> {
        self.bytes(value)
    }

    fn serialize_none(self) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        self.out.push(op::NONE);
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<()> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()> {
        self.dict("variant")?;
        self.text(variant)?;
        value.serialize(&mut *self)?;
        self.out.push(op::SETITEM);
        self.leave();
        Ok(())
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Parts<'w, 'o>> {
        let kind = if self.keys == 0 { Kind::List } else { Kind::Tuple };
        Parts::begin(self, kind)
    }

    fn serialize_tuple(self, _len: usize) -> Result<Parts<'w, 'o>> {
        Parts::begin(self, Kind::Tuple)
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Parts<'w, 'o>> {
        Parts::begin(self, Kind::Tuple)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Parts<'w, 'o>> {
        Parts::begin_variant(self, variant, Kind::Tuple)
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Parts<'w, 'o>> {
        Parts::begin(self, Kind::Dict)
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Parts<'w, 'o>> {
        Parts::begin(self, Kind::Dict)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Parts<'w, 'o>> {
        Parts::begin_variant(self, variant, Kind::Dict)
    }
}
