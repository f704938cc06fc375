//! One value and where it goes, as a variable or an argument writes it.

use std::ops::Range;

use super::masked;
use crate::diagnostic::Diagnostic;
use crate::tree::{Layer, Location, Source, SourceId, SourceKind, Sources};

/// What the names of overriding variables begin with.
const PREFIX: &str = "LARDER__";

/// One value and where it goes.
pub(super) struct Override {
    /// Where the value stands.
    pub(super) at: Location,
    /// The value; only the option it is for knows what it means.
    pub(super) value: String,
    /// The names on the way there.
    pub(super) segments: Vec<Segment>,
    /// What joins segments that are one key, already as it is compared.
    pub(super) joint: &'static str,
    /// The text of the whole.
    pub(super) source: SourceId,
    /// Whether it is a variable or an argument.
    pub(super) layer: Layer,
}

/// A name on the way to a value.
pub(super) struct Segment {
    /// As it is written, without quotes.
    pub(super) text: String,
    /// Where it stands.
    pub(super) span: Range<usize>,
}

impl Override {
    /// Whether caches inherit what it changes, so that it has to be applied before they do.
    pub(super) fn is_for_inherited(&self) -> bool {
        self.segments
            .first()
            .is_some_and(|first| ["defaults", "templates"].contains(&normal(&first.text).as_str()))
    }

    /// The options of deeper levels come later, and `kind` before what belongs to the kind.
    pub(super) fn rank(&self) -> (usize, bool) {
        let last = self.segments.last();
        let is_kind = last.is_some_and(|last| normal(&last.text) == "kind");
        (self.segments.len(), !is_kind)
    }
}

/// The override of a variable; `None` when the variable is not one.
pub(super) fn of_variable(name: &str, value: &str, sources: &mut Sources) -> Option<Override> {
    let path = name.strip_prefix(PREFIX)?;
    let mut start = PREFIX.len();
    let mut segments = Vec::new();
    for text in path.split("__") {
        segments.push(Segment { text: text.to_owned(), span: start..start + text.len() });
        start += text.len() + 2;
    }
    let shown = masked(last_text(&segments), value);
    let text = format!("{name}={shown}");
    let span = name.len() + 1..text.len();
    let source = sources.add(Source {
        name: name.to_owned(),
        text,
        kind: SourceKind::Environment,
        included_by: None,
    });
    Some(Override {
        at: Location::new(source, span),
        value: value.to_owned(),
        segments,
        joint: "__",
        source,
        layer: Layer::Environment,
    })
}

/// The override of `--set path=value`.
pub(super) fn of_argument(
    argument: &str,
    sources: &mut Sources,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Override> {
    const COMMAND: &str = "--set ";
    let add = |sources: &mut Sources, text: String| {
        sources.add(Source {
            name: "--set".to_owned(),
            text,
            kind: SourceKind::Argument,
            included_by: None,
        })
    };
    let parsed = split_argument(argument, COMMAND.len());
    let Some((segments, path_end)) = parsed else {
        let text = format!("{COMMAND}{argument}");
        let at = COMMAND.len()..text.len();
        let source = add(sources, text);
        diagnostics.push(
            Diagnostic::error("C0303", "`--set` takes a path and a value")
                .at(Location::new(source, at), "")
                .help("write `--set caches.users.ttl=1h`"),
        );
        return None;
    };
    let value = &argument[path_end + 1..];
    let path = &argument[..path_end];
    let text = format!("{COMMAND}{path}={}", masked(last_text(&segments), value));
    let span = COMMAND.len() + path.len() + 1..text.len();
    let source = add(sources, text);
    Some(Override {
        at: Location::new(source, span),
        value: value.to_owned(),
        segments,
        joint: "_",
        source,
        layer: Layer::Argument,
    })
}

/// The segments of `caches."api.users".ttl=1h` and where the path ends.
fn split_argument(argument: &str, offset: usize) -> Option<(Vec<Segment>, usize)> {
    let mut segments = Vec::new();
    let mut start = 0;
    let mut quote = None;
    for (index, c) in argument.char_indices() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '.' | '=') => {
                let written = argument[start..index].trim();
                segments.push(Segment {
                    text: written.trim_matches(['"', '\'']).to_owned(),
                    span: offset + start..offset + index,
                });
                start = index + 1;
                if c == '=' {
                    return Some((segments, index));
                }
            }
            _ => {}
        }
    }
    None
}

fn last_text(segments: &[Segment]) -> &str {
    segments.last().map_or("", |last| &last.text)
}

/// As names are compared.
pub(super) fn normal(name: &str) -> String {
    name.to_lowercase().replace(['-', '.'], "_")
}
