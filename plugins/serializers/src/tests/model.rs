//! The whole data model of serde, through every serializer that takes any type.

use larder_core::ErrorKind;
use serde_json::Value;

use super::*;
use crate::MAX_DEPTH;

fn round_trip_through<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(
    serializers: Vec<Named>,
    value: &T,
) {
    for (name, serializer) in serializers {
        let bytes = write(&*serializer, value).unwrap();
        assert_eq!(&read::<T>(&*serializer, &bytes).unwrap(), value, "{name}");
        assert_eq!(bytes, write(&*serializer, value).unwrap(), "{name} is deterministic");
    }
}

fn round_trip<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(value: &T) {
    round_trip_through(general(), value);
}

/// A list of lists of … `depth` levels.
pub(super) fn nest(depth: usize) -> Value {
    (1..depth).fold(Value::Array(vec![]), |inner, _| Value::Array(vec![inner]))
}

#[test]
fn integers_keep_their_value_at_every_boundary_of_a_size() {
    for bit in 0..128 {
        let power = 1_u128 << bit;
        for value in [power - 1, power, power + 1] {
            round_trip(&value);
            round_trip(&(value as i128));
            round_trip(&(value as i128).wrapping_neg());
            round_trip(&(value as u64, value as i64, value as u32, value as i32));
            round_trip(&(value as u16, value as i16, value as u8, value as i8));
        }
    }
    round_trip(&(u128::MAX, i128::MIN));
}

#[test]
fn floats_keep_their_bits() {
    for value in [0.0, -0.0, 1.5, f64::MIN_POSITIVE, f64::EPSILON, 1e-320, 0.1, 3e38] {
        for (name, serializer) in general() {
            let bytes = write(&*serializer, &(value, value as f32)).unwrap();
            let (wide, narrow): (f64, f32) = read(&*serializer, &bytes).unwrap();
            assert_eq!(wide.to_bits(), value.to_bits(), "{name}");
            assert_eq!(narrow.to_bits(), (value as f32).to_bits(), "{name}");
        }
    }
}

#[test]
fn what_is_no_number_needs_another_serializer_than_json() {
    for (name, serializer) in general() {
        let bytes = write(&*serializer, &[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]).unwrap();
        if name.starts_with("json") {
            assert!(read::<[f64; 3]>(&*serializer, &bytes).is_err());
            let bent: [Option<f64>; 3] = read(&*serializer, &bytes).unwrap();
            assert_eq!(bent, [None; 3]);
        } else {
            let [nan, more, less] = read::<[f64; 3]>(&*serializer, &bytes).unwrap();
            assert!(nan.is_nan(), "{name}");
            assert_eq!((more, less), (f64::INFINITY, f64::NEG_INFINITY), "{name}");
        }
    }
}

#[test]
fn text_of_every_length_and_plane_survives() {
    for length in [0, 1, 23, 24, 31, 32, 127, 128, 255, 256, 65_535, 65_536] {
        round_trip(&"x".repeat(length));
        round_trip(&Blob(vec![0xa5; length]));
        round_trip(&vec![0xa5_u8; length.min(300)]);
    }
    round_trip(&"a\0b\n\r\"\\'\u{7f}é€😀\u{10ffff}".to_owned());
    round_trip(&('\0', 'é', '\u{10ffff}'));
    round_trip(&Blob((0..=255).collect()));
}

#[test]
fn structs_and_enums_of_every_form_survive() {
    round_trip(&sample());
    round_trip(&(Unit, Meters(-3), Point(0.5, 0.25), ()));
    round_trip(&vec![Plan::Free, Plan::Trial(3, 'é'), Plan::Gift(None), user().plan]);
    round_trip(&Some(Plan::Gift(Some(String::new()))));
    round_trip(&None::<User>);
    round_trip(&Ok::<u8, String>(1));
    round_trip(&(Duration::from_millis(1500), "::1".parse::<IpAddr>().unwrap()));
    round_trip(&Box::new([user(), user()]));
}

