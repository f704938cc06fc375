//! The text of a source as it may be shown: secrets replaced by bullets, offsets moved along.

use std::ops::Range;

use crate::tree::{Location, Source, SourceId, SourceKind, Sources};

/// A line and a column, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Sources {
    /// The position of a byte of a source; the end of the text for bytes past it.
    #[must_use]
    pub fn position(&self, source: SourceId, byte: usize) -> Position {
        let text = &self.get(source).text;
        let before = &text[..floor(text, byte)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// How a source is named above its text.
pub(super) fn title(source: &Source) -> String {
    match source.kind {
        SourceKind::Environment => format!("environment variable {}", source.name),
        SourceKind::Argument => format!("argument {}", source.name),
        SourceKind::File | SourceKind::Provider => source.name.clone(),
    }
}

/// The last character boundary at or before a byte.
fn floor(text: &str, byte: usize) -> usize {
    let mut byte = byte.min(text.len());
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    byte
}

/// What stands in place of one character of a secret.
const BULLET: char = '•';

/// A text in which secrets are bullets.
pub(super) struct Shown {
    pub(super) text: String,
    hidden: Vec<Range<usize>>,
    original: String,
}

impl Shown {
    /// The text of a source without the secrets in it.
    pub(super) fn new(source: &Source, id: SourceId, secrets: &[Location]) -> Self {
        let original = source.text.clone();
        let in_source = secrets.iter().filter(|secret| secret.source == id);
        let mut ranges: Vec<Range<usize>> = in_source
            .map(|secret| floor(&original, secret.span.start)..floor(&original, secret.span.end))
            .filter(|range| range.start < range.end)
            .collect();
        ranges.sort_by_key(|range| range.start);
        let mut hidden: Vec<Range<usize>> = Vec::new();
        for range in ranges {
            match hidden.last_mut() {
                Some(last) if range.start < last.end => last.end = last.end.max(range.end),
                _ => hidden.push(range),
            }
        }
        let mut shown = Self { text: String::new(), hidden, original };
        shown.text = shown.cut(shown.original.len());
        shown
    }

    /// The shown form of the first `end` bytes.
    fn cut(&self, end: usize) -> String {
        let end = floor(&self.original, end);
        let mut text = String::with_capacity(end);
        let mut from = 0;
        for range in self.hidden.iter().take_while(|range| range.start < end) {
            text.push_str(&self.original[from..range.start]);
            let secret = &self.original[range.start..range.end.min(end)];
            // Line breaks stay, so that lines keep their numbers.
            text.extend(secret.chars().map(|c| if c == '\n' { c } else { BULLET }));
            from = range.end.min(end);
        }
        text.push_str(&self.original[from..end]);
        text
    }

    /// Where a span of the original is in the shown text, cut at the end of its first line.
    pub(super) fn span(&self, span: &Range<usize>) -> Range<usize> {
        let start = self.cut(span.start).len();
        let end = self.cut(span.end.max(span.start)).len();
        let first_line = self.text[start..end].find(['\n', '\r']);
        start..first_line.map_or(end, |length| start + length)
    }

    /// Where a span of the original is in the shown text, with all its lines.
    pub(super) fn whole_span(&self, span: &Range<usize>) -> Range<usize> {
        self.cut(span.start).len()..self.cut(span.end.max(span.start)).len()
    }
}
