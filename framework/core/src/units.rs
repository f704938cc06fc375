//! Typed strings of the config file: durations, sizes, shares, secrets.
//!
//! Parsing is done by `humantime` and `bytesize`; this module adds the refusals. A bare number has
//! no unit, `M` reads as a month, `256M` is 1000- or 1024-based depending on whom you ask: each is
//! an error that says what to write instead.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserialize, Deserializer, Unexpected, Visitor};
use serde::{Serialize, Serializer};

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

/// A duration of the config file: `ns us ms s m h d w`, combined, such as `1h30m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanDuration(pub Duration);

/// The units of a duration, longest first, and how many nanoseconds each has.
const DURATION_UNITS: [(&str, u128); 8] = [
    ("w", 604_800_000_000_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl FromStr for HumanDuration {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(UnitError::Syntax { reason: "the duration is empty".into() });
        }
        if text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '_')) {
            return Err(UnitError::NoUnit { number: text.into() });
        }
        for (number, unit) in number_unit_pairs(text) {
            match unit {
                "M" | "month" | "months" => {
                    return Err(UnitError::Month { number: number.into() });
                }
                "y" | "Y" | "year" | "years" | "yr" | "yrs" => {
                    return Err(UnitError::Year { number: number.into() });
                }
                _ if DURATION_UNITS.iter().any(|(name, _)| *name == unit) => {}
                _ => {
                    let reason = format!("unknown duration unit `{unit}`");
                    return Err(UnitError::Syntax { reason });
                }
            }
        }
        let parsed = humantime::parse_duration(text);
        parsed.map(Self).map_err(|error| UnitError::Syntax { reason: error.to_string() })
    }
}

/// Splits `1h30m` into (`1`, `h`) and (`30`, `m`).
fn number_unit_pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text.trim();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let unit_at = rest.find(|c: char| c.is_alphabetic()).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(unit_at);
        let next_at = tail.find(|c: char| !c.is_alphabetic()).unwrap_or(tail.len());
        let (unit, next) = tail.split_at(next_at);
        rest = next.trim_start();
        Some((number.trim(), unit))
    })
}

impl fmt::Display for HumanDuration {
    /// The shortest exact form that parses back, such as `1h30m` or `1500ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_nanos();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, nanos) in DURATION_UNITS {
            if rest >= nanos {
                write!(f, "{}{unit}", rest / nanos)?;
                rest %= nanos;
            }
        }
        Ok(())
    }
}

/// How long something may live: a duration, or for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Life {
    /// At most this long.
    For(Duration),
    /// No limit; written `never` or `none`.
    Never,
}

impl Life {
    /// The duration; `None` for [`Never`](Self::Never).
    #[must_use]
    pub const fn duration(self) -> Option<Duration> {
        match self {
            Self::For(duration) => Some(duration),
            Self::Never => None,
        }
    }

    /// The shorter of two lives.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        match (self, other) {
            (Self::For(a), Self::For(b)) => Self::For(a.min(b)),
            (Self::Never, life) | (life, Self::Never) => life,
        }
    }
}

impl From<Duration> for Life {
    fn from(duration: Duration) -> Self {
        Self::For(duration)
    }
}

impl From<Option<Duration>> for Life {
    fn from(duration: Option<Duration>) -> Self {
        duration.map_or(Self::Never, Self::For)
    }
}

impl FromStr for Life {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        match text.trim() {
            "never" | "none" => Ok(Self::Never),
            other => HumanDuration::from_str(other).map(|duration| Self::For(duration.0)),
        }
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(duration) => HumanDuration(*duration).fmt(f),
            Self::Never => f.write_str("never"),
        }
    }
}

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

/// A secret of the config: `Debug` and diagnostics never show it.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(SecretString::from(secret.into()))
    }

    /// The secret itself; for the one place that hands it to a server.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("•••")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "x-secret": true })
    }
}

struct TextVisitor<T>(&'static str, fn(&str) -> Result<T, UnitError>);

impl<T> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.1)(text).map_err(|error| E::custom(format_args!("{error}")))
    }
}

macro_rules! typed_string {
    ($type:ty, $name:literal, $expecting:literal, $unit:literal, $pattern:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(TextVisitor($expecting, Self::from_str))
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "x-unit": $unit, "pattern": $pattern })
            }
        }
    };
}

