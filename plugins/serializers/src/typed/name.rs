//! The name of a value's type: found out from what the value tells serde first, written, and read.

use std::cell::Cell;
use std::fmt;

use larder_core::erased_serde;
use serde::de::value::Error;
use serde::ser::Error as _;

use crate::narrow::refuse;

/// The MessagePack marker of an array of two.
const PAIR: u8 = 0x92;

/// What the value is called; the empty name if it says nothing at all.
pub(super) fn of(value: &dyn erased_serde::Serialize) -> &'static str {
    let found = Cell::new("");
    // The probe ends with an error as soon as it knows the name, so little of the value is seen.
    erased_serde::serialize(value, Probe { found: &found }).ok();
    found.get()
}

/// Appends the begin of a pair and the name.
pub(super) fn write(name: &str, out: &mut Vec<u8>) -> Result<(), rmp_serde::encode::Error> {
    out.push(PAIR);
    rmp_serde::encode::write(out, name)
}

/// Splits the bytes into the name and the value.
pub(super) fn read(bytes: &[u8]) -> Result<(&str, &[u8]), NameError> {
    let rest = bytes.strip_prefix(&[PAIR]).ok_or(NameError)?;
    let (&marker, rest) = rest.split_first().ok_or(NameError)?;
    let (length, rest) = match marker {
        0xa0..=0xbf => (usize::from(marker - 0xa0), rest),
        0xd9 => {
            let (&length, rest) = rest.split_first().ok_or(NameError)?;
            (usize::from(length), rest)
        }
        // No source file has an identifier that needs more than this.
        0xda => {
            let (&length, rest) = rest.split_first_chunk().ok_or(NameError)?;
            (usize::from(u16::from_be_bytes(length)), rest)
        }
        _ => return Err(NameError),
    };
    let (name, value) = rest.split_at_checked(length).ok_or(NameError)?;
    Ok((str::from_utf8(name).map_err(|_| NameError)?, value))
}

/// The bytes do not begin with the name of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NameError;

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes do not begin with the name of a type")
    }
}

impl std::error::Error for NameError {}

/// Notes what it is told first.
struct Probe<'a> {
    found: &'a Cell<&'static str>,
}

impl Probe<'_> {
    /// Every value is "refused", once its name is noted.
    fn refuse(self, kind: &'static str, name: Option<&'static str>) -> Error {
        self.found.set(name.unwrap_or(kind));
        Error::custom("the name is known")
    }
}

impl serde::Serializer for Probe<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_some<T: ?Sized + serde::Serialize>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn is_human_readable(&self) -> bool {
        // Types that write themselves in two ways must do it as they do for MessagePack.
        false
    }

    refuse! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str bytes none unit
        newtype_struct seq tuple tuple_struct map struct enum
    }
}
