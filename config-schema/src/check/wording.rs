//! What to write instead of a duration, size or share that was refused.

use larder_core::units::UnitError;

use super::options::Spot;
use super::scalars::{requote, shown};
use crate::diagnostic::{Diagnostic, Fix};
use crate::tree::{Node, SourceKind, Sources, Value};

const DURATION_UNITS: &str =
    "units: ns us ms s m h d w, also combined: \"1h30m\"; \"never\" switches expiry off";
const PLAIN_DURATION_UNITS: &str = "units: ns us ms s m h d w, also combined: \"1h30m\"";
const SIZE_UNITS: &str = "units: B kB MB GB TB KiB MiB GiB TiB";

/// The diagnostic for a refused typed string, and the label for its place.
pub(super) fn unit_error(
    sources: &Sources,
    spot: Spot<'_, '_>,
    unit: &str,
    error: &UnitError,
) -> (Diagnostic, String) {
    match error {
        UnitError::NoUnit { number } if unit == "size" => size_without_unit(number),
        UnitError::NoUnit { number } => duration_without_unit(sources, spot, unit, number),
        UnitError::Month { number } => long_unit(sources, spot, number, 'M', "month", 30),
        UnitError::Year { number } => long_unit(sources, spot, number, 'y', "year", 365),
        UnitError::AmbiguousSize { number, unit } => ambiguous_size(spot, number, *unit),
        UnitError::OutOfRange => {
            let message = format!("`{}` must be from 0 to 1, or `0%` to `100%`", spot.path);
            let mut diagnostic = Diagnostic::error("C0209", message);
            if let Some(percent) = percent(spot.node) {
                let help = format!("write `\"{percent}%\"` for {percent} percent");
                diagnostic = diagnostic.help(help);
            }
            (diagnostic, "out of range".into())
        }
        other => malformed(sources, spot, unit, other),
    }
}

/// The number that would be a share with a `%` behind it.
fn percent(node: &Node) -> Option<f64> {
    let number = match &node.value {
        Value::Integer(number) => *number as f64,
        Value::Float(number) => *number,
        Value::String(text) if node.reference.is_none() => text.trim().parse().ok()?,
        _ => return None,
    };
    (1.0..=100.0).contains(&number).then_some(number)
}

fn duration_without_unit(
    sources: &Sources,
    spot: Spot<'_, '_>,
    unit: &str,
    number: &str,
) -> (Diagnostic, String) {
    let diagnostic = Diagnostic::error("C0205", "duration without a unit");
    let plain: String = number.chars().filter(|c| *c != '_').collect();
    let seconds = plain.parse::<u64>().map_or_else(
        |_| format!("{plain}s"),
        |seconds| larder_core::HumanDuration(std::time::Duration::from_secs(seconds)).to_string(),
    );
    let label = "seconds? milliseconds?".to_owned();
    let source = sources.get(spot.node.at.source);
    match source.kind {
        SourceKind::Environment => {
            let help = format!("export {}={seconds}", source.name);
            (diagnostic.help(help), label)
        }
        _ => {
            let units = if unit == "life" { DURATION_UNITS } else { PLAIN_DURATION_UNITS };
            let help = format!(
                "write `\"{seconds}\"` for {plain} seconds or `\"{plain}ms\"` for {plain} \
                 milliseconds"
            );
            (diagnostic.help(help).note(units), label)
        }
    }
}

fn long_unit(
    sources: &Sources,
    spot: Spot<'_, '_>,
    number: &str,
    letter: char,
    word: &str,
    days: u64,
) -> (Diagnostic, String) {
    let message = format!("`{letter}` ({word}) is not accepted as a duration unit");
    let diagnostic = Diagnostic::error("C0206", message);
    let label = format!("{} {word}s?", in_words(number));
    let in_days = number.parse::<u64>().ok();
    let in_days = in_days.and_then(|count| count.checked_mul(days));
    let at = spot.node.at.clone();
    let text = spot.node.as_str().unwrap_or_default();
    let diagnostic = match (letter, in_days) {
        ('M', Some(in_days)) if spot.node.reference.is_none() => {
            let help = format!(
                "for {} minutes use a lower-case `m`; for {in_days} days write `{in_days}d`",
                in_words(number)
            );
            let text = requote(sources, &at, &text.replace('M', "m"));
            diagnostic.fix(Fix::replace(help, at, text))
        }
        (_, Some(in_days)) => diagnostic.help(format!("for {in_days} days write `{in_days}d`")),
        (_, None) => diagnostic.note(DURATION_UNITS),
    };
    (diagnostic, label)
}