typed_string!(
    HumanDuration,
    "HumanDuration",
    "a duration such as `30s` or `1h30m`",
    "duration",
    r"^\s*([0-9]+\s*(ns|us|ms|s|m|h|d|w)\s*)+$|\$\{"
);
typed_string!(
    Life,
    "Life",
    "a duration such as `30s`, or `never`",
    "life",
    r"^\s*(never|none|([0-9]+\s*(ns|us|ms|s|m|h|d|w)\s*)+)$|\$\{"
);
typed_string!(
    ByteSize,
    "ByteSize",
    "a size such as `64MiB`",
    "size",
    r"^\s*[0-9][0-9_.]*\s*(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)\s*$|\$\{"
);

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
        json_schema!({ "type": ["number", "string"], "x-unit": "share", "minimum": 0, "maximum": 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn duration(text: &str) -> Result<Duration, UnitError> {
        text.parse::<HumanDuration>().map(|duration| duration.0)
    }

    #[test]
    fn durations_need_a_unit_and_refuse_months_and_years() {
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("2h 5s"), Ok(Duration::from_secs(7205)));
        assert_eq!(duration("250us"), Ok(Duration::from_micros(250)));
        assert_eq!(duration("1800"), Err(UnitError::NoUnit { number: "1800".into() }));
        assert_eq!(duration("5M"), Err(UnitError::Month { number: "5".into() }));
        assert_eq!(duration("1h5M"), Err(UnitError::Month { number: "5".into() }));
        assert_eq!(duration("2y"), Err(UnitError::Year { number: "2".into() }));
        for text in ["", "fast", "-5s", "1e3s", "5 parsecs", "99999999999999999999s"] {
            assert!(matches!(duration(text), Err(UnitError::Syntax { .. })), "{text}");
        }
    }

    #[test]
    fn a_duration_prints_as_it_parses() {
        for text in ["1h30m", "1s500ms", "2w", "7ns", "14d"] {
            let parsed: HumanDuration = text.parse().unwrap();
            assert_eq!(parsed.to_string().parse::<HumanDuration>().unwrap(), parsed);
        }
        assert_eq!(HumanDuration(Duration::from_secs(1_209_600)).to_string(), "2w");
    }

    #[test]
    fn lives_know_never() {
        assert_eq!("never".parse(), Ok(Life::Never));
        assert_eq!("none".parse(), Ok(Life::Never));
        assert_eq!("5s".parse(), Ok(Life::For(Duration::from_secs(5))));
        assert_eq!(Life::Never.min(Life::For(Duration::ZERO)), Life::For(Duration::ZERO));
    }

    #[test]
    fn sizes_must_say_1000_or_1024() {
        assert_eq!("256MiB".parse(), Ok(ByteSize(268_435_456)));
        assert_eq!("256MB".parse(), Ok(ByteSize(256_000_000)));
        assert_eq!("1.5KiB".parse(), Ok(ByteSize(1536)));
        assert_eq!("10 kB".parse(), Ok(ByteSize(10_000)));
        let ambiguous = UnitError::AmbiguousSize { number: "256".into(), unit: 'M' };
        assert_eq!("256M".parse::<ByteSize>(), Err(ambiguous.clone()));
        assert_eq!("256m".parse::<ByteSize>(), Err(ambiguous));
        assert_eq!("64".parse::<ByteSize>(), Err(UnitError::NoUnit { number: "64".into() }));
        assert!("64mib".parse::<ByteSize>().is_err());
        assert_eq!(ByteSize(64 << 20).to_string(), "64MiB");
    }

    #[test]
    fn shares_are_numbers_or_percentages() {
        let share = |text: &str| serde_json::from_str::<Share>(text).map(Share::get).ok();
        assert_eq!(share("0.8"), Some(0.8));
        assert_eq!(share("\"10%\""), Some(0.1));
        assert_eq!(share("1"), Some(1.0));
        assert_eq!(share("2"), None);
        assert_eq!(share("\"110%\""), None);
        assert_eq!(Share::new(0.07).unwrap().to_string(), "7%");
    }

    #[test]
    fn a_secret_does_not_print() {
        let secret: Secret = serde_json::from_str("\"hunter2\"").unwrap();
        assert_eq!(format!("{secret:?}"), "•••");
        assert_eq!(secret.expose(), "hunter2");
    }
}
