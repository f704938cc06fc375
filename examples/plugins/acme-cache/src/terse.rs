//! `acme.terse`: MessagePack in which texts that the config lists take two bytes.
//!
//! Small values consist mostly of the names of their fields, the same in every entry. Those that
//! are listed are written as a number; everything else is what `messagepack` writes, so every value
//! comes back exactly as it was, and fields that nobody listed can come and go.
//!
//! An entry begins with how many names were listed when it was written, and a checksum of these.
//! The bytes after that are MessagePack, where `C1`, which MessagePack never uses, and the place in
//! the list stand for a text. So names may be added at the end of the list; after any other change
//! of it the entries of before are misses, and none is read as something else.

use std::collections::HashMap;

use larder_core::erased_serde;
use larder_core::serializer::{Visit, format_of};
use larder_core::{
    BuildContext, CacheError, Descriptor, ErrorKind, KeyPath, PluginConfig, Problem, Problems,
    Result, Serializer, async_trait, descriptor, messagepack, register,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Stands in front of the place of a text.
const LISTED: u8 = 0xc1;

/// How many names a byte can tell apart.
const MOST_NAMES: usize = 255;

/// A shorter text takes no more bytes than its number, a longer one is no name.
const LENGTHS: std::ops::RangeInclusive<usize> = 2..=255;

/// Options of `acme.terse`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TerseConfig {
    /// Texts that occur in most values: names of fields, of variants, frequent values. At most 255.
    /// Add others at the end only: entries that were written with another order are misses.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["fields", "dictionary", "keys"]))]
    pub names: Vec<String>,
}

impl TerseConfig {
    /// With these names, in this order.
    #[must_use]
    pub fn new<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self { names: names.into_iter().map(Into::into).collect() }
    }
}

#[async_trait]
impl PluginConfig for TerseConfig {
    const KIND: &'static str = "acme.terse";
    const SUMMARY: &'static str = "MessagePack in which listed names take two bytes";
    type Plugin = Terse;

    fn validate(&self, at: &KeyPath) -> Result<(), Problems> {
        let at = at.join("names");
        if self.names.len() > MOST_NAMES {
            let message = format!("`{}` names are more than {MOST_NAMES}", self.names.len());
            return Err(Problem::new(at, message).help("list those that occur most often").into());
        }
        for (place, name) in self.names.iter().enumerate() {
            let problem = |message: String| Problem::new(at.join(place.to_string()), message);
            if !LENGTHS.contains(&name.len()) {
                let message = format!("`{name}` has `{}` bytes, not 2 to 255", name.len());
                return Err(problem(message).help("leave it out: it is written in full").into());
            }
            if self.names[..place].contains(name) {
                let message = format!("`{name}` is listed twice");
                return Err(problem(message).help("leave one of them out").into());
            }
        }
        Ok(())
    }

    async fn build(self, _context: &BuildContext) -> Result<Terse> {
        Ok(Terse::new(self.names))
    }
}

/// Writes and reads terse MessagePack.
#[derive(Clone, Debug)]
pub struct Terse {
    names: Vec<String>,
    places: HashMap<Vec<u8>, u8>,
    /// The checksum of the first names, for every number of them.
    sums: Vec<u16>,
}

impl Terse {
    fn new(names: Vec<String>) -> Self {
        let places = (0..=u8::MAX).zip(&names);
        let places = places.map(|(place, name)| (name.as_bytes().to_vec(), place)).collect();
        let sums = names.iter().scan(0, |sum, name| {
            // The byte after each keeps `ab`, `c` apart from `a`, `bc`.
            *sum = crc32c::crc32c_append(*sum, &[name.as_bytes(), &[0xff]].concat());
            Some((*sum ^ (*sum >> 16)) as u16)
        });
        let sums = std::iter::once(0).chain(sums).collect();
        Self { names, places, sums }
    }

    /// MessagePack with the numbers of names instead of names.
    fn shorten(&self, packed: &[u8], out: &mut Vec<u8>) {
        let count = self.sums.len() - 1;
        out.push(count as u8);
        out.extend_from_slice(&self.sums[count].to_le_bytes());
        let mut rest = packed;
        while let Some((token, after)) = split(rest) {
            match text(token).and_then(|text| self.places.get(text)) {
                Some(place) => out.extend_from_slice(&[LISTED, *place]),
                None => out.extend_from_slice(token),
            }
            rest = after;
        }
    }

    /// The way back; `None` if the bytes were not written with these names.
    fn lengthen(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let ([count, low, high], mut rest) = bytes.split_first_chunk()?;
        let sum = self.sums.get(usize::from(*count))?;
        if *sum != u16::from_le_bytes([*low, *high]) {
            return None;
        }
        let mut packed = Vec::with_capacity(rest.len() * 2);
        while !rest.is_empty() {
            if let [LISTED, place, after @ ..] = rest {
                let name = self.names[..usize::from(*count)].get(usize::from(*place))?;
                write_text(name, &mut packed);
                rest = after;
                continue;
            }
            let (token, after) = split(rest)?;
            packed.extend_from_slice(token);
            rest = after;
        }
        Some(packed)
    }
}

impl Serializer for Terse {
    fn format(&self) -> u16 {
        format_of(TerseConfig::KIND)
    }

