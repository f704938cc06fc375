//! [`Parts`], the elements of lists, tuples and dicts on their way into a pickle.

use serde::de::value::Error;
use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use super::opcodes as op;
use super::write::{Result, Writer};

/// What the parts become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Dict,
    List,
    Tuple,
}

/// A value that was begun.
pub(super) struct Parts<'w, 'o> {
    writer: &'w mut Writer<'o>,
    kind: Kind,
    is_empty: bool,
    /// Whether it is the content of a variant, which is an entry of a dict itself.
    is_in_variant: bool,
}

impl<'w, 'o> Parts<'w, 'o> {
    pub(super) fn begin(writer: &'w mut Writer<'o>, kind: Kind) -> Result<Self> {
        match kind {
            Kind::Dict => writer.dict("map")?,
            Kind::List => {
                writer.enter()?;
                writer.out.push(op::EMPTY_LIST);
            }
            Kind::Tuple => writer.enter()?,
        }
        Ok(Self { writer, kind, is_empty: true, is_in_variant: false })
    }

    pub(super) fn begin_variant(
        writer: &'w mut Writer<'o>,
        variant: &str,
        kind: Kind,
    ) -> Result<Self> {
        writer.dict("variant")?;
        writer.text(variant)?;
        Ok(Self { is_in_variant: true, ..Self::begin(writer, kind)? })
    }

    /// Sets a mark before the first part.
    fn mark(&mut self) {
        if self.is_empty {
            self.writer.out.push(op::MARK);
            self.is_empty = false;
        }
    }

    fn element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<()> {
        self.mark();
        value.serialize(&mut *self.writer)
    }

    fn key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<()> {
        self.mark();
        self.writer.keys += 1;
        key.serialize(&mut *self.writer)?;
        self.writer.keys -= 1;
        Ok(())
    }

    fn finish(self) {
        let out = &mut self.writer.out;
        match (self.kind, self.is_empty) {
            (Kind::Dict | Kind::List, true) => {}
            (Kind::Tuple, true) => out.push(op::EMPTY_TUPLE),
            (Kind::Dict, false) => out.push(op::SETITEMS),
            (Kind::List, false) => out.push(op::APPENDS),
            (Kind::Tuple, false) => out.push(op::TUPLE),
        }
        self.writer.leave();
        if self.is_in_variant {
            self.writer.out.push(op::SETITEM);
            self.writer.leave();
        }
    }
}

impl SerializeMap for Parts<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<()> {
        self.key(key)
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<()> {
        self.element(value)
    }

    fn end(self) -> Result<()> {
        self.finish();
        Ok(())
    }
}

/// The traits of values that have elements.
macro_rules! elements {
    ($($trait:ident $method:ident;)*) => {$(
        impl $trait for Parts<'_, '_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<()> {
                self.element(value)
            }

            fn end(self) -> Result<()> {
                self.finish();
                Ok(())
            }
        }
    )*};
}

/// The traits of values that have fields.
macro_rules! fields {
    ($($trait:ident)*) => {$(
        impl $trait for Parts<'_, '_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: ?Sized + Serialize>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<()> {
                self.key(name)?;
                self.element(value)
            }

            fn end(self) -> Result<()> {
                self.finish();
                Ok(())
            }
        }
    )*};
}

elements! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

fields! { SerializeStruct SerializeStructVariant }
