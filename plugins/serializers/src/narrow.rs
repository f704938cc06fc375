//! [`refuse!`], for serializers that take few types.

/// Fills in methods of a `serde::Serializer` by calling its `fn refuse(self, kind, name)` for the
/// error, with what the value is and the name of its type, if serde knows one.
///
/// In the manner of `serde::forward_to_deserialize_any!`: the methods are listed without their
/// common beginning.
macro_rules! refuse {
    ($($method:ident)*) => { $($crate::narrow::refuse_one! { $method })* };
}

/// One method of [`refuse!`].
macro_rules! refuse_one {
    (bool) => {
        $crate::narrow::refuse_scalar! { serialize_bool, bool, "bool" }
    };
    (i8) => {
        $crate::narrow::refuse_scalar! { serialize_i8, i8, "i8" }
    };
    (i16) => {
        $crate::narrow::refuse_scalar! { serialize_i16, i16, "i16" }
    };
    (i32) => {
        $crate::narrow::refuse_scalar! { serialize_i32, i32, "i32" }
    };
    (i64) => {
        $crate::narrow::refuse_scalar! { serialize_i64, i64, "i64" }
    };
    (i128) => {
        $crate::narrow::refuse_scalar! { serialize_i128, i128, "i128" }
    };
    (u8) => {
        $crate::narrow::refuse_scalar! { serialize_u8, u8, "u8" }
    };
    (u16) => {
        $crate::narrow::refuse_scalar! { serialize_u16, u16, "u16" }
    };
    (u32) => {
        $crate::narrow::refuse_scalar! { serialize_u32, u32, "u32" }
    };
    (u64) => {
        $crate::narrow::refuse_scalar! { serialize_u64, u64, "u64" }
    };
    (u128) => {
        $crate::narrow::refuse_scalar! { serialize_u128, u128, "u128" }
    };
    (f32) => {
        $crate::narrow::refuse_scalar! { serialize_f32, f32, "f32" }
    };
    (f64) => {
        $crate::narrow::refuse_scalar! { serialize_f64, f64, "f64" }
    };
    (char) => {
        $crate::narrow::refuse_scalar! { serialize_char, char, "char" }
    };
    (str) => {
        $crate::narrow::refuse_scalar! { serialize_str, &str, "str" }
    };
    (bytes) => {
        $crate::narrow::refuse_scalar! { serialize_bytes, &[u8], "bytes" }
    };
    (none) => {
        fn serialize_none(self) -> Result<(), Self::Error> {
            Err(self.refuse("none", None))
        }
    };
    (some) => {
        fn serialize_some<T: ?Sized + serde::Serialize>(
            self,
            _value: &T,
        ) -> Result<(), Self::Error> {
            Err(self.refuse("some", None))
        }
    };
    (unit) => {
        fn serialize_unit(self) -> Result<(), Self::Error> {
            Err(self.refuse("unit", None))
        }

        fn serialize_unit_struct(self, name: &'static str) -> Result<(), Self::Error> {
            Err(self.refuse("unit struct", Some(name)))
        }
    };
    (newtype_struct) => {
        fn serialize_newtype_struct<T: ?Sized + serde::Serialize>(
            self,
            name: &'static str,
            _value: &T,
        ) -> Result<(), Self::Error> {
            Err(self.refuse("newtype struct", Some(name)))
        }
    };
    (seq) => {
        $crate::narrow::refuse_many! { SerializeSeq, serialize_seq, "seq", _len: Option<usize> }
    };
    (tuple) => {
        $crate::narrow::refuse_many! { SerializeTuple, serialize_tuple, "tuple", _len: usize }
    };
    (tuple_struct) => {
        $crate::narrow::refuse_named! {
            SerializeTupleStruct, serialize_tuple_struct, "tuple struct", _len: usize
        }
    };
    (map) => {
        $crate::narrow::refuse_many! { SerializeMap, serialize_map, "map", _len: Option<usize> }
    };
    (struct) => {
        $crate::narrow::refuse_named! {
            SerializeStruct, serialize_struct, "struct", _len: usize
        }
    };
    (enum) => {
        fn serialize_unit_variant(
            self,
            name: &'static str,
            _index: u32,
            _variant: &'static str,
        ) -> Result<(), Self::Error> {
            Err(self.refuse("enum", Some(name)))
        }

        fn serialize_newtype_variant<T: ?Sized + serde::Serialize>(
            self,
            name: &'static str,
            _index: u32,
            _variant: &'static str,
            _value: &T,
        ) -> Result<(), Self::Error> {
            Err(self.refuse("enum", Some(name)))
        }

        $crate::narrow::refuse_named! {
            SerializeTupleVariant, serialize_tuple_variant, "enum",
            _index: u32, _variant: &'static str, _len: usize
        }

        $crate::narrow::refuse_named! {
            SerializeStructVariant, serialize_struct_variant, "enum",
            _index: u32, _variant: &'static str, _len: usize
        }
    };
}

/// A method that gets a value that has no parts.
macro_rules! refuse_scalar {
    ($method:ident, $type:ty, $kind:literal) => {
        fn $method(self, _value: $type) -> Result<(), Self::Error> {
            Err(self.refuse($kind, None))
        }
    };
}

/// A method that begins a value that has parts.
macro_rules! refuse_many {
    ($type:ident, $method:ident, $kind:literal, $($argument:ident: $argument_type:ty),*) => {
        type $type = serde::ser::Impossible<(), Self::Error>;

        fn $method(self, $($argument: $argument_type),*) -> Result<Self::$type, Self::Error> {
            Err(self.refuse($kind, None))
        }
    };
}

/// A method that begins a value that has parts and a name.
macro_rules! refuse_named {
    ($type:ident, $method:ident, $kind:literal, $($argument:ident: $argument_type:ty),*) => {
        type $type = serde::ser::Impossible<(), Self::Error>;

        fn $method(
            self,
            name: &'static str,
            $($argument: $argument_type),*
        ) -> Result<Self::$type, Self::Error> {
            Err(self.refuse($kind, Some(name)))
        }
    };
}

pub(crate) use {refuse, refuse_many, refuse_named, refuse_one, refuse_scalar};
