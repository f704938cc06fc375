//! The cases.

use std::collections::BTreeMap;
use std::fmt::Debug;

use larder_core::{ErrorKind, Serializer};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::Carries;
use super::values::{Blob, Lists, Nest, Plan, User, nest, read, take_apart, user, write};
use crate::must::Must;
use crate::seed;

/// Numbers, texts, bytes, options, lists, maps, structs and enums, as far as it carries them.
pub fn values_of_every_shape_come_back(serializer: &dyn Serializer, carries: Carries) {
    let comes_back = |text: &str| {
        let bytes = write(serializer, &text).must();
        assert_eq!(read::<String>(serializer, &bytes).must(), text);
    };
    match carries {
        Carries::All => every_shape(serializer),
        Carries::Text => {}
        Carries::Bytes => {
            for blob in [vec![], (0..=255).collect(), vec![0; 100_000]] {
                round_trip(serializer, &Blob(blob.clone()));
                round_trip(serializer, &blob);
            }
            return;
        }
    }
    for text in ["", "a", "Zoë \u{0}", "\u{1f980}", "null", "\"", &"long ".repeat(10_000)] {
        comes_back(text);
    }
}

fn every_shape(serializer: &dyn Serializer) {
    round_trip(serializer, &user());
    round_trip(serializer, &vec![user(); 3]);
    round_trip(serializer, &(u8::MAX, u16::MAX, u32::MAX, u64::MAX));
    round_trip(serializer, &(i8::MIN, i16::MIN, i32::MIN, i64::MIN));
    round_trip(serializer, &(f32::MAX, f64::MIN_POSITIVE, -0.0_f64, 0.1_f64));
    round_trip(serializer, &(true, 'é', ()));
    round_trip(serializer, &(Some(Some(1_u8)), None::<u8>, Some(String::new())));
    round_trip(serializer, &BTreeMap::from([(-1_i64, "a".to_owned()), (7, "b".into())]));
    round_trip(serializer, &BTreeMap::from([("a".to_owned(), Plan::Free)]));
    round_trip(serializer, &Blob((0..=255).collect()));
    round_trip(serializer, &Vec::<u64>::new());
    round_trip(serializer, &nest(30));
}

/// Values that a format cannot express are refused, on the way in or out; none comes back as
/// another one.
pub fn what_comes_back_is_what_went_in(serializer: &dyn Serializer, _: Carries) {
    equal_or_refused(serializer, &(u128::MAX, i128::MIN));
    equal_or_refused(serializer, &u128::from(u64::MAX));
    equal_or_refused(serializer, &f64::INFINITY);
    equal_or_refused(serializer, &BTreeMap::from([((1_u8, 2_u8), 3_u8)]));
    equal_or_refused(serializer, &BTreeMap::from([(Some(1_u8), 2_u8)]));
    equal_or_refused(serializer, &user());
    equal_or_refused(serializer, &42_u64);
    equal_or_refused(serializer, &true);
    equal_or_refused(serializer, &"text".to_owned());
    equal_or_refused(serializer, &Blob(vec![0xff, 0xfe]));
    equal_or_refused(serializer, &vec![1_u16, 2, 300]);
}

/// What stands in front is left alone.
pub fn output_is_appended(serializer: &dyn Serializer, carries: Carries) {
    let sample = sample(serializer, carries);
    let mut out = b"before".to_vec();
    match carries {
        Carries::All => serializer.serialize(&user(), &mut out).must(),
        Carries::Bytes => serializer.serialize(&Blob(b"bytes".to_vec()), &mut out).must(),
        Carries::Text => serializer.serialize(&"text", &mut out).must(),
    }
    assert_eq!(out, [&b"before"[..], &sample].concat());
}

/// Bytes of a value with anything behind them are not that value.
pub fn bytes_that_are_left_over_are_refused(serializer: &dyn Serializer, carries: Carries) {
    if carries != Carries::All {
        return;
    }
    let whole = sample(serializer, carries);
    for extra in 0..=u8::MAX {
        // JSON and its like may end in blanks.
        if !extra.is_ascii_whitespace() {
            let error = read::<User>(serializer, &[&whole[..], &[extra]].concat()).must_fail();
            assert_eq!(error.kind(), ErrorKind::Serialization, "{error}");
        }
    }
}

