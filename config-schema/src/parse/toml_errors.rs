//! What to say about TOML that is not TOML.

use std::ops::Range;

use super::text::{in_bounds, line_at};
use crate::diagnostic::{Diagnostic, Fix, Label};
use crate::tree::{Location, SourceId};

/// Reports the errors of the parser, of every line only the first: one mistake cascades.
pub(super) fn report(
    source: SourceId,
    text: &str,
    errors: &[toml::de::Error],
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut found: Vec<(usize, Diagnostic)> =
        errors.iter().map(|error| diagnostic(source, text, error)).collect();
    // Stable, so of one line the first that the parser met stays.
    found.sort_by_key(|(line, _)| *line);
    found.dedup_by_key(|(line, _)| *line);
    if found.len() > 1 && found.iter().all(|(_, one)| is_like_yaml(one)) {
        found.truncate(1);
        if let Some((_, first)) = found.first_mut() {
            first.help = vec![
                "this does not look like TOML; a file in YAML needs a name that ends with `.yaml`"
                    .to_owned(),
            ];
        }
    }
    let count = found.len();
    if let Some((_, first)) = found.first_mut()
        && count > 1
    {
        let more = count - 1;
        let plural = if more == 1 { "error follows" } else { "errors follow" };
        first.notes.push(format!("{more} more syntax {plural}; nothing was applied"));
    }
    let shown = found.into_iter().take(MAX_SHOWN);
    diagnostics.extend(shown.map(|(_, diagnostic)| diagnostic));
}

/// Whether a line has a colon in place of `=`.
fn is_like_yaml(diagnostic: &Diagnostic) -> bool {
    diagnostic.message == NO_VALUE && !diagnostic.help.is_empty()
}

/// What a line without `=` is.
const NO_VALUE: &str = "key with no value";

/// Whoever has more than this many mistakes handed over something that is not TOML.
const MAX_SHOWN: usize = 20;

/// The diagnostic of an error and the start of its line.
fn diagnostic(source: SourceId, text: &str, error: &toml::de::Error) -> (usize, Diagnostic) {
    let span = in_bounds(text, error.span().unwrap_or(0..0));
    let line = line_at(text, span.start);
    let place = Place { source, text, line: line.clone(), span };
    let message = error.message();
    let special = if message.starts_with("duplicate key")
        || message.starts_with("cannot extend value of type")
    {
        place.defined_twice()
    } else if message.starts_with("string values must be quoted") {
        Some(place.needs_quotes())
    } else if message.starts_with("key with no value") {
        Some(place.no_value())
    } else if message.contains("max recursion depth") {
        let at = place.at(place.span.clone());
        Some(Diagnostic::error("C0101", "values are nested too deeply").at(at, ""))
    } else if message.contains("string") {
        place.unterminated(message)
    } else {
        None
    };
    let diagnostic = special.unwrap_or_else(|| place.plain(message));
    (line.start, diagnostic)
}

/// Where an error is.
struct Place<'a> {
    source: SourceId,
    text: &'a str,
    line: Range<usize>,
    span: Range<usize>,
}

