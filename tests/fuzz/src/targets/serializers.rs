//! The serializers: whatever the bytes, they make a value or an error.

use std::collections::BTreeMap;
use std::fmt::Debug;

use larder_core::{Result, Serializer, erased_serde};
use larder_serializers::{Cbor, Json, MessagePack, Pickle, Postcard, Typed};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

/// A value with something of everything.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Everything {
    number: i64,
    text: String,
    list: Vec<Shape>,
    map: BTreeMap<String, Option<f32>>,
    pair: (u8, char),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Shape {
    Empty,
    Of(Box<Self>),
    Named { width: u16, is_round: bool },
}

macro_rules! targets {
    ($($name:ident, $seeds:ident: $serializer:expr;)+) => {
        $(
            #[doc = concat!("Values that `", stringify!($name), "` wrote.")]
            #[must_use]
            pub fn $seeds() -> Vec<Vec<u8>> {
                seeds(&$serializer)
            }

            #[doc = concat!("Reads bytes with `", stringify!($name), "`.")]
            pub fn $name(bytes: &[u8]) {
                run(&$serializer, bytes);
            }
        )+
    };
}

targets! {
    cbor, cbor_seeds: Cbor::new();
    json, json_seeds: Json::default();
    messagepack, messagepack_seeds: MessagePack::new();
    pickle, pickle_seeds: Pickle::default();
    postcard, postcard_seeds: Postcard::new();
    typed, typed_seeds: Typed::new();
}

fn everything() -> Everything {
    Everything {
        number: -7,
        text: "Zoë".into(),
        list: vec![
            Shape::Empty,
            Shape::Of(Box::new(Shape::Of(Box::new(Shape::Empty)))),
            Shape::Named { width: 300, is_round: true },
        ],
        map: BTreeMap::from([(String::new(), None), ("b".into(), Some(0.5))]),
        pair: (1, 'é'),
    }
}

/// What the serializer can write of a few values.
fn seeds(serializer: &dyn Serializer) -> Vec<Vec<u8>> {
    let values: [&dyn erased_serde::Serialize; 6] = [
        &everything(),
        &vec![everything(); 2],
        &"text",
        &[1_u64, u64::MAX].as_slice(),
        &Some(true),
        &BTreeMap::from([("a", 1.5_f64)]),
    ];
    let written = values.into_iter().filter_map(|value| {
        let mut bytes = Vec::new();
        serializer.serialize(value, &mut bytes).is_ok().then_some(bytes)
    });
    written.collect()
}

fn run(serializer: &dyn Serializer, bytes: &[u8]) {
    again::<Everything>(serializer, bytes);
    again::<Vec<Everything>>(serializer, bytes);
    again::<String>(serializer, bytes);
    again::<Vec<u64>>(serializer, bytes);
    again::<BTreeMap<String, bool>>(serializer, bytes);
    again::<Option<i32>>(serializer, bytes);
    read::<IgnoredAny>(serializer, bytes).ok();
}

/// What was read can be written, and read again as the same.
fn again<T: Serialize + DeserializeOwned + Debug>(serializer: &dyn Serializer, bytes: &[u8]) {
    let Ok(value) = read::<T>(serializer, bytes) else { return };
    let mut written = Vec::new();
    serializer.serialize(&value, &mut written).expect("what was read can be written");
    let found: T = read(serializer, &written).expect("what was written can be read");
    // What is no number equals nothing, but looks like itself.
    assert_eq!(format!("{found:?}"), format!("{value:?}"));
}

fn read<T: DeserializeOwned>(serializer: &dyn Serializer, bytes: &[u8]) -> Result<T> {
    let mut value = None;
    serializer.deserialize(bytes, &mut |deserializer| {
        value = Some(erased_serde::deserialize(deserializer)?);
        Ok(())
    })?;
    Ok(value.expect("a serializer that succeeds has called back"))
}