    fn serialize(&self, value: &dyn erased_serde::Serialize, out: &mut Vec<u8>) -> Result<()> {
        let mut packed = Vec::new();
        let mut packer = rmp_serde::Serializer::new(&mut packed).with_struct_map();
        erased_serde::serialize(value, &mut packer)
            .map_err(|error| failed("the value cannot be serialized").caused_by(error))?;
        // What would be refused when it is read must not be stored.
        messagepack::check(&packed)
            .map_err(|error| failed("the value cannot be serialized").caused_by(error))?;
        self.shorten(&packed, out);
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        let packed = self.lengthen(bytes);
        let packed = packed.ok_or_else(|| failed("the bytes were written with other names"))?;
        let unreadable = || failed("the bytes cannot be read as this type");
        messagepack::check(&packed).map_err(|error| unreadable().caused_by(error))?;
        let mut reader = rmp_serde::Deserializer::from_read_ref(&packed[..]);
        visit(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut reader))
            .map_err(|error| unreadable().caused_by(error))
    }
}

fn failed(message: &'static str) -> CacheError {
    CacheError::new(ErrorKind::Serialization, message).with("serializer", TerseConfig::KIND)
}

/// A marker of MessagePack with the bytes that belong to it, but not the values in it, and the
/// rest; `None` if bytes are missing.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let marker = *bytes.first()?;
    let head = head(marker);
    // The last bytes of the head are the length of what follows.
    let counted = bytes.get(1..head)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    let length = match marker {
        0xa0..=0xbf => usize::from(marker - 0xa0),
        0xc4..=0xc6 | 0xd9..=0xdb => counted,
        // Extensions have a type.
        0xc7..=0xc9 => counted + 1,
        0xca..=0xd3 => number_length(marker),
        0xd4..=0xd8 => (1 << (marker - 0xd4)) + 1,
        _ => 0,
    };
    bytes.split_at_checked(head + length)
}

/// How many bytes a marker takes with its length.
const fn head(marker: u8) -> usize {
    match marker {
        0xc4 | 0xc7 | 0xd9 => 2,
        0xc5 | 0xc8 | 0xda | 0xdc | 0xde => 3,
        0xc6 | 0xc9 | 0xdb | 0xdd | 0xdf => 5,
        _ => 1,
    }
}

/// How many bytes a number takes, of those that do not fit into their marker.
const fn number_length(marker: u8) -> usize {
    match marker {
        0xcc | 0xd0 => 1,
        0xcd | 0xd1 => 2,
        0xca | 0xce | 0xd2 => 4,
        _ => 8,
    }
}

/// The text, if it is one.
fn text(token: &[u8]) -> Option<&[u8]> {
    match token.first()? {
        marker @ (0xa0..=0xbf | 0xd9..=0xdb) => token.get(head(*marker)..),
        _ => None,
    }
}

/// As MessagePack writes a text of such a length.
fn write_text(name: &str, out: &mut Vec<u8>) {
    match name.len() as u8 {
        short @ ..=31 => out.push(0xa0 + short),
        long => out.extend_from_slice(&[0xd9, long]),
    }
    out.extend_from_slice(name.as_bytes());
}

/// The plugin, for explicit registration.
pub const TERSE: Descriptor = descriptor!(serializer: TerseConfig);

register!(serializer: TerseConfig);

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct User {
        id: u32,
        name: String,
        is_active: bool,
    }

    fn user() -> User {
        User { id: 7, name: "name".to_owned(), is_active: true }
    }

    fn with(names: &[&str]) -> Terse {
        Terse::new(names.iter().map(ToString::to_string).collect())
    }

    fn write(terse: &Terse, value: &User) -> Vec<u8> {
        let mut bytes = Vec::new();
        terse.serialize(value, &mut bytes).unwrap();
        bytes
    }

    fn read(terse: &Terse, bytes: &[u8]) -> Result<User> {
        let mut value = None;
        terse.deserialize(bytes, &mut |reader| {
            value = Some(erased_serde::deserialize(reader)?);
            Ok(())
        })?;
        Ok(value.expect("it was read"))
    }

    #[test]
    fn a_listed_name_takes_two_bytes_wherever_it_stands() {
        let none = write(&with(&[]), &user());
        let some = write(&with(&["name", "is_active"]), &user());
        assert_eq!(none.len() - some.len(), 2 * ("name".len() - 1) + "is_active".len() - 1);
        assert_eq!(read(&with(&["name", "is_active"]), &some).unwrap(), user());
    }

    #[test]
    fn names_may_be_added_at_the_end_and_nowhere_else() {
        let bytes = write(&with(&["id", "name"]), &user());
        assert_eq!(read(&with(&["id", "name", "is_active"]), &bytes).unwrap(), user());
        for other in [&["name", "id"][..], &["id"], &["idn", "ame"], &["is_active", "id", "name"]] {
            let error = read(&with(other), &bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Serialization, "{other:?}: {error}");
        }
    }

    #[test]
    fn a_place_that_was_not_listed_is_refused() {
        let terse = with(&["id", "name"]);
        let mut bytes = write(&terse, &user());
        let place = bytes.iter().position(|byte| *byte == LISTED).unwrap() + 1;
        bytes[place] = 2;
        assert!(read(&terse, &bytes).is_err());
    }

    #[test]
    fn names_that_gain_nothing_are_refused_with_their_place() {
        let wrong = [vec!["id", "x"], vec!["id", "id"]];
        for names in wrong {
            let problems = TerseConfig::new(names).validate(&KeyPath::root()).unwrap_err();
            let at: Vec<String> = problems.iter().map(|one| one.path.to_string()).collect();
            assert_eq!(at, ["names.1"], "{problems}");
        }
        let many = TerseConfig::new((0..256).map(|number| format!("name {number}")));
        assert!(many.validate(&KeyPath::root()).is_err());
    }
}
