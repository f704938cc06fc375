//! Sizes in bytes: `64MiB`, `2GB`.

use std::fmt;
use std::str::FromStr;

use super::UnitError;

/// A size of the config file in bytes: `B kB MB GB TB KiB MiB GiB TiB`, exactly so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

/// The units of a size, as they must be written.
const SIZE_UNITS: [&str; 9] = ["B", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"];

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let text = text.trim();
        let unit_at = text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len());
        let (number, unit) = text.split_at(unit_at);
        let number = number.trim();
        if number.is_empty() {
            let reason = "expected a number and a unit, such as `64MiB`".to_string();
            return Err(UnitError::Syntax { reason });
        }
        match unit {
            "" => {
                return Err(UnitError::NoUnit { number: number.into() });
            }
            "K" | "k" | "M" | "m" | "G" | "g" | "T" | "t" => {
                let unit = unit.chars().next().unwrap_or('M').to_ascii_uppercase();
                return Err(UnitError::AmbiguousSize { number: number.into(), unit });
            }
            _ if SIZE_UNITS.contains(&unit) => {}
            _ => {
                let reason = format!("unknown size unit `{unit}`; units: {}", SIZE_UNITS.join(" "));
                return Err(UnitError::Syntax { reason });
            }
        }
        let plain: String = number.chars().filter(|c| *c != '_').collect();
        let parsed = bytesize::ByteSize::from_str(&format!("{plain}{unit}"));
        parsed.map(|size| Self(size.as_u64())).map_err(|_| {
            let reason = format!("`{number}` is not a number of bytes that fits");
            UnitError::Syntax { reason }
        })
    }
}

impl fmt::Display for ByteSize {
    /// The largest unit that divides it exactly, such as `64MiB` or `1500B`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, bytes) in
            [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
        {
            if self.0 >= bytes && self.0.is_multiple_of(bytes) {
                return write!(f, "{}{unit}", self.0 / bytes);
            }
        }
        write!(f, "{}B", self.0)
    }
}

typed_string!(
    ByteSize,
    "ByteSize",
    "a size such as `64MiB`",
    "size",
    r"^\s*[0-9][0-9_.]*\s*(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)\s*$|\$\{"
);
