//! The bytes of every format, which must stay readable for ever.
//!
//! `vectors.txt` has a line for each value and serializer. A line that changes makes the entries
//! of all users unreadable, or at least larger; a new format gets new lines.

use std::fmt::Write as _;

use super::*;

const VECTORS: &str = include_str!("vectors.txt");

/// Appends the lines of a value, and reads back what the file says of it.
fn freeze<T>(lines: &mut String, what: &str, value: &T)
where
    T: Serialize + DeserializeOwned + PartialEq + fmt::Debug,
{
    for (name, serializer) in all() {
        let Ok(bytes) = write(&*serializer, value) else { continue };
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(lines, "{what}\t{name}\t{hex}").unwrap();
        assert_eq!(&read::<T>(&*serializer, &bytes).unwrap(), value, "{name}");
    }
}

#[test]
fn the_bytes_of_every_format_are_frozen() {
    let mut lines = String::new();
    freeze(&mut lines, "user", &user());
    freeze(&mut lines, "sample", &sample());
    freeze(&mut lines, "unit", &());
    freeze(&mut lines, "none", &None::<u8>);
    freeze(&mut lines, "true", &true);
    freeze(&mut lines, "u8", &255_u8);
    freeze(&mut lines, "u64", &u64::MAX);
    freeze(&mut lines, "u128", &u128::MAX);
    freeze(&mut lines, "i64", &i64::MIN);
    freeze(&mut lines, "i128", &i128::MIN);
    freeze(&mut lines, "f32", &0.1_f32);
    freeze(&mut lines, "f64", &-1.5_f64);
    freeze(&mut lines, "text", &"Zoë €😀".to_owned());
    freeze(&mut lines, "char", &'ß');
    freeze(&mut lines, "bytes", &Blob(b"\0\x7f\xff".to_vec()));
    freeze(&mut lines, "vec-u8", &vec![0_u8, 127, 255]);
    freeze(&mut lines, "tuple", &(1, "a".to_owned(), [2.5]));
    freeze(&mut lines, "map", &BTreeMap::from([(-1, Some(true)), (300, None)]));
    freeze(&mut lines, "newtype", &Meters(-70_000));
    freeze(&mut lines, "unit-struct", &Unit);
    freeze(&mut lines, "variants", &[Plan::Free, Plan::Trial(1, 'x'), Plan::Gift(None)]);
    let (found, frozen): (Vec<&str>, Vec<&str>) =
        (lines.lines().collect(), VECTORS.lines().collect());
    if found != frozen {
        let all = found.iter().zip(&frozen).filter(|(found, frozen)| found != frozen);
        for (found, frozen) in all {
            println!("frozen {frozen}\n found {found}");
        }
        panic!("the bytes are not those of vectors.txt; all lines are:\n{lines}");
    }
}

#[test]
fn options_change_nothing_about_what_can_be_read() {
    let pretty = Json::new(JsonConfig { pretty: true });
    let text = write(&Json::default(), &user()).unwrap();
    assert_eq!(read::<User>(&pretty, &text).unwrap(), user());
    for (written, reads) in [(2, 5), (3, 4), (4, 2), (5, 3)] {
        let bytes = write(&pickle(written), &sample()).unwrap();
        assert_eq!(read::<Sample>(&pickle(reads), &bytes).unwrap(), sample());
    }
}
