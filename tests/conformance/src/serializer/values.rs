//! Values of every shape, and the two ways through a serializer.

use std::collections::BTreeMap;
use std::fmt;

use larder_core::{CacheError, ErrorKind, Result, Serializer, erased_serde};
use serde::de::{DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

pub(super) fn write<T: Serialize>(serializer: &dyn Serializer, value: &T) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    serializer.serialize(value, &mut bytes)?;
    Ok(bytes)
}

pub(super) fn read<T: DeserializeOwned>(serializer: &dyn Serializer, bytes: &[u8]) -> Result<T> {
    let mut value = None;
    serializer.deserialize(bytes, &mut |deserializer| {
        assert!(value.is_none(), "`visit` is called twice");
        value = Some(erased_serde::deserialize(deserializer)?);
        Ok(())
    })?;
    value.ok_or_else(|| CacheError::new(ErrorKind::Plugin, "`visit` was not called"))
}

/// Bytes, as `serde_bytes` has them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Blob(pub(super) Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(BlobVisitor)
    }
}

struct BlobVisitor;

impl<'de> Visitor<'de> for BlobVisitor {
    type Value = Blob;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
        Ok(Blob(bytes.to_vec()))
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Blob, E> {
        Ok(Blob(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<Blob, A::Error> {
        let mut blob = Vec::new();
        while let Some(byte) = bytes.next_element()? {
            blob.push(byte);
        }
        Ok(Blob(blob))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Plan {
    Free,
    Wrapped(u64),
    Trial(u8, char),
    Paid { cents: u32, renews: Option<bool> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Unit;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct User {
    pub(super) id: u64,
    name: String,
    plans: Vec<Plan>,
    parts: BTreeMap<String, (i64, f64)>,
    empty: Vec<()>,
    nothing: Option<String>,
    unit: Unit,
}

pub(super) fn user() -> User {
    User {
        id: 42,
        name: "Zoë \u{0}\u{1f980}\"\\".into(),
        plans: vec![
            Plan::Free,
            Plan::Wrapped(u64::MAX),
            Plan::Trial(255, 'é'),
            Plan::Paid { cents: 900, renews: Some(true) },
        ],
        parts: BTreeMap::from([
            (String::new(), (i64::MIN, f64::MIN_POSITIVE)),
            ("b".into(), (i64::MAX, -0.5)),
        ]),
        empty: Vec::new(),
        nothing: None,
        unit: Unit,
    }
}

/// A value inside a value inside a value.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Nest {
    End,
    In(Box<Self>),
}

pub(super) fn nest(depth: usize) -> Nest {
    (0..depth).fold(Nest::End, |inner, _| Nest::In(Box::new(inner)))
}

/// A list of lists of lists.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Lists(Vec<Self>);

/// Takes a deep value apart without recursion, which the compiler's own way would need.
pub(super) fn take_apart(mut nest: Nest) {
    while let Nest::In(inner) = nest {
        nest = *inner;
    }
}
