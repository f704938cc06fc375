//! `typed`, which does not read one type as another.

use super::*;

/// Has the fields of `User` and another name.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Customer {
    id: u64,
    name: String,
    plan: Plan,
}

/// Has another name in Rust and the same for serde.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "User")]
struct Renamed {
    id: u64,
    name: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct UserId(u64);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct OrderId(u64);

fn refused<W: Serialize, R: DeserializeOwned + fmt::Debug>(value: &W, why: &str) {
    let bytes = write(&Typed::new(), value).unwrap();
    assert_eq!(cause(read::<R>(&Typed::new(), &bytes)), why);
}

#[test]
fn a_value_is_not_read_as_another_type_of_the_same_shape() {
    let why = "the entry holds a value of the type `User`, not `Customer`";
    refused::<_, Customer>(&user(), why);
    refused::<_, OrderId>(
        &UserId(1),
        "the entry holds a value of the type `UserId`, not `OrderId`",
    );
    refused::<_, u64>(&UserId(1), "the entry holds a value of the type `UserId`, not `u64`");
    refused::<_, u64>(&1_u32, "the entry holds a value of the type `u32`, not `u64`");
    refused::<_, String>(&'x', "the entry holds a value of the type `char`, not `str`");
    refused::<_, (u8, u8)>(
        &vec![1_u8; 2],
        "the entry holds a value of the type `seq`, not `tuple`",
    );
    refused::<_, Unit>(&(), "the entry holds a value of the type `unit`, not `Unit`");
    refused::<_, Blob>(&vec![1_u8], "the entry holds a value of the type `seq`, not `bytes`");
    refused::<_, User>(
        &BTreeMap::from([("id", 1)]),
        "the entry holds a value of the type `map`, not `User`",
    );
}

#[test]
fn serde_can_keep_the_name_of_a_type() {
    let bytes = write(&Typed::new(), &user()).unwrap();
    let renamed: Renamed = read(&Typed::new(), &bytes).unwrap();
    assert_eq!(renamed, Renamed { id: 42, name: "Zoë".into() });
}

#[test]
fn an_option_has_the_name_of_what_is_inside() {
    let typed = Typed::new();
    let some = write(&typed, &Some(user())).unwrap();
    assert_eq!(some, write(&typed, &user()).unwrap());
    assert_eq!(read::<Option<User>>(&typed, &some).unwrap(), Some(user()));
    assert_eq!(
        cause(read::<Option<Customer>>(&typed, &some)),
        "the entry holds a value of the type `User`, not `Customer`"
    );
    let none = write(&typed, &None::<User>).unwrap();
    assert_eq!(read::<Option<User>>(&typed, &none).unwrap(), None);
    assert!(read::<User>(&typed, &none).is_err());
}

#[test]
fn what_reads_anything_reads_anything() {
    let bytes = write(&Typed::new(), &user()).unwrap();
    let value: serde_json::Value = read(&Typed::new(), &bytes).unwrap();
    assert_eq!(value["name"], "Zoë");
}

#[test]
fn the_bytes_are_messagepack_with_the_name_in_front() {
    let bytes = write(&Typed::new(), &user()).unwrap();
    let (name, found): (String, User) = read(&MessagePack::new(), &bytes).unwrap();
    assert_eq!((name.as_str(), found), ("User", user()));
}

#[test]
fn bytes_without_a_name_are_refused() {
    for bytes in [
        &b""[..],
        b"\x92",
        b"\x92\xa4Use",
        b"\x92\xc0\xc0",
        b"\x93\xa1a\xc0\xc0",
        b"\x92\xd9",
        b"\x92\xda\x01",
        b"\x92\xa1\xff\xc0",
    ] {
        let why = cause(read::<User>(&Typed::new(), bytes));
        assert_eq!(why, "the bytes do not begin with the name of a type", "{bytes:x?}");
    }
}

#[test]
fn long_names_are_kept() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct ANameOfMoreThanThirtyOneLettersForATypeOfNoImportance(u8);
    let value = ANameOfMoreThanThirtyOneLettersForATypeOfNoImportance(1);
    let bytes = write(&Typed::new(), &value).unwrap();
    let found: ANameOfMoreThanThirtyOneLettersForATypeOfNoImportance =
        read(&Typed::new(), &bytes).unwrap();
    assert_eq!(found, value);
}
