//! Finding one's way in the text around a place.

use std::ops::Range;

/// The line that holds a byte, without its line break.
pub(super) fn line_at(text: &str, offset: usize) -> Range<usize> {
    let offset = clamp(text, offset);
    let start = text[..offset].rfind('\n').map_or(0, |index| index + 1);
    let end = text[offset..].find('\n').map_or(text.len(), |index| offset + index);
    let end = if text[start..end].ends_with('\r') { end - 1 } else { end };
    start..end
}

/// A span that is in the text, on character boundaries and not inside out.
pub(super) fn in_bounds(text: &str, span: Range<usize>) -> Range<usize> {
    let start = clamp(text, span.start);
    let end = clamp(text, span.end.max(start));
    start..end
}

/// The byte of a line and a column, both from one; columns count characters.
pub(super) fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let start =
        text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum::<usize>();
    let chars = text[start..].chars().take(column.saturating_sub(1));
    start + chars.map(char::len_utf8).sum::<usize>()
}

/// The name, in the quotes that the written text has.
pub(crate) fn quoted_like(written: &str, name: &str) -> String {
    match written.chars().next() {
        Some(quote @ ('"' | '\'')) => format!("{quote}{name}{quote}"),
        _ => name.to_owned(),
    }
}

/// The greatest character boundary that is not above the offset.
fn clamp(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_before_its_line_break() {
        assert_eq!(line_at("ab\r\ncd\n", 1), 0..2);
        assert_eq!(line_at("ab\r\ncd\n", 5), 4..6);
        assert_eq!(line_at("ab\ncd", 99), 3..5);
    }

    #[test]
    fn columns_count_characters_and_spans_stay_in_the_text() {
        assert_eq!(offset_of("ä\nöx", 2, 2), 5);
        assert_eq!(offset_of("a", 9, 9), 1);
        assert_eq!(in_bounds("ä", 1..9), 0..2);
    }
}
