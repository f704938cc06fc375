//! What to say about YAML that is not YAML.

use std::ops::Range;

use serde_saphyr::{Error, MessageFormatter, UserMessageFormatter};

use super::text::{in_bounds, line_at, offset_of};
use crate::diagnostic::Diagnostic;
use crate::tree::{Location, SourceId};

/// The diagnostic of an error of the parser.
pub(super) fn diagnostic(source: SourceId, text: &str, error: &Error) -> Diagnostic {
    let error = innermost(error);
    let span = error.location().map_or(0..0, |at| span(text, &at));
    if let Some(tab) = tab_indentation(text, span.start) {
        return tab_diagnostic(source, text, tab);
    }
    let at = Location::new(source, at_least_one(text, span));
    match error {
        Error::Budget { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            Diagnostic::error("C0102", "the config is nested too deeply or too large")
                .at(at, "")
                .note("aliases (`*name`) count as what they stand for")
        }
        Error::MergeKeyNotAllowed { .. } => {
            Diagnostic::error("C0102", "merge keys (`<<`) are not supported")
                .at(at, "")
                .help("put what is shared into a template, and name it with `extends`")
        }
        Error::MultipleDocuments { .. } => {
            Diagnostic::error("C0102", "more than one YAML document")
                .at(at, "")
                .help("remove the `---`, or put the second into a file of its own and `include` it")
        }
        _ => other(&message(error), at),
    }
}

/// The words of the parser, with what to look at where they are hard to understand.
fn other(message: &str, at: Location) -> Diagnostic {
    if message.contains("recursion limit") {
        return Diagnostic::error("C0102", "the config is nested too deeply or too large")
            .at(at, "");
    }
    let diagnostic = Diagnostic::error("C0102", message).at(at, "");
    if message.contains("block mapping") || message.contains("block collection") {
        return diagnostic.help(
            "look at the indentation: all keys of a map begin in the same column, what belongs \
             to a key begins further right",
        );
    }
    diagnostic
}

/// The bytes of a place; the parser does not know them for every kind of error.
pub(super) fn span(text: &str, location: &serde_saphyr::Location) -> Range<usize> {
    let span = location.span();
    match (span.byte_offset(), span.byte_len()) {
        (Some(start), Some(length)) => {
            let start = usize::try_from(start).unwrap_or(usize::MAX);
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            in_bounds(text, start..start.saturating_add(length))
        }
        _ => {
            let line = usize::try_from(location.line()).unwrap_or(usize::MAX);
            let column = usize::try_from(location.column()).unwrap_or(usize::MAX);
            let start = offset_of(text, line, column);
            start..start
        }
    }
}

/// The error itself, without what was wrapped around it.
fn innermost(error: &Error) -> &Error {
    match error {
        Error::AliasError { error, .. } | Error::WithSnippet { error, .. } => innermost(error),
        _ => error,
    }
}

fn message(error: &Error) -> String {
    let text = UserMessageFormatter.format_message(error);
    let text = text.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'");
    let text = text.trim_end_matches('.');
    let mut chars = text.chars();
    match chars.next() {
        // `YAML` and the like stay as they are.
        Some(first) if chars.clone().next().is_some_and(char::is_lowercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        Some(_) => text.to_owned(),
        None => "invalid YAML".to_owned(),
    }
}

/// The leading white space of the line nearest to an error that indents with a tab: the parser
/// reports such a tab in the value of the line before, or not as a tab at all.
fn tab_indentation(text: &str, offset: usize) -> Option<Range<usize>> {
    let around = line_at(text, offset);
    let next = line_at(text, around.end + 1);
    let after_next = line_at(text, next.end + 1);
    [next, around.clone(), after_next]
        .into_iter()
        .chain((around.start > 0).then(|| line_at(text, around.start - 1)))
        .find_map(|line| {
            let written = &text[line.clone()];
            let indent = written.len() - written.trim_start().len();
            let is_tab = written[..indent].contains('\t') && indent < written.len();
            is_tab.then_some(line.start..line.start + indent)
        })
}

fn tab_diagnostic(source: SourceId, text: &str, tab: Range<usize>) -> Diagnostic {
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let is_plain = |line: &&str| !line.trim().is_empty() && !line.starts_with('\t');
    let before = text[..tab.start].lines().rev().find(is_plain);
    let after = text[tab.end..].lines().skip(1).find(is_plain).map(indent);
    let spaces = match before {
        // The first line below a key goes deeper than the key, as deep as the lines after it.
        Some(key) if key.trim_end().ends_with(':') => {
            let outer = indent(key);
            after.filter(|inner| *inner > outer).unwrap_or(outer + 2)
        }
        Some(line) => indent(line),
        None => 0,
    };
    Diagnostic::error("C0102", "tab used for indentation")
        .at(Location::new(source, tab), "YAML forbids tabs here")
        .help(format!("indent with {spaces} spaces like the lines around it"))
}

/// One character, so that the reader sees where.
fn at_least_one(text: &str, span: Range<usize>) -> Range<usize> {
    if span.start < span.end {
        return span;
    }
    let next = text[span.start..].chars().next().map_or(0, char::len_utf8);
    span.start..span.start + next
}
