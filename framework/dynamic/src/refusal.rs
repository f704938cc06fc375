//! How refusals are worded: what was found, what was expected, what to do.

use std::fmt::Display;
use std::path::Path;

use larder_core::library::{Fault, Refusal};

/// What a check answers. A refusal is large and rare.
pub(crate) type Answer<T = ()> = Result<T, Box<Refusal>>;

/// A library whose bytes are refused, with its path beside the words.
pub(crate) fn refused(
    fault: Fault,
    name: &str,
    path: &Path,
    what: impl Display,
    label: impl Into<String>,
) -> Refusal {
    let message = format!("the library of plugin `{name}` {what}");
    Refusal::new(fault, message, label).note(format!("the library is `{}`", shown_path(path)))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all that is written to it");
        text
    })
}

/// A text of a library for messages: bounded, and without what a terminal would obey.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 200;
    let short: String = text.chars().take(LONGEST).collect();
    short.escape_debug().to_string()
}

/// A path for messages, without what a terminal would obey.
pub(crate) fn shown_path(path: &Path) -> String {
    path.display()
        .to_string()
        .chars()
        .map(|char| if char.is_control() { '?' } else { char })
        .collect()
}
