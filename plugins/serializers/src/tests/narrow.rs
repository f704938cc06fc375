//! `string` and `raw`, which take few types.

use std::borrow::Cow;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Title(String);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Picture(Vec<u8>);

fn kept<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(
    serializer: &dyn Serializer,
    value: &T,
    bytes: &[u8],
) {
    assert_eq!(write(serializer, value).unwrap(), bytes);
    assert_eq!(&read::<T>(serializer, bytes).unwrap(), value);
}

#[test]
fn text_is_stored_as_it_is() {
    let text = Text::new();
    kept(&text, &"Zoë\n".to_owned(), "Zoë\n".as_bytes());
    kept(&text, &String::new(), b"");
    kept(&text, &'ß', "ß".as_bytes());
    kept(&text, &Title("x".into()), b"x");
    kept(&text, &Box::new(Title("x".into())), b"x");
    kept(&text, &Cow::Borrowed("x"), b"x");
    kept(&text, &PathBuf::from("/srv/a"), b"/srv/a");
    kept(&text, &Ipv4Addr::LOCALHOST, b"127.0.0.1");
}

#[test]
fn what_is_no_text_is_refused_with_advice() {
    let refused = |value: &dyn erased_serde::Serialize, kind: &str| {
        let mut out = Vec::new();
        let error = Text::new().serialize(value, &mut out).unwrap_err();
        assert!(out.is_empty());
        assert!(error.to_string().contains("`json`"), "{error}");
        let expected = format!("expected a string, found a value of the kind `{kind}`");
        assert_eq!(cause(Err::<(), _>(error)), expected);
    };
    refused(&1_u8, "u8");
    refused(&user(), "struct");
    refused(&Plan::Free, "enum");
    refused(&Plan::Gift(None), "enum");
    refused(&Some("x"), "some");
    refused(&None::<String>, "none");
    refused(&vec!["x"], "seq");
    refused(&("x", "y"), "tuple");
    refused(&BTreeMap::from([("x", "y")]), "map");
    refused(&Blob(vec![1]), "bytes");
    refused(&(), "unit");
    refused(&Unit, "unit struct");
    refused(&Point(1.0, 1.0), "tuple struct");
    refused(&Meters(1), "i32");
}

#[test]
fn text_that_is_not_utf_8_or_no_value_of_the_type_is_refused() {
    let text = Text::new();
    assert!(read::<String>(&text, b"\xff").is_err());
    assert!(read::<char>(&text, b"ab").is_err());
    assert!(read::<u64>(&text, b"42").is_err());
    assert!(read::<Option<String>>(&text, b"42").is_err());
    assert!(read::<User>(&text, b"{}").is_err());
    assert!(read::<Ipv4Addr>(&text, b"127.0.0").is_err());
}

#[test]
fn bytes_are_stored_as_they_are_and_read_as_any_kind_of_bytes() {
    let raw = Raw::new();
    let bytes: Vec<u8> = (0..=255).collect();
    kept(&raw, &bytes, &bytes);
    kept(&raw, &Blob(bytes.clone()), &bytes);
    kept(&raw, &Picture(bytes.clone()), &bytes);
    kept(&raw, &[1_u8, 2, 3], &[1, 2, 3]);
    kept(&raw, &Vec::<u8>::new(), b"");
    assert_eq!(read::<Blob>(&raw, &bytes).unwrap(), Blob(bytes.clone()));
    assert_eq!(read::<Vec<u8>>(&raw, &write(&raw, &Blob(bytes.clone())).unwrap()).unwrap(), bytes);
}

#[test]
fn an_array_of_bytes_has_its_length() {
    assert!(read::<[u8; 3]>(&Raw::new(), b"ab").is_err());
    assert!(read::<[u8; 3]>(&Raw::new(), b"abcd").is_err(), "one is left over");
}

#[test]
fn what_is_no_bytes_is_refused_with_advice() {
    let refused = |value: &dyn erased_serde::Serialize, why: &str| {
        let error = Raw::new().serialize(value, &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("`string`"), "{error}");
        assert_eq!(cause(Err::<(), _>(error)), why);
    };
    refused(&"text", "expected bytes, found a value of the kind `str`");
    refused(&user(), "expected bytes, found a value of the kind `struct`");
    refused(&Some(vec![1_u8]), "expected bytes, found a value of the kind `some`");
    refused(&vec![1_u16], "expected a sequence of `u8`, found an element of the kind `u16`");
    refused(&vec![vec![1_u8]], "expected a sequence of `u8`, found an element of the kind `seq`");
    assert!(read::<u64>(&Raw::new(), b"12345678").is_err());
    assert!(read::<User>(&Raw::new(), b"12345678").is_err());
}
