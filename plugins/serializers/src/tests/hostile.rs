//! Bytes that nobody wrote: no panic, no stack that overflows, no memory out of proportion.

use larder_core::ErrorKind;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::*;

#[derive(Debug, Serialize, Deserialize)]
enum Nest {
    In(Box<Self>),
}

#[derive(Debug, Serialize, Deserialize)]
struct Chain(Option<Box<Self>>);

/// One of each that reads, as how a serializer writes makes no difference here.
fn readers() -> impl Iterator<Item = Named> {
    let alike = ["json pretty", "pickle 3", "pickle 5"];
    all().into_iter().filter(move |(name, _)| !alike.contains(name))
}

/// Reads the bytes as all kinds of types. Whether that fails depends on the bytes; that each
/// returns is the point.
fn read_as_anything(serializer: &dyn Serializer, bytes: &[u8]) {
    read::<Value>(serializer, bytes).ok();
    read::<IgnoredAny>(serializer, bytes).ok();
    read::<Sample>(serializer, bytes).ok();
    read::<User>(serializer, bytes).ok();
    read::<Vec<u64>>(serializer, bytes).ok();
    read::<Vec<()>>(serializer, bytes).ok();
    read::<HashMap<(), ()>>(serializer, bytes).ok();
    read::<BTreeMap<String, String>>(serializer, bytes).ok();
    read::<Blob>(serializer, bytes).ok();
    read::<String>(serializer, bytes).ok();
    read::<Nest>(serializer, bytes).ok();
}

/// Reads the bytes as above, and checks that no more memory was in use at any time than is in
/// proportion to them.
fn read_in_little_memory(name: &str, serializer: &dyn Serializer, bytes: &[u8]) {
    let used = allocation_counter::measure(|| read_as_anything(serializer, bytes));
    let most = 2 * 1024 * 1024 + 200 * bytes.len() as u64;
    assert!(used.bytes_max <= most, "{name} took {} for {bytes:x?}", used.bytes_max);
}

#[test]
fn bytes_that_are_left_over_are_refused() {
    for (name, serializer) in general() {
        let whole = write(&*serializer, &user()).unwrap();
        assert_eq!(read::<User>(&*serializer, &whole).unwrap(), user(), "{name}");
        for extra in [&b"1"[..], b"\0", b"\xc0", b"\xc1", b"\xdf", b"N.", b"."] {
            let bytes = [&whole[..], extra].concat();
            let error = read::<User>(&*serializer, &bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Serialization, "{name}");
            assert_eq!(error.operation(), Some("deserialize"), "{name}");
        }
    }
}

#[test]
fn a_truncated_value_is_refused_at_every_length() {
    for (name, serializer) in general() {
        let whole = write(&*serializer, &sample()).unwrap();
        for length in 0..whole.len() {
            let part = &whole[..length];
            // The last field of the sample takes no bytes of postcard.
            assert!(read::<Sample>(&*serializer, part).is_err(), "{name} at {length}");
            read_as_anything(&*serializer, part);
        }
    }
}

#[test]
fn a_flipped_bit_does_no_harm_anywhere() {
    for (name, serializer) in readers() {
        let whole = write(&*serializer, &user()).or_else(|_| write(&*serializer, &"some text"));
        let whole = whole.unwrap_or_else(|_| b"some bytes".to_vec());
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            read_in_little_memory(name, &*serializer, &bytes);
        }
    }
}

#[test]
fn a_byte_that_is_wrong_does_no_harm_in_a_large_value() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for (_, serializer) in readers() {
        let Ok(whole) = write(&*serializer, &sample()) else { continue };
        for index in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[index] = random.u8(..);
            read::<Sample>(&*serializer, &bytes).ok();
            read::<Value>(&*serializer, &bytes).ok();
        }
    }
}

#[test]
fn depth_bombs_do_not_overflow_the_stack() {
    let bombs: [&[u8]; 16] = [
        b"[",
        b"{",
        b"{\"In\":",
        b"\x91",
        b"\x81",
        b"\xdc",
        b"\x81\xa2In",
        b"\x81\x62In",
        b"\x9f",
        b"\xbf\x61a",
        b"\xc1",
        b"\0",
        b"\x01",
        b"](",
        b"}X\x02\0\0\0In",
        b"(",
    ];
    for (name, serializer) in all() {
        for bomb in bombs {
            let bytes = bomb.repeat((1 << 18) / bomb.len());
            assert!(read::<Nest>(&*serializer, &bytes).is_err(), "{name} {bomb:x?}");
            // All of them that are text are a value of `string`.
            let value = read::<Value>(&*serializer, &bytes);
            assert_eq!(value.is_ok(), name == "string" && bytes.is_ascii(), "{name} {bomb:x?}");
        }
    }
    // A byte for each level, which only Postcard has for an option.
    let chain = read::<Chain>(&Postcard::new(), &vec![1; 1 << 20]);
    assert_eq!(cause(chain), "the value is nested deeper than `127` levels");
}

#[test]
fn lengths_that_are_claimed_take_no_memory_and_no_time() {
    let claims: [&[u8]; 22] = [
        b"\xdd\xff\xff\xff\xff\x01",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\x92\xa3map\xdf\xff\xff\xff\xff",
        b"\x92\xda\xff\xff",
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\xbb\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x7b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x5f\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xc2\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\xff\xff\xff\xff\x0f",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xff.",
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x04X\xff\xff\xff\xff.",
        b"\x80\x04\x8b\xff\xff\xff\x7f.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xffN.",
        b"\x80\x04Nr\xff\xff\xff\xff.",
    ];
    for (name, serializer) in all() {
        for claim in claims {
            read_in_little_memory(name, &*serializer, claim);
        }
    }
}
