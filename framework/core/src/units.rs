//! Typed strings of the config file: durations, sizes, shares, secrets.
//!
//! Parsing is done by `humantime` and `bytesize`; this module adds the refusals. A bare number has
//! no unit, `M` reads as a month, `256M` is 1000- or 1024-based depending on whom you ask: each is
//! an error that says what to write instead.

use std::fmt;

use serde::de::Visitor;

/// Why a typed string was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnitError {
    /// A size unit that some read as a power of 1000 and some as a power of 1024.
    AmbiguousSize {
        /// The number before the unit.
        number: String,
        /// The unit in upper case: `K`, `M`, `G` or `T`.
        unit: char,
    },
    /// Months and years have no fixed length; `M` is mostly meant as minutes.
    Month {
        /// The number before the unit.
        number: String,
    },
    /// A number without a unit.
    NoUnit {
        /// The number.
        number: String,
    },
    /// A share below 0 or above 1 (or 100 %).
    OutOfRange,
    /// Not of the expected form at all.
    Syntax {
        /// What is wrong with it.
        reason: String,
    },
    /// Years have no fixed length.
    Year {
        /// The number before the unit.
        number: String,
    },
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AmbiguousSize { number, unit } => {
                write!(f, "ambiguous size: write `{number}{unit}iB` or `{number}{unit}B`")
            }
            Self::Month { number } => write!(
                f,
                "`M` (month) is not accepted as a duration unit: write `{number}m` for minutes"
            ),
            Self::NoUnit { number } => write!(f, "`{number}` has no unit"),
            Self::OutOfRange => f.write_str("out of range: expected 0 to 1, or `0%` to `100%`"),
            Self::Syntax { reason } => f.write_str(reason),
            Self::Year { number } => {
                write!(f, "years are not accepted as a duration unit: write days for `{number}y`")
            }
        }
    }
}

impl std::error::Error for UnitError {}

/// Reads a typed string out of a deserializer: what is expected, and how it is parsed.
pub(super) struct TextVisitor<T>(
    pub(super) &'static str,
    pub(super) fn(&str) -> Result<T, UnitError>,
);

impl<T> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.1)(text).map_err(|error| E::custom(format_args!("{error}")))
    }
}

/// serde and schema of a type that is written as a string.
macro_rules! typed_string {
    ($type:ty, $name:literal, $expecting:literal, $unit:literal, $pattern:literal) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str($crate::units::TextVisitor($expecting, Self::from_str))
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "x-unit": $unit, "pattern": $pattern })
            }
        }
    };
}

mod ahead;
mod duration;
mod secret;
mod share;
mod size;

pub use ahead::RefreshAhead;
pub use duration::{HumanDuration, Life};
pub use secret::Secret;
pub use share::Share;
pub use size::ByteSize;

#[cfg(test)]
mod tests;