/// At every length.
pub fn cut_bytes_are_refused(serializer: &dyn Serializer, carries: Carries) {
    let whole = sample(serializer, carries);
    for length in 0..whole.len() {
        match carries {
            Carries::All => {
                let error = read::<User>(serializer, &whole[..length]).must_fail();
                assert_eq!(error.kind(), ErrorKind::Serialization, "{error}");
            }
            // Any bytes are a value, so it only has to return.
            _ => drop(read::<Blob>(serializer, &whole[..length])),
        }
    }
}

/// Whatever the bytes, both ways return.
pub fn random_bytes_never_panic(serializer: &dyn Serializer, carries: Carries) {
    let mut random = seed::random();
    let whole = sample(serializer, carries);
    for round in 0..20_000 {
        let mut bytes = vec![0; random.usize(..64)];
        random.fill(&mut bytes);
        if round % 2 == 0 {
            bytes.clone_from(&whole);
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
        }
        read_as_anything(serializer, &bytes);
    }
}

/// Depth without end and lengths without bytes: neither the stack nor the memory ends.
pub fn bombs_are_refused(serializer: &dyn Serializer, carries: Carries) {
    for byte in 0..=u8::MAX {
        read_as_anything(serializer, &vec![byte; 1 << 16]);
        for length in 1..10 {
            read_as_anything(serializer, &[&[byte][..], &vec![0xff; length]].concat());
            read_as_anything(serializer, &[&[byte][..], &vec![0x7f; length], &[1]].concat());
        }
    }
    if carries == Carries::All {
        let deep = nest(1_000);
        let written = write(serializer, &deep);
        take_apart(deep);
        // What cannot be read back must not be stored.
        let error = written.map(|bytes| bytes.len()).must_fail();
        assert_eq!(error.kind(), ErrorKind::Serialization, "{error}");
        let one = write(serializer, &nest(3)).must();
        let two = write(serializer, &nest(4)).must();
        // The bytes of one more level, as often as a stack cannot bear.
        let level = &two[..two.len() - one.len()];
        read_as_anything(serializer, &level.repeat(300_000));
    }
}

/// The number stands in every entry.
pub fn the_format_stays(serializer: &dyn Serializer, carries: Carries) {
    let format = serializer.format();
    assert_ne!(format, 0, "0 is no format");
    sample(serializer, carries);
    assert_eq!(serializer.format(), format);
}

/// One value has one form, whatever was written or failed before.
pub fn both_ways_keep_no_state(serializer: &dyn Serializer, carries: Carries) {
    let first = sample(serializer, carries);
    for _ in 0..3 {
        read_as_anything(serializer, &first[..first.len() / 2]);
        drop(write(serializer, &BTreeMap::from([((1_u8, 2_u8), 3_u8)])));
        assert_eq!(sample(serializer, carries), first);
    }
}

fn sample(serializer: &dyn Serializer, carries: Carries) -> Vec<u8> {
    match carries {
        Carries::All => write(serializer, &user()).must(),
        Carries::Bytes => write(serializer, &Blob(b"bytes".to_vec())).must(),
        Carries::Text => write(serializer, &"text").must(),
    }
}

fn round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    serializer: &dyn Serializer,
    value: &T,
) {
    let bytes = write(serializer, value).must();
    assert_eq!(read::<T>(serializer, &bytes).must(), *value);
}

fn equal_or_refused<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    serializer: &dyn Serializer,
    value: &T,
) {
    match write(serializer, value).and_then(|bytes| read::<T>(serializer, &bytes)) {
        Ok(found) => assert_eq!(found, *value, "it came back changed"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Serialization, "{error}"),
    }
}

/// Whether it is an error depends on the bytes; that it returns is the point.
fn read_as_anything(serializer: &dyn Serializer, bytes: &[u8]) {
    drop(read::<User>(serializer, bytes));
    drop(read::<IgnoredAny>(serializer, bytes));
    drop(read::<Vec<u64>>(serializer, bytes));
    drop(read::<Blob>(serializer, bytes));
    drop(read::<String>(serializer, bytes));
    drop(read::<BTreeMap<String, u64>>(serializer, bytes));
    drop(read::<Lists>(serializer, bytes));
    if let Ok(nest) = read::<Nest>(serializer, bytes) {
        take_apart(nest);
    }
}