#[test]
fn collections_survive() {
    round_trip(&(vec![0_u8; 0], [1_u16; 5], vec![Some(vec![true]), None]));
    round_trip(&BTreeMap::from([(-1_i64, "a".to_owned()), (7, "b".into())]));
    round_trip(&BTreeMap::from([('c', 1)]));
    round_trip(&BTreeMap::from([(true, [1]), (false, [2])]));
    round_trip(&BTreeMap::from([(Meters(1), BTreeSet::from(["x".to_owned()]))]));
    round_trip(&(0..3000).map(|n| (n, n.to_string())).collect::<BTreeMap<u32, String>>());
    round_trip(&HashMap::<String, u8>::new());
    round_trip(&vec![(); 3]);
}

#[test]
fn keys_that_are_no_text_need_another_serializer_than_json() {
    let without_json =
        || general().into_iter().filter(|(name, _)| !name.starts_with("json")).collect();
    round_trip_through(without_json(), &BTreeMap::from([((1_u8, -1_i8), 1.5)]));
    round_trip_through(without_json(), &BTreeMap::from([(vec![vec![1_u8]], ())]));
    round_trip_through(without_json(), &BTreeMap::from([(Some("a".to_owned()), 1), (None, 2)]));
    let error = write(&Json::default(), &BTreeMap::from([((1, 2), 3)])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Serialization);
}

#[test]
fn some_none_reads_back_as_none_but_from_postcard() {
    for (name, serializer) in general() {
        let bytes = write(&*serializer, &Some(None::<u8>)).unwrap();
        let found: Option<Option<u8>> = read(&*serializer, &bytes).unwrap();
        assert_eq!(found.is_some(), name == "postcard", "{name}");
    }
    round_trip(&Some(Some(1_u8)));
}

#[test]
fn fields_can_come_and_go_where_they_have_names() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename = "User")]
    struct Later {
        #[serde(default)]
        email: Option<String>,
        id: u64,
    }
    for (name, serializer) in self_describing() {
        let bytes = write(&*serializer, &user()).unwrap();
        let later: Later = read(&*serializer, &bytes).unwrap();
        assert_eq!((later.id, later.email), (42, None), "{name}");
    }
}

#[test]
fn values_that_say_themselves_what_they_are_survive() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Shape {
        Circle { radius: f64 },
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(i64),
        Text(String),
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Flat {
        id: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, Value>,
    }
    let value = serde_json::json!({"a": [1, -1, 1.5, null, true, "x", {"b": {}}], "c": []});
    let rest = [("more".to_owned(), value.clone())].into();
    round_trip_through(self_describing(), &value);
    round_trip_through(self_describing(), &Shape::Circle { radius: 1.5 });
    round_trip_through(self_describing(), &vec![Either::Number(-7), Either::Text("x".into())]);
    round_trip_through(self_describing(), &Flat { id: 1, rest });
}

#[test]
fn output_is_appended() {
    for (name, serializer) in all() {
        let mut out = b"before".to_vec();
        if name == "raw" {
            serializer.serialize(&[1_u8], &mut out).unwrap();
        } else {
            serializer.serialize(&"x", &mut out).unwrap();
        }
        assert!(out.starts_with(b"before") && out.len() > 6, "{name}");
    }
}

#[test]
fn what_can_be_written_deep_can_be_read_and_deeper_is_refused() {
    for (name, serializer) in self_describing() {
        let deep = nest(MAX_DEPTH);
        let bytes = write(&*serializer, &deep).unwrap();
        assert_eq!(read::<Value>(&*serializer, &bytes).unwrap(), deep, "{name}");
        let error = write(&*serializer, &nest(MAX_DEPTH + 1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Serialization, "{name}");
        let map = (0..MAX_DEPTH).fold(Value::Null, |inner, _| serde_json::json!({"k": inner}));
        let bytes = write(&*serializer, &map).unwrap();
        assert_eq!(read::<Value>(&*serializer, &bytes).unwrap(), map, "{name}");
        assert!(write(&*serializer, &serde_json::json!([map])).is_err(), "{name}");
    }
}
