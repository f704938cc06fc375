//! Durations and lives: `30s`, `1h30m`, `never`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::UnitError;

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
