//! The pieces of a string with references such as `${env:NAME}`.

use std::ops::Range;

/// A piece of a string.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A reference: what stands between `${` and `}`, and where the whole of it is.
    Reference(&'a str, Range<usize>),
    /// Text that stands for itself.
    Text(&'a str),
    /// A `${` that nothing closes.
    Unterminated(Range<usize>),
}

/// What a reference asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted<'a> {
    /// A file.
    File(&'a str),
    /// No scheme that there is.
    Unknown,
    /// An environment variable, and what to do when it is not set or empty.
    Variable(&'a str, Fallback<'a>),
}

/// What to do when a variable is not set.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fallback<'a> {
    /// `:-text`: take the text, also when the variable is empty.
    Default(&'a str),
    /// Refuse the config.
    Fail,
    /// `:?message`: refuse the config with this message, also when the variable is empty.
    Message(&'a str),
}

/// Cuts a string into its pieces. `$${` is a plain `${`; a `$` before anything else is plain.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut plain = 0;
    let mut cursor = 0;
    while let Some(found) = text[cursor..].find("${") {
        let start = cursor + found;
        if start > plain && text[plain..start].ends_with('$') {
            pieces.push(Piece::Text(&text[plain..start - 1]));
            pieces.push(Piece::Text("${"));
            cursor = start + 2;
            plain = cursor;
            continue;
        }
        pieces.push(Piece::Text(&text[plain..start]));
        let Some(length) = text[start..].find('}') else {
            pieces.push(Piece::Unterminated(start..text.len()));
            return pieces;
        };
        let end = start + length + 1;
        pieces.push(Piece::Reference(&text[start + 2..end - 1], start..end));
        cursor = end;
        plain = end;
    }
    pieces.push(Piece::Text(&text[plain..]));
    pieces
}

/// Reads what stands between `${` and `}`.
pub(super) fn wanted(inner: &str) -> Wanted<'_> {
    if let Some(path) = inner.strip_prefix("file:") {
        return if path.is_empty() { Wanted::Unknown } else { Wanted::File(path) };
    }
    let Some(rest) = inner.strip_prefix("env:") else {
        return Wanted::Unknown;
    };
    let (name, fallback) = match rest.find(':') {
        None => (rest, Fallback::Fail),
        Some(colon) => {
            let after = &rest[colon + 1..];
            let fallback = match (after.strip_prefix('-'), after.strip_prefix('?')) {
                (Some(text), _) => Fallback::Default(text),
                (_, Some(message)) => Fallback::Message(message),
                _ => return Wanted::Unknown,
            };
            (&rest[..colon], fallback)
        }
    };
    let is_name = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_name { Wanted::Variable(name, fallback) } else { Wanted::Unknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_dollar_is_plain_and_two_escape_a_reference() {
        assert_eq!(pieces("pa$$word$1"), [Piece::Text("pa$$word$1")]);
        let escaped = [Piece::Text("a"), Piece::Text("${"), Piece::Text("env:X}")];
        assert_eq!(pieces("a$${env:X}"), escaped);
    }

    #[test]
    fn references_are_found_with_their_place() {
        let expected = [
            Piece::Text("a"),
            Piece::Reference("env:X", 1..9),
            Piece::Text(""),
            Piece::Reference("file:/p", 9..19),
            Piece::Text("b"),
        ];
        assert_eq!(pieces("a${env:X}${file:/p}b"), expected);
        assert_eq!(pieces("a${x"), [Piece::Text("a"), Piece::Unterminated(1..4)]);
    }

    #[test]
    fn fallbacks_are_told_from_names() {
        assert_eq!(wanted("env:A"), Wanted::Variable("A", Fallback::Fail));
        assert_eq!(wanted("env:A:-x:y"), Wanted::Variable("A", Fallback::Default("x:y")));
        assert_eq!(wanted("env:A:?set it"), Wanted::Variable("A", Fallback::Message("set it")));
        for bad in ["env:", "env:1A", "env:A:x", "A", "secret:a/b", "file:"] {
            assert_eq!(wanted(bad), Wanted::Unknown, "{bad}");
        }
    }
}