impl Place<'_> {
    /// The words of the parser, what it expected as the label.
    fn plain(&self, message: &str) -> Diagnostic {
        let (message, expected) = match message.split_once(", expected ") {
            Some((message, expected)) => (message, format!("expected {expected}")),
            None => (message, String::new()),
        };
        Diagnostic::error("C0101", message).at(self.at(self.span.clone()), expected)
    }

    /// `ttl` alone, or `ttl: 10m`.
    fn no_value(&self) -> Diagnostic {
        let written = &self.text[self.line.clone()];
        let at = self.whole(self.line.start, written);
        let diagnostic = Diagnostic::error("C0101", NO_VALUE).at(at, "expected `=` and a value");
        match written.split_once(':') {
            Some((key, _)) => diagnostic.help(format!(
                "write `{} = …`; a file in YAML needs a name that ends with `.yaml`",
                key.trim()
            )),
            None => diagnostic,
        }
    }

    /// `ttl = 10m`, or nothing at all after the `=`.
    fn needs_quotes(&self) -> Diagnostic {
        let rest = self.text[self.span.start..self.line.end].trim();
        if rest.is_empty() || rest.starts_with('#') {
            let at = self.whole(self.line.start, &self.text[self.line.start..self.span.start]);
            return Diagnostic::error("C0101", "missing value").at(at, "nothing after the `=`");
        }
        let at = self.at(self.span.clone());
        let text = format!("\"{}\"", &self.text[self.span.clone()]);
        Diagnostic::error("C0101", "text without quotes")
            .at(at.clone(), "not a number, `true` or `false`")
            .fix(Fix::replace("put quotes around it", at, text))
    }

    /// A string without its closing quote; the parser points to where the quote is missing.
    fn unterminated(&self, message: &str) -> Option<Diagnostic> {
        let (_, expected) = message.split_once(", expected ")?;
        let quotes = match (expected.trim_matches('`'), message.contains("multi-line")) {
            ("\"", false) => "\"",
            ("\"", true) => "\"\"\"",
            ("'", false) => "'",
            ("'", true) => "'''",
            _ => return None,
        };
        if quotes.len() == 3 {
            let start = self.text[..self.span.start].rfind(quotes)?;
            let label = format!("no closing `{quotes}` before the end of the file");
            let at = self.at(start..start + 3);
            return Some(Diagnostic::error("C0101", "unterminated string").at(at, label));
        }
        let start = self.line.start + self.text[self.line.start..self.span.start].rfind(quotes)?;
        let label = format!("no closing `{quotes}` before the end of the line");
        let written = self.text[start..self.line.end].trim_end().len();
        let at = self.at(start..start + written.max(1));
        Some(Diagnostic::error("C0101", "unterminated string").at(at, label))
    }

    /// A key or a table that is there already.
    fn defined_twice(&self) -> Option<Diagnostic> {
        let written = &self.text[self.line.clone()];
        match header_of(written) {
            Some(path) => Some(self.header_twice(&path)),
            None => self.key_twice(),
        }
    }

    /// `[caches.x]` a second time, or `[caches.x.l1]` after `l1.backend = …` in `[caches.x]`.
    fn header_twice(&self, path: &[String]) -> Diagnostic {
        let name = path.join(".");
        let header = self.text[self.line.clone()].trim();
        let start = self.line.start + self.text[self.line.clone()].find('[').unwrap_or(0);
        let end = start + header.find(']').map_or(header.len(), |index| index + 1);
        let at = self.at(start..end);
        let mut section: Vec<String> = Vec::new();
        for (offset, line) in lines(&self.text[..self.line.start]) {
            if let Some(found) = header_of(line) {
                if found == path {
                    return Diagnostic::error("C0101", format!("`[{name}]` is opened twice"))
                        .at(at, "opened again here")
                        .also(self.whole(offset, line), "first opened here")
                        .help("put the options of both under one header");
                }
                section = found;
                continue;
            }
            let Some(key) = key_of(line) else { continue };
            let whole: Vec<String> = section.iter().cloned().chain(key).collect();
            if whole.len() >= path.len() && whole[..path.len()] == *path {
                let begun = self.whole(offset, line);
                return begun_with_dots(path, &section, at, begun);
            }
        }
        Diagnostic::error("C0101", format!("`{name}` is defined twice")).at(at, "")
    }

    /// The same key twice under one header.
    fn key_twice(&self) -> Option<Diagnostic> {
        let key = key_of(&self.text[self.line.clone()])?;
        let name = key.join(".");
        let diagnostic = Diagnostic::error("C0101", format!("`{name}` is set twice"))
            .at(self.at(self.span.clone()), "set again here")
            .help("remove one of them");
        let before: Vec<_> = lines(&self.text[..self.line.start]).collect();
        let first = before.iter().rev().take_while(|(_, line)| header_of(line).is_none()).find(
            |(_, line)| {
                key_of(line).is_some_and(|other| other.starts_with(&key) || key.starts_with(&other))
            },
        );
        Some(match first {
            Some((offset, line)) => diagnostic.also(self.whole(*offset, line), "first set here"),
            None => diagnostic,
        })
    }

    /// All that is written on a line at an offset.
    fn whole(&self, offset: usize, line: &str) -> Location {
        let start = offset + line.len() - line.trim_start().len();
        self.at(start..start + line.trim().len())
    }

    fn at(&self, span: Range<usize>) -> Location {
        Location::new(self.source, in_bounds(self.text, span))
    }
}

/// TOML closes a table that dotted keys began at the next header, and cannot open it again.
fn begun_with_dots(
    path: &[String],
    section: &[String],
    at: Location,
    begun: Location,
) -> Diagnostic {
    let name = path.join(".");
    let key = path.last().map_or("", String::as_str);
    let section = section.join(".");
    let message = format!("`[{name}]` cannot be opened: `{key}` was begun with dotted keys");
    let mut diagnostic = Diagnostic::error("C0101", message)
        .at(at, "TOML allows only one of the two forms")
        .help(format!(
            "write all of `{key}` as `{key}.… =` under `[{section}]`, \
             or all of it under `[{name}]`"
        ));
    diagnostic.secondary.push(Label::new(begun, format!("begun here, under `[{section}]`")));
    diagnostic
}

/// The lines with where they start.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |offset, line| {
        let start = *offset;
        *offset += line.len();
        Some((start, line))
    })
}

/// The path of `[a.b]`; enough for a message, so quoted keys that hold dots may be missed.
fn header_of(line: &str) -> Option<Vec<String>> {
    let inner = line.trim().strip_prefix('[')?;
    let (inner, _) = inner.split_once(']')?;
    Some(dotted(inner.trim_start_matches('[')))
}

/// The path of `a.b = …`.
fn key_of(line: &str) -> Option<Vec<String>> {
    let line = line.trim_start();
    if line.starts_with('#') {
        return None;
    }
    let (key, _) = line.split_once('=')?;
    Some(dotted(key))
}

fn dotted(path: &str) -> Vec<String> {
    path.split('.').map(|key| key.trim().trim_matches(['"', '\'']).to_owned()).collect()
}
