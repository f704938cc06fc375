//! Shares of a whole: `0.8`, `10%`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Unexpected, Visitor};
use serde::{Serialize, Serializer};

use super::UnitError;

/// A share from 0 to 1: a number, or a string such as `"10%"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Share(f64);

impl Share {
    /// A share of the whole.
    ///
    /// # Errors
    ///
    /// [`UnitError::OutOfRange`] when it is not from 0 to 1.
    pub fn new(share: f64) -> Result<Self, UnitError> {
        if (0.0..=1.0).contains(&share) { Ok(Self(share)) } else { Err(UnitError::OutOfRange) }
    }

    /// The share as a number from 0 to 1.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl FromStr for Share {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let reason = || UnitError::Syntax { reason: "expected a share such as `10%`".into() };
        let text = text.trim();
        let (number, scale) = match text.strip_suffix('%') {
            Some(number) => (number.trim(), 100.0),
            None => (text, 1.0),
        };
        let number: f64 = number.parse().map_err(|_| reason())?;
        Self::new(number / scale)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded to a millionth, so that 7 % does not print as 7.000000000000001 %.
        let percent = (self.0 * 1e8).round() / 1e6;
        write!(f, "{percent}%")
    }
}

struct ShareVisitor;

impl Visitor<'_> for ShareVisitor {
    type Value = Share;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a share: a number from 0 to 1, or a string such as `10%`")
    }

    fn visit_f64<E: serde::de::Error>(self, share: f64) -> Result<Share, E> {
        Share::new(share).map_err(|_| E::invalid_value(Unexpected::Float(share), &self))
    }

    fn visit_i64<E: serde::de::Error>(self, share: i64) -> Result<Share, E> {
        match share {
            0 => Ok(Share(0.0)),
            1 => Ok(Share(1.0)),
            _ => Err(E::invalid_value(Unexpected::Signed(share), &self)),
        }
    }

    fn visit_u64<E: serde::de::Error>(self, share: u64) -> Result<Share, E> {
        self.visit_i64(i64::try_from(share).unwrap_or(i64::MAX))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Share, E> {
        Share::from_str(text).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShareVisitor)
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Share {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["number", "string"],
            "x-unit": "share",
            "minimum": 0,
            "maximum": 1,
        })
    }
}
