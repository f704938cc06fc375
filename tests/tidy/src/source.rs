//! [`Source`]: a Rust file seen as the rules see it, with comments and literals blanked and the
//! lines of tests told from the rest.
//!
//! This is a scanner, not a parser: it knows just enough of the language to tell code from text.

use std::ops::Range;

/// One Rust file.
#[derive(Clone, Debug)]
pub(crate) struct Source<'a> {
    text: &'a str,
    code: String,
    /// Line numbers, from 0, of the blocks below `#[cfg(test)]`.
    test_blocks: Vec<Range<usize>>,
    is_test_file: bool,
}

/// One line of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// Counted from 1.
    pub(crate) number: usize,
    /// As written.
    pub(crate) text: &'a str,
    /// Without comments and without what stands in string and character literals.
    pub(crate) code: &'a str,
    pub(crate) is_test: bool,
}

impl<'a> Source<'a> {
    pub(crate) fn new(text: &'a str, is_test_file: bool) -> Self {
        let code = blank(text);
        let test_blocks = find_test_blocks(&code);
        Self { text, code, test_blocks, is_test_file }
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.text.lines().zip(self.code.lines()).enumerate().map(|(index, (text, code))| Line {
            number: index + 1,
            text,
            code,
            is_test: self.is_test_file || self.test_blocks.iter().any(|b| b.contains(&index)),
        })
    }

    /// Whether the whole file is test code.
    pub(crate) fn is_test_file(&self) -> bool {
        self.is_test_file
    }

    /// How many lines the tests inside this file take, with their `#[cfg(test)]`.
    pub(crate) fn lines_of_inner_tests(&self) -> usize {
        self.test_blocks.iter().map(ExactSizeIterator::len).sum()
    }
}

/// Finds `#[cfg(test)]` above a `mod … {` and returns the lines up to its closing brace.
fn find_test_blocks(code: &str) -> Vec<Range<usize>> {
    let lines: Vec<&str> = code.lines().collect();
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let start = at;
        at += 1;
        if !is_test_condition(lines[start].trim()) {
            continue;
        }
        let is_attribute = |line: &&str| line.trim_start().starts_with("#[");
        let head = lines[at..].iter().position(|line| !is_attribute(line)).map(|skip| at + skip);
        let Some(head) = head.filter(|&head| is_module_with_body(lines[head])) else {
            continue;
        };
        at = end_of_block(&lines, head);
        blocks.push(start..at);
    }
    blocks
}

fn is_test_condition(line: &str) -> bool {
    line == "#[cfg(test)]" || line.starts_with("#[cfg(all(test,")
}

fn is_module_with_body(line: &str) -> bool {
    let line = line.trim();
    (line.starts_with("mod ")
        || line.starts_with("pub mod ")
        || line.starts_with("pub(crate) mod "))
        && line.ends_with('{')
}

/// The line after the brace that closes the block opened on line `head`.
fn end_of_block(lines: &[&str], head: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, line) in lines[head..].iter().enumerate() {
        depth += line.matches('{').count();
        depth = depth.saturating_sub(line.matches('}').count());
        if depth == 0 {
            return head + offset + 1;
        }
    }
    lines.len()
}

/// Replaces comments and the insides of literals by spaces; lines stay where they are.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = end_of_text(&chars, at);
        for &char in &chars[at..end] {
            out.push(if char == '\n' { '\n' } else { ' ' });
        }
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            at = end;
        }
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `at` itself when none begins there.
fn end_of_text(chars: &[char], at: usize) -> usize {
    let next = chars.get(at + 1).copied();
    match chars[at] {
        '/' if next == Some('/') => find(chars, at, |rest| rest[0] == '\n'),
        '/' if next == Some('*') => end_of_block_comment(chars, at),
        '"' => end_of_string(chars, at),
        'r' if !is_word(chars, at) => end_of_raw_string(chars, at),
        '\'' => end_of_char(chars, at),
        _ => at,
    }
}

/// Whether the character before `at` continues a word, so that an `r` there is no prefix. The `b`
/// of a byte string counts as a prefix.
fn is_word(chars: &[char], at: usize) -> bool {
    let is_letter = |back: usize| {
        at.checked_sub(back).is_some_and(|i| chars[i].is_alphanumeric() || chars[i] == '_')
    };
    is_letter(1) && (chars[at - 1] != 'b' || is_letter(2))
}

fn end_of_block_comment(chars: &[char], at: usize) -> usize {
    let mut depth = 0_usize;
    let mut i = at;
    while i < chars.len() {
        match &chars[i..] {
            ['/', '*', ..] => {
                depth += 1;
                i += 2;
            }
            ['*', '/', ..] => {
                depth -= 1;
                i += 2;
                if depth == 0 {
                    return i;
                }
            }
            _ => i += 1,
        }
    }
    i
}

fn end_of_string(chars: &[char], at: usize) -> usize {
    let mut i = at + 1;
    while i < chars.len() {
        match chars[i] {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    chars.len()
}

fn end_of_raw_string(chars: &[char], at: usize) -> usize {
    let hashes = chars[at + 1..].iter().take_while(|&&char| char == '#').count();
    let open = at + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return at;
    }
    let closes = |rest: &[char]| {
        rest[0] == '"' && rest[1..].iter().take_while(|&&char| char == '#').count() >= hashes
    };
    (find(chars, open + 1, closes) + 1 + hashes).min(chars.len())
}

/// A quote begins a character or a lifetime; only a character has a second quote close by.
fn end_of_char(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => (find(chars, at + 3, |rest| rest[0] == '\'') + 1).min(chars.len()),
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

/// The first position from `from` whose rest satisfies `is_end`, or the end.
fn find(chars: &[char], from: usize, is_end: impl Fn(&[char]) -> bool) -> usize {
    (from..chars.len()).find(|&i| is_end(&chars[i..])).unwrap_or(chars.len())
}

#[cfg(test)]
mod tests {
    use super::{Source, blank};

    #[test]
    fn comments_and_literals_are_blanked_and_code_stays() {
        let cases = [
            ("a // b", "a     "),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("x \" y", z)"#, "f(        , z)"),
            ("r#\"a \" b\"# c", "           c"),
            ("br\"a\" c", "b     c"),
            ("for_'a' b", "for_    b"),
            (r"'\'' b", "     b"),
            ("&'a str 'b'", "&'a str    "),
            ("var\"a\"", "var   "),
        ];
        for (text, expected) in cases {
            assert_eq!(blank(text), expected, "{text}");
        }
    }

    #[test]
    fn the_lines_of_inner_tests_are_told_from_the_rest() {
        let text =
            "fn a() {}\n\n#[cfg(test)]\n#[expect(x)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
        let source = Source::new(text, false);
        let tests: Vec<_> =
            source.lines().filter(|line| line.is_test).map(|line| line.number).collect();
        assert_eq!(tests, [3, 4, 5, 6, 7]);
        assert_eq!(source.lines_of_inner_tests(), 5);
    }

    #[test]
    fn tests_of_one_system_are_tests() {
        let text = "#[cfg(all(test, unix))]\nmod tests {\n}\n";
        assert_eq!(Source::new(text, false).lines_of_inner_tests(), 3);
    }

    #[test]
    fn a_test_module_in_its_own_file_is_no_block() {
        let source = Source::new("#[cfg(test)]\nmod tests;\nfn a() {}\n", false);
        assert_eq!(source.lines_of_inner_tests(), 0);
    }
}
