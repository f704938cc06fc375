//! What holds for every serializer; each has its own in its file of the same name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use larder_core::{Registry, Result, Serializer, Slot, erased_serde};
use serde::de::{DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::{
    Cbor, Json, JsonConfig, MessagePack, Pickle, PickleConfig, Postcard, Raw, Text, Typed,
};

mod frozen;
mod hostile;
mod model;
mod narrow;
mod pickle;
mod postcard;
mod typed;

fn write<T: Serialize>(serializer: &dyn Serializer, value: &T) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    serializer.serialize(value, &mut out).map(|()| out)
}

fn read<T: DeserializeOwned>(serializer: &dyn Serializer, bytes: &[u8]) -> Result<T> {
    let mut found = None;
    serializer.deserialize(bytes, &mut |deserializer| {
        assert!(found.is_none(), "visited twice");
        found = Some(erased_serde::deserialize(deserializer)?);
        Ok(())
    })?;
    Ok(found.expect("a success visits"))
}

/// The cause of a failure, which is what says why.
fn cause<T: fmt::Debug>(result: Result<T>) -> String {
    let error = result.unwrap_err();
    std::error::Error::source(&error).expect("there is a cause").to_string()
}

type Named = (&'static str, Box<dyn Serializer>);

fn pickle(protocol: u8) -> Pickle {
    Pickle::new(PickleConfig { protocol })
}

/// Those whose bytes say what they are.
fn self_describing() -> Vec<Named> {
    vec![
        ("json", Box::new(Json::default())),
        ("json pretty", Box::new(Json::new(JsonConfig { pretty: true }))),
        ("messagepack", Box::new(MessagePack::new())),
        ("cbor", Box::new(Cbor::new())),
        ("typed", Box::new(Typed::new())),
        ("pickle 2", Box::new(pickle(2))),
        ("pickle 3", Box::new(pickle(3))),
        ("pickle 4", Box::new(pickle(4))),
        ("pickle 5", Box::new(pickle(5))),
    ]
}

/// Those that take values of any type.
fn general() -> Vec<Named> {
    let mut all = self_describing();
    all.push(("postcard", Box::new(Postcard::new())));
    all
}

fn all() -> Vec<Named> {
    let mut all = general();
    all.push(("string", Box::new(Text::new())));
    all.push(("raw", Box::new(Raw::new())));
    all
}

/// Bytes that go through serde as bytes, which `Vec<u8>` does not.
#[derive(Clone, Debug, PartialEq)]
struct Blob(Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BlobVisitor;
        impl<'de> Visitor<'de> for BlobVisitor {
            type Value = Blob;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<Blob, A::Error> {
                let mut blob = Vec::new();
                while let Some(byte) = bytes.next_element()? {
                    blob.push(byte);
                }
                Ok(Blob(blob))
            }
        }
        deserializer.deserialize_byte_buf(BlobVisitor)
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Plan {
    Free,
    Paid { cents: u32 },
    Trial(u8, char),
    Gift(Option<String>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    plan: Plan,
}

fn user() -> User {
    User { id: 42, name: "Zoë".into(), plan: Plan::Paid { cents: 900 } }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
struct Meters(i32);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Point(f64, f32);

/// Something of everything.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Sample {
    user: User,
    plans: Vec<Plan>,
    blob: Blob,
    bytes: Vec<u8>,
    pair: (i64, bool),
    map: BTreeMap<String, Vec<Option<u16>>>,
    unit: (),
}

fn sample() -> Sample {
    Sample {
        user: user(),
        plans: vec![Plan::Free, Plan::Trial(7, '€'), Plan::Gift(Some("ü".into()))],
        blob: Blob((0..40).collect()),
        bytes: (200..=255).collect(),
        pair: (i64::MIN, true),
        map: [("a".to_owned(), vec![None, Some(300)]), ("b".repeat(40), vec![])].into(),
        unit: (),
    }
}

#[test]
fn every_serializer_is_registered_under_its_kind() {
    let registry = Registry::linked();
    for kind in ["cbor", "json", "messagepack", "pickle", "postcard", "raw", "string", "typed"] {
        assert!(registry.find(Slot::Serializer, kind).is_some(), "{kind}");
    }
}

#[test]
fn every_format_has_a_number_of_its_own() {
    let formats: BTreeSet<u16> = all().iter().map(|(_, one)| one.format()).collect();
    assert_eq!(formats, (1..=8).collect(), "`json` and `pickle` have several forms of one format");
}
