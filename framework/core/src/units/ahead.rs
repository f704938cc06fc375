//! When an entry is loaded again before its life is over: `0.8`, `80%`, `auto`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

use super::{Share, UnitError};

/// When an entry that is read is loaded again in the background.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum RefreshAhead {
    /// After this share of its life.
    After(Share),
    /// The sooner the longer its load takes, by chance, so that those who share it do not all load
    /// at the same moment; written `auto`.
    Auto,
}

impl FromStr for RefreshAhead {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        match text.trim() {
            "auto" => Ok(Self::Auto),
            other => Share::from_str(other).map(Self::After).map_err(|error| match error {
                UnitError::Syntax { .. } => UnitError::Syntax {
                    reason: "expected a share such as `80%`, or `auto`".to_owned(),
                },
                other => other,
            }),
        }
    }
}

impl fmt::Display for RefreshAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(share) => share.fmt(f),
            Self::Auto => f.write_str("auto"),
        }
    }
}

struct AheadVisitor;

impl Visitor<'_> for AheadVisitor {
    type Value = RefreshAhead;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a share such as `0.8` or `80%`, or `auto`")
    }

    fn visit_f64<E: serde::de::Error>(self, share: f64) -> Result<RefreshAhead, E> {
        Share::new(share).map(RefreshAhead::After).map_err(E::custom)
    }

    fn visit_i64<E: serde::de::Error>(self, share: i64) -> Result<RefreshAhead, E> {
        self.visit_f64(share as f64)
    }

    fn visit_u64<E: serde::de::Error>(self, share: u64) -> Result<RefreshAhead, E> {
        self.visit_f64(share as f64)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<RefreshAhead, E> {
        RefreshAhead::from_str(text).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for RefreshAhead {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AheadVisitor)
    }
}

impl Serialize for RefreshAhead {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for RefreshAhead {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "RefreshAhead".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["number", "string"],
            "x-unit": "ahead",
            "minimum": 0,
            "maximum": 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_auto_are_read_and_written_the_same_way() {
        for text in ["80%", "auto", "7%"] {
            assert_eq!(text.parse::<RefreshAhead>().unwrap().to_string(), text);
        }
        let number: RefreshAhead = serde_json::from_str("0.8").unwrap();
        assert_eq!(number, "80%".parse().unwrap());
        for wrong in ["1.5", "-0.1", "\"soon\"", "true"] {
            assert!(serde_json::from_str::<RefreshAhead>(wrong).is_err(), "{wrong}");
        }
    }
}
