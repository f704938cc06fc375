//! What to say about JSON that is not JSON: mostly what people are used to from other languages.

use super::text::{in_bounds, line_at};
use crate::diagnostic::{Diagnostic, Fix};
use crate::tree::{Location, SourceId};

/// The diagnostic for what `serde_json` says about a byte of a text.
pub(super) fn diagnostic(source: SourceId, text: &str, offset: usize, message: &str) -> Diagnostic {
    let span = in_bounds(text, offset..offset + 1);
    let rest = &text[span.start..];
    let before = text[..span.start].trim_end();
    if text.trim_start_matches('\u{feff}').trim().is_empty() {
        let at = Location::new(source, 0..0);
        return Diagnostic::error("C0102", "an empty text is not JSON")
            .at(at, "")
            .help("write `{}` for a config without options");
    }
    if rest.starts_with("//") || rest.starts_with("/*") || rest.starts_with('#') {
        let at = Location::new(source, span.start..line_at(text, span.start).end);
        return Diagnostic::error("C0102", "JSON has no comments")
            .at(at, "")
            .help("remove it, or write the config in TOML or YAML, which have comments");
    }
    if rest.starts_with(['}', ']']) && before.ends_with(',') {
        let at = Location::new(source, before.len() - 1..before.len());
        return Diagnostic::error("C0102", "comma after the last element")
            .at(at.clone(), "nothing follows it")
            .fix(Fix::replace("remove it", at, "").certain());
    }
    let at = Location::new(source, span);
    let message = message.rsplit_once(" at line ").map_or(message, |(text, _)| text);
    if message.starts_with("EOF ") {
        return Diagnostic::error("C0102", "the text ends too early")
            .at(at, message.replacen("EOF", "ends", 1))
            .help("close what is open: `\"`, `]` or `}`");
    }
    let diagnostic = Diagnostic::error("C0102", message).at(at, "");
    match rest.chars().next() {
        Some(c) if c.is_alphabetic() || c == '\'' => {
            diagnostic.help("JSON has keys and texts in double quotes")
        }
        _ => diagnostic,
    }
}
