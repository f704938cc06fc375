//! [`Bounded`] around what serde writes to: the mirror image of the reading side, so that what
//! would be refused when it is read is not stored.

use std::fmt;

use serde::ser::{
    Error, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::bounds::{Bounded, Bounds, Level};

/// Methods for values that have no parts.
macro_rules! scalars {
    ($($method:ident($($argument:ident: $type:ty),*);)*) => {$(
        fn $method(self, $($argument: $type),*) -> Result<S::Ok, S::Error> {
            self.inner.$method($($argument),*)
        }
    )*};
}

/// Methods that begin a value that has parts: a level each.
macro_rules! levels {
    ($($part:ident $method:ident($($argument:ident: $type:ty),*);)*) => {$(
        fn $method(self, $($argument: $type),*) -> Result<Self::$part, S::Error> {
            let level = self.bounds.enter().map_err(S::Error::custom)?;
            let inner = self.inner.$method($($argument),*)?;
            Ok(Parts { inner, bounds: self.bounds, _level: level })
        }
    )*};
}

impl<'b, S: Serializer> Serializer for Bounded<'b, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Parts<'b, S::SerializeSeq>;
    type SerializeTuple = Parts<'b, S::SerializeTuple>;
    type SerializeTupleStruct = Parts<'b, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Parts<'b, S::SerializeTupleVariant>;
    type SerializeMap = Parts<'b, S::SerializeMap>;
    type SerializeStruct = Parts<'b, S::SerializeStruct>;
    type SerializeStructVariant = Parts<'b, S::SerializeStructVariant>;

    scalars! {
        serialize_bool(value: bool);
        serialize_i8(value: i8);
        serialize_i16(value: i16);
        serialize_i32(value: i32);
        serialize_i64(value: i64);
        serialize_i128(value: i128);
        serialize_u8(value: u8);
        serialize_u16(value: u16);
        serialize_u32(value: u32);
        serialize_u64(value: u64);
        serialize_u128(value: u128);
        serialize_f32(value: f32);
        serialize_f64(value: f64);
        serialize_char(value: char);
        serialize_str(value: &str);
        serialize_bytes(value: &[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(name: &'static str);
    }

    levels! {
        SerializeSeq serialize_seq(len: Option<usize>);
        SerializeMap serialize_map(len: Option<usize>);
        SerializeTuple serialize_tuple(len: usize);
        SerializeTupleStruct serialize_tuple_struct(name: &'static str, len: usize);
        SerializeStruct serialize_struct(name: &'static str, len: usize);
        SerializeTupleVariant serialize_tuple_variant(
            name: &'static str, index: u32, variant: &'static str, len: usize
        );
        SerializeStructVariant serialize_struct_variant(
            name: &'static str, index: u32, variant: &'static str, len: usize
        );
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        // The reader enters a level before it knows which variant there is.
        let _level = self.bounds.enter().map_err(S::Error::custom)?;
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<S::Ok, S::Error> {
        let _level = self.bounds.enter().map_err(S::Error::custom)?;
        self.inner.serialize_some(&Bounded { inner: value, bounds: self.bounds })
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = Bounded { inner: value, bounds: self.bounds };
        self.inner.serialize_newtype_struct(name, &value)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let _level = self.bounds.enter().map_err(S::Error::custom)?;
        let value = Bounded { inner: value, bounds: self.bounds };
        self.inner.serialize_newtype_variant(name, index, variant, &value)
    }

    fn collect_str<T: ?Sized + fmt::Display>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// A value inside another one.
impl<T: ?Sized + Serialize> Serialize for Bounded<'_, &T> {
    fn serialize<S: Serializer>(&self, inner: S) -> Result<S::Ok, S::Error> {
        self.inner.serialize(Bounded { inner, bounds: self.bounds })
    }
}

/// The parts of a value that was begun.
pub(super) struct Parts<'b, P> {
    inner: P,
    bounds: &'b Bounds,
    _level: Level<'b>,
}

impl<'b, P> Parts<'b, P> {
    fn bounded<'t, T: ?Sized>(&self, value: &'t T) -> Bounded<'b, &'t T> {
        Bounded { inner: value, bounds: self.bounds }
    }
}

impl<P: SerializeSeq> SerializeSeq for Parts<'_, P> {
    type Ok = P::Ok;
    type Error = P::Error;

    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), P::Error> {
        self.bounds.count().map_err(P::Error::custom)?;
        let value = self.bounded(value);
        self.inner.serialize_element(&value)
    }

    fn end(self) -> Result<P::Ok, P::Error> {
        self.inner.end()
    }
}

impl<P: SerializeMap> SerializeMap for Parts<'_, P> {
    type Ok = P::Ok;
    type Error = P::Error;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), P::Error> {
        self.bounds.count().map_err(P::Error::custom)?;
        let key = self.bounded(key);
        self.inner.serialize_key(&key)
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), P::Error> {
        let value = self.bounded(value);
        self.inner.serialize_value(&value)
    }

    fn end(self) -> Result<P::Ok, P::Error> {
        self.inner.end()
    }
}

/// The traits of values whose type says how many parts there are.
macro_rules! fixed {
    ($($trait:ident $method:ident($($argument:ident: $type:ty),*);)*) => {$(
        impl<P: $trait> $trait for Parts<'_, P> {
            type Ok = P::Ok;
            type Error = P::Error;

            fn $method<T: ?Sized + Serialize>(
                &mut self,
                $($argument: $type,)*
                value: &T,
            ) -> Result<(), P::Error> {
                let value = self.bounded(value);
                self.inner.$method($($argument,)* &value)
            }

            fn end(self) -> Result<P::Ok, P::Error> {
                self.inner.end()
            }
        }
    )*};
}

fixed! {
    SerializeTuple serialize_element();
    SerializeTupleStruct serialize_field();
    SerializeTupleVariant serialize_field();
    SerializeStruct serialize_field(key: &'static str);
    SerializeStructVariant serialize_field(key: &'static str);
}
