//! Diagnostics for programs: JSON lines and GitHub workflow commands.

use serde::Serialize;

use crate::diagnostic::{Diagnostic, Fix, Label, Severity};
use crate::tree::{Location, Sources};

#[derive(Serialize)]
struct Record<'a> {
    severity: &'static str,
    code: &'a str,
    message: &'a str,
    path: Option<String>,
    primary: Option<Place<'a>>,
    labels: Vec<Place<'a>>,
    notes: &'a [String],
    help: &'a [String],
    fix: Option<Change<'a>>,
    docs: String,
}

#[derive(Serialize)]
struct Place<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    byte_start: usize,
    byte_end: usize,
    text: &'a str,
}

#[derive(Serialize)]
struct Change<'a> {
    message: &'a str,
    applicability: &'static str,
    edits: Vec<Replacement<'a>>,
}

#[derive(Serialize)]
struct Replacement<'a> {
    file: &'a str,
    byte_start: usize,
    byte_end: usize,
    text: &'a str,
}

impl Severity {
    /// The severity as one lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A diagnostic as one line of JSON.
pub(super) fn json(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let place = |label| place(label, sources);
    let record = Record {
        severity: diagnostic.severity.as_str(),
        code: diagnostic.code,
        message: &diagnostic.message,
        path: diagnostic.path.as_ref().map(ToString::to_string),
        primary: diagnostic.primary.as_ref().map(place),
        labels: diagnostic.secondary.iter().map(place).collect(),
        notes: &diagnostic.notes,
        help: &diagnostic.help,
        fix: diagnostic.fix.as_ref().map(|fix| change(fix, sources)),
        docs: format!("larder explain {}", diagnostic.code),
    };
    serde_json::to_string(&record).expect("strings and numbers always become JSON")
}

fn place<'a>(label: &'a Label, sources: &'a Sources) -> Place<'a> {
    let Location { source, span } = &label.at;
    let start = sources.position(*source, span.start);
    let end = sources.position(*source, span.end);
    Place {
        file: &sources.get(*source).name,
        line: start.line,
        column: start.column,
        end_line: end.line,
        end_column: end.column,
        byte_start: span.start,
        byte_end: span.end,
        text: &label.text,
    }
}

fn change<'a>(fix: &'a Fix, sources: &'a Sources) -> Change<'a> {
    let edits = fix.edits.iter().map(|edit| Replacement {
        file: &sources.get(edit.at.source).name,
        byte_start: edit.at.span.start,
        byte_end: edit.at.span.end,
        text: &edit.text,
    });
    Change {
        message: &fix.message,
        applicability: if fix.is_certain { "machine-applicable" } else { "maybe-incorrect" },
        edits: edits.collect(),
    }
}

/// A diagnostic as a GitHub workflow command.
pub(super) fn github(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let place = diagnostic.primary.as_ref().map(|label| {
        let Location { source, span } = &label.at;
        let start = sources.position(*source, span.start);
        let name = property(&sources.get(*source).name);
        format!("file={name},line={},col={},", start.line, start.column)
    });
    format!(
        "::{} {}title={}::{}",
        diagnostic.severity.as_str(),
        place.unwrap_or_default(),
        diagnostic.code,
        data(&diagnostic.message)
    )
}

/// Escapes what would end a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes what would end a property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