fn in_words(number: &str) -> String {
    const WORDS: [&str; 12] = [
        "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
        "twelve",
    ];
    let word = number.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
    let word = word.and_then(|index| WORDS.get(index));
    word.map_or_else(|| number.to_owned(), |word| (*word).to_owned())
}

fn size_without_unit(number: &str) -> (Diagnostic, String) {
    let plain: String = number.chars().filter(|c| *c != '_').collect();
    let mut diagnostic = Diagnostic::error("C0207", "size without a unit");
    if let Ok(bytes) = plain.parse::<u64>() {
        let same = larder_core::ByteSize(bytes).to_string();
        diagnostic = diagnostic.help(format!("write `\"{same}\"` for {} bytes", grouped(bytes)));
    }
    (diagnostic.note(SIZE_UNITS), "bytes? megabytes?".into())
}

fn ambiguous_size(spot: Spot<'_, '_>, number: &str, unit: char) -> (Diagnostic, String) {
    let written = shown(spot.node);
    let mut diagnostic = Diagnostic::error("C0207", format!("ambiguous size `{written}`"));
    let forms = [format!("{number}{unit}iB"), format!("{number}{unit}B")];
    // The unit of 1000 bytes has a small k.
    let forms = forms.map(|form| form.replace("KB", "kB"));
    let meanings: Vec<String> = forms
        .iter()
        .filter_map(|form| {
            let bytes = form.parse::<larder_core::ByteSize>().ok()?;
            Some(format!("`\"{form}\"` = {} bytes", grouped(bytes.0)))
        })
        .collect();
    if meanings.len() == 2 {
        diagnostic = diagnostic.help(meanings.join("; "));
    }
    (diagnostic, "1000- or 1024-based?".into())
}

/// A number with commas between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 day` and `5 minutes` in the units that there are.
fn with_short_units(written: &str) -> Option<String> {
    const UNITS: [(&str, &str); 6] =
        [("sec", "s"), ("min", "m"), ("hour", "h"), ("hr", "h"), ("day", "d"), ("week", "w")];
    let written = written.trim();
    let digits = written.len() - written.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, word) = written.split_at(digits);
    let word = word.trim().to_ascii_lowercase();
    let (_, unit) = UNITS.into_iter().find(|(long, _)| word.starts_with(long))?;
    (digits > 0 && word.chars().all(char::is_alphabetic)).then(|| format!("{number}{unit}"))
}

fn malformed(
    sources: &Sources,
    spot: Spot<'_, '_>,
    unit: &str,
    error: &UnitError,
) -> (Diagnostic, String) {
    let written = shown(spot.node);
    let (noun, units) = match unit {
        "size" => ("size", Some(SIZE_UNITS)),
        "ahead" | "share" => ("share", None),
        "life" => ("duration", Some(DURATION_UNITS)),
        _ => ("duration", Some(PLAIN_DURATION_UNITS)),
    };
    let subject = match written.trim() {
        "" => "an empty text".to_owned(),
        _ => format!("`{written}`"),
    };
    let mut diagnostic = Diagnostic::error("C0209", format!("{subject} is not a {noun}"));
    if let (true, Some(short)) = (noun == "duration", with_short_units(written)) {
        let at = spot.node.at.clone();
        let text = requote(sources, &at, &short);
        diagnostic = diagnostic.fix(Fix::replace(format!("write `{short}`"), at, text));
    }
    let reason = match spot.node.reference {
        Some(_) => format!("does not stand for a {noun}"),
        None => error.to_string(),
    };
    if let Some(units) = units {
        diagnostic = diagnostic.note(units);
    }
    // Some reasons list the units as well; the note does it for all.
    let reason = match reason.split("; units").next().unwrap_or_default() {
        _ if written.trim_start().starts_with('-') => format!("a {noun} is not negative"),
        long if long.starts_with("number is too large") => {
            "longer than a duration can be".to_owned()
        }
        reason => reason.to_owned(),
    };
    (diagnostic, reason)
}
