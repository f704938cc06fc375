use std::collections::BTreeMap;
use std::fmt;

use larder_core::serializer::formats;
use larder_core::{ErrorKind, Registry, Result, Serializer, Slot, erased_serde};
use serde::de::{DeserializeOwned, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Json, JsonConfig, MAX_DEPTH, MessagePack};

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

fn all() -> [Box<dyn Serializer>; 3] {
    let pretty = JsonConfig { pretty: true };
    [Box::new(Json::default()), Box::new(Json::new(pretty)), Box::new(MessagePack::new())]
}

fn round_trip<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(value: &T) {
    for serializer in all() {
        let bytes = write(&*serializer, value).unwrap();
        assert_eq!(&read::<T>(&*serializer, &bytes).unwrap(), value);
        assert_eq!(bytes, write(&*serializer, value).unwrap(), "deterministic");
    }
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

/// A list of lists of … `depth` levels.
fn nest(depth: usize) -> Value {
    (1..depth).fold(Value::Array(vec![]), |inner, _| Value::Array(vec![inner]))
}

#[test]
fn values_of_every_shape_survive_a_round_trip() {
    round_trip(&user());
    round_trip(&vec![Plan::Free, Plan::Trial(3, 'é')]);
    round_trip(&(u64::MAX, i64::MIN, f64::MIN_POSITIVE, f32::MAX, true));
    round_trip(&(u128::MAX, i128::MIN));
    round_trip(&BTreeMap::from([(-1_i64, "a".to_owned()), (7, "b".into())]));
    round_trip(&Blob((0..=255).collect()));
    round_trip(&Some(Some(1_u8)));
    round_trip(&None::<Option<u8>>);
    round_trip(&((), String::new(), "a\0b".to_owned()));
}

#[test]
fn some_none_reads_back_as_none() {
    for serializer in all() {
        let bytes = write(&*serializer, &Some(None::<u8>)).unwrap();
        let found: Option<Option<u8>> = read(&*serializer, &bytes).unwrap();
        assert_eq!(found, None);
    }
}

#[test]
fn not_a_number_needs_messagepack() {
    let bytes = write(&MessagePack::new(), &f64::NAN).unwrap();
    assert!(read::<f64>(&MessagePack::new(), &bytes).unwrap().is_nan());
    let text = write(&Json::default(), &f64::NAN).unwrap();
    assert_eq!(text, b"null");
    assert!(read::<f64>(&Json::default(), &text).is_err());
    let bent: Option<f64> = read(&Json::default(), &text).unwrap();
    assert_eq!(bent, None);
}

#[test]
fn frozen_bytes() {
    let json = r#"{"id":42,"name":"Zoë","plan":{"Paid":{"cents":900}}}"#;
    let packed: &[u8] =
        b"\x83\xa2id\x2a\xa4name\xa4Zo\xc3\xab\xa4plan\x81\xa4Paid\x81\xa5cents\xcd\x03\x84";
    assert_eq!(write(&Json::default(), &user()).unwrap(), json.as_bytes());
    assert_eq!(write(&MessagePack::new(), &user()).unwrap(), packed);
    let pretty = Json::new(JsonConfig { pretty: true });
    let text = write(&pretty, &BTreeMap::from([(1, [true])])).unwrap();
    assert_eq!(text, b"{\n  \"1\": [\n    true\n  ]\n}");
    assert_eq!(
        read::<User>(&pretty, json.as_bytes()).unwrap(),
        user(),
        "the option changes nothing about what can be read"
    );
    assert_eq!(Json::default().format(), formats::JSON);
    assert_eq!(MessagePack::new().format(), formats::MESSAGEPACK);
}

#[test]
fn fields_can_come_and_go() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Later {
        #[serde(default)]
        email: Option<String>,
        id: u64,
    }
    for serializer in all() {
        let bytes = write(&*serializer, &user()).unwrap();
        let later: Later = read(&*serializer, &bytes).unwrap();
        assert_eq!((later.id, later.email), (42, None));
    }
}

#[test]
fn output_is_appended() {
    for serializer in all() {
        let mut out = b"before".to_vec();
        serializer.serialize(&1_u8, &mut out).unwrap();
        assert!(out.starts_with(b"before") && out.len() == 7);
    }
}

#[test]
fn bytes_that_are_left_over_are_refused() {
    for serializer in all() {
        let whole = write(&*serializer, &user()).unwrap();
        for extra in [b"1", b"\xc0", b"\xc1", b"\xdf"] {
            let bytes = [&whole[..], extra].concat();
            let error = read::<User>(&*serializer, &bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Serialization);
            assert_eq!(error.operation(), Some("deserialize"));
        }
    }
}

#[test]
fn a_truncated_value_is_refused_at_every_length() {
    for serializer in all() {
        let whole = write(&*serializer, &user()).unwrap();
        for length in 0..whole.len() {
            assert!(read::<User>(&*serializer, &whole[..length]).is_err());
        }
    }
}

#[test]
fn what_can_be_written_deep_can_be_read_and_deeper_is_refused() {
    for serializer in all() {
        let deep = nest(MAX_DEPTH);
        let bytes = write(&*serializer, &deep).unwrap();
        assert_eq!(read::<Value>(&*serializer, &bytes).unwrap(), deep);
        let error = write(&*serializer, &nest(MAX_DEPTH + 1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Serialization);
    }
}

#[test]
fn depth_bombs_do_not_overflow_the_stack() {
    for serializer in all() {
        for byte in [b'[', b'{', 0x91, 0x81, 0xdc] {
            let bomb = vec![byte; 1 << 20];
            assert!(read::<Value>(&*serializer, &bomb).is_err());
            assert!(read::<IgnoredAny>(&*serializer, &bomb).is_err());
        }
    }
}

#[test]
fn a_nest_of_enum_variants_does_not_overflow_the_stack() {
    #[derive(Debug, Serialize, Deserialize)]
    enum Nest {
        In(Box<Self>),
    }
    let bomb = b"\x81\xa2In".repeat(1 << 18);
    assert!(read::<Nest>(&MessagePack::new(), &bomb).is_err());
    let bomb = b"{\"In\":".repeat(1 << 18);
    assert!(read::<Nest>(&Json::default(), &bomb).is_err());
}

#[test]
fn claimed_lengths_take_no_memory() {
    for claim in [
        &b"\xdd\xff\xff\xff\xff\x01"[..],
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
    ] {
        assert!(read::<Value>(&MessagePack::new(), claim).is_err());
        assert!(read::<Vec<u64>>(&MessagePack::new(), claim).is_err());
        assert!(read::<Blob>(&MessagePack::new(), claim).is_err());
    }
}

#[test]
fn random_bytes_never_panic() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for serializer in all() {
        let whole = write(&*serializer, &user()).unwrap();
        for round in 0..20_000 {
            let mut bytes =
                if round % 2 == 0 { vec![0; random.usize(..64)] } else { whole.clone() };
            if round % 2 == 0 {
                random.fill(&mut bytes);
            } else {
                let index = random.usize(..bytes.len());
                bytes[index] = random.u8(..);
            }
            // Whether it is an error depends on the bytes; that it returns is the point.
            read::<Value>(&*serializer, &bytes).ok();
            read::<User>(&*serializer, &bytes).ok();
        }
    }
}

#[test]
fn both_are_registered() {
    let registry = Registry::linked();
    for kind in ["json", "messagepack"] {
        assert!(registry.find(Slot::Serializer, kind).is_some());
    }
}
