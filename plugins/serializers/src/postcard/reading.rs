//! [`Bounded`] around what serde reads from.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::bounds::{Bounded, Bounds};

/// A visitor, and whether the elements that it is given are counted. Those of tuples and structs
/// are as many as their type says.
struct Watched<'b, V> {
    visitor: V,
    bounds: &'b Bounds,
    is_counted: bool,
}

/// Methods for values that have no parts.
macro_rules! scalars {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method(visitor)
        }
    )*};
}

/// Methods for values that have parts: a level each.
macro_rules! levels {
    ($($is_counted:literal $method:ident($($argument:ident: $type:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(
            self,
            $($argument: $type,)*
            visitor: V,
        ) -> Result<V::Value, D::Error> {
            let _level = self.bounds.enter().map_err(D::Error::custom)?;
            let bounds = self.bounds;
            self.inner.$method($($argument,)* Watched { visitor, bounds, is_counted: $is_counted })
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Bounded<'_, D> {
    type Error = D::Error;

    scalars! {
        deserialize_any deserialize_ignored_any deserialize_identifier deserialize_bool
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_string
        deserialize_bytes deserialize_byte_buf deserialize_unit
    }

    levels! {
        true deserialize_seq();
        true deserialize_map();
        false deserialize_tuple(len: usize);
        false deserialize_tuple_struct(name: &'static str, len: usize);
        false deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        false deserialize_enum(name: &'static str, variants: &'static [&'static str]);
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        // Only `Some` is a level, which shows when it is there.
        self.inner.deserialize_option(Watched { visitor, bounds: self.bounds, is_counted: false })
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let watched = Watched { visitor, bounds: self.bounds, is_counted: false };
        self.inner.deserialize_newtype_struct(name, watched)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Watched<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let _level = self.bounds.enter().map_err(D::Error::custom)?;
        self.visitor.visit_some(Bounded { inner, bounds: self.bounds })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Bounded { inner, bounds: self.bounds })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let access = Access { inner, bounds: self.bounds, is_counted: self.is_counted };
        self.visitor.visit_seq(access)
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let access = Access { inner, bounds: self.bounds, is_counted: self.is_counted };
        self.visitor.visit_map(access)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(Bounded { inner, bounds: self.bounds })
    }
}

/// The elements of a value.
struct Access<'b, A> {
    inner: A,
    bounds: &'b Bounds,
    is_counted: bool,
}

impl<A> Access<'_, A> {
    fn count<T, E: Error>(&self, element: Option<T>) -> Result<Option<T>, E> {
        if self.is_counted && element.is_some() {
            self.bounds.count().map_err(E::custom)?;
        }
        Ok(element)
    }

    fn bound(&self, hint: Option<usize>) -> Option<usize> {
        hint.map(|hint| hint.min(self.bounds.elements_left()))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Access<'_, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, A::Error> {
        let seed = Bounded { inner: seed, bounds: self.bounds };
        let element = self.inner.next_element_seed(seed)?;
        self.count(element)
    }

    fn size_hint(&self) -> Option<usize> {
        self.bound(self.inner.size_hint())
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Access<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        let key = self.inner.next_key_seed(Bounded { inner: seed, bounds: self.bounds })?;
        self.count(key)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.inner.next_value_seed(Bounded { inner: seed, bounds: self.bounds })
    }

    fn size_hint(&self) -> Option<usize> {
        self.bound(self.inner.size_hint())
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Bounded<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Bounded { inner, bounds: self.bounds })
    }
}

impl<'de, 'b, A: EnumAccess<'de>> EnumAccess<'de> for Bounded<'b, A> {
    type Error = A::Error;
    type Variant = Bounded<'b, A::Variant>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self::Variant), A::Error> {
        let (which, inner) = self.inner.variant_seed(seed)?;
        Ok((which, Bounded { inner, bounds: self.bounds }))
    }
}

/// The content of a variant is of the level of its enum.
impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Bounded<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        self.inner.newtype_variant_seed(Bounded { inner: seed, bounds: self.bounds })
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let watched = Watched { visitor, bounds: self.bounds, is_counted: false };
        self.inner.tuple_variant(len, watched)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let watched = Watched { visitor, bounds: self.bounds, is_counted: false };
        self.inner.struct_variant(fields, watched)
    }
}
