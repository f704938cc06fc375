//! [`Named`], a deserializer that refuses other types.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error, Visitor};

/// A deserializer of a value whose type has a name.
///
/// Only the outermost type is compared: those inside follow from it.
pub(super) struct Named<'n, D> {
    pub(super) inner: D,
    pub(super) name: &'n str,
}

impl<D> Named<'_, D> {
    fn check<E: Error>(&self, asked: &str) -> Result<(), E> {
        if self.name == asked {
            return Ok(());
        }
        Err(E::custom(format_args!(
            "the entry holds a value of the type `{:.80}`, not `{asked}`",
            self.name
        )))
    }
}

/// Methods that ask for a type by its kind.
macro_rules! by_kind {
    ($($method:ident $kind:literal)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.check($kind)?;
            self.inner.$method(visitor)
        }
    )*};
}

/// Methods that ask for a type by its name.
macro_rules! by_name {
    ($($method:ident($($argument:ident: $type:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(
            self,
            name: &'static str,
            $($argument: $type,)*
            visitor: V,
        ) -> Result<V::Value, D::Error> {
            self.check(name)?;
            self.inner.$method(name, $($argument,)* visitor)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Named<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_any(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_ignored_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_option(InOption { visitor, name: self.name })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.check("tuple")?;
        self.inner.deserialize_tuple(len, visitor)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }

    by_kind! {
        deserialize_bool "bool"
        deserialize_i8 "i8"
        deserialize_i16 "i16"
        deserialize_i32 "i32"
        deserialize_i64 "i64"
        deserialize_i128 "i128"
        deserialize_u8 "u8"
        deserialize_u16 "u16"
        deserialize_u32 "u32"
        deserialize_u64 "u64"
        deserialize_u128 "u128"
        deserialize_f32 "f32"
        deserialize_f64 "f64"
        deserialize_char "char"
        deserialize_str "str"
        deserialize_string "str"
        deserialize_identifier "str"
        deserialize_bytes "bytes"
        deserialize_byte_buf "bytes"
        deserialize_unit "unit"
        deserialize_seq "seq"
        deserialize_map "map"
    }

    by_name! {
        deserialize_unit_struct();
        deserialize_newtype_struct();
        deserialize_tuple_struct(len: usize);
        deserialize_struct(fields: &'static [&'static str]);
        deserialize_enum(variants: &'static [&'static str]);
    }
}

/// Compares the name with what is inside an option.
struct InOption<'n, V> {
    visitor: V,
    name: &'n str,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for InOption<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Named { inner, name: self.name })
    }
}
