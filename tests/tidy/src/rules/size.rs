//! How long files, tests and lines may be.

use crate::{Finding, Tree};

/// No source file is longer than [`FILE_LINES`] without its tests.
#[must_use]
pub fn files_are_short(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.rust().filter(|(_, source)| !source.is_test_file()) {
        let lines = source.lines().filter(|line| !line.is_test).count();
        if lines > FILE_LINES {
            let message = format!(
                "has {lines} lines without tests, {FILE_LINES} are allowed; \
                 give a part that has a name of its own a file of its own"
            );
            findings.push(Finding::in_file(path, message));
        }
    }
    findings
}

/// Tests that share a file with what they test take at most [`INNER_TEST_LINES`].
#[must_use]
pub fn inner_tests_are_short(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.rust().filter(|(_, source)| !source.is_test_file()) {
        let lines = source.lines_of_inner_tests();
        if lines > INNER_TEST_LINES {
            let message = format!(
                "has {lines} lines of tests, {INNER_TEST_LINES} are allowed in the same file; \
                 move them into a sibling `tests.rs`"
            );
            findings.push(Finding::in_file(path, message));
        }
    }
    findings
}

/// No line of Rust is wider than [`COLUMNS`]; string literals in tests may be.
#[must_use]
pub fn lines_are_narrow(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.rust() {
        for line in source.lines() {
            let columns = line.text.chars().count();
            let is_text_of_a_test = line.is_test && is_blank_beyond(line.code, COLUMNS);
            if columns > COLUMNS && !is_text_of_a_test {
                let message = format!("has {columns} columns, {COLUMNS} are allowed; break it");
                findings.push(Finding::on_line(path, line.number, message));
            }
        }
    }
    findings
}

/// Whether the literal that reaches over `column` is followed by closing punctuation only.
fn is_blank_beyond(code: &str, column: usize) -> bool {
    let mut beyond = code.chars().skip(column - 1);
    beyond.all(|char| " ,;)]}".contains(char))
}

/// The longest a file may be, tests apart.
pub const FILE_LINES: usize = 400;
/// The most lines tests may take in the file they test.
pub const INNER_TEST_LINES: usize = 150;
/// The width of a line.
pub const COLUMNS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_too_long_by_one_line_and_tests_do_not_count() {
        let tests = "#[cfg(test)]\nmod tests {\n}\n";
        let fits = "x\n".repeat(FILE_LINES) + tests;
        let too_long = "x\n".repeat(FILE_LINES + 1) + tests;
        assert_eq!(files_are_short(&Tree::of([("a/src/b.rs", &fits)])), []);
        assert_eq!(files_are_short(&Tree::of([("a/src/b.rs", &too_long)])).len(), 1);
        assert_eq!(files_are_short(&Tree::of([("a/tests/b.rs", &too_long)])), []);
    }

    #[test]
    fn inner_tests_are_too_long_by_one_line() {
        let tests =
            |lines: usize| format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "x\n".repeat(lines - 3));
        let fits = tests(INNER_TEST_LINES);
        let too_long = tests(INNER_TEST_LINES + 1);
        assert_eq!(inner_tests_are_short(&Tree::of([("a/src/b.rs", &fits)])), []);
        assert_eq!(inner_tests_are_short(&Tree::of([("a/src/b.rs", &too_long)])).len(), 1);
    }

    #[test]
    fn a_wide_line_is_found_but_not_the_wide_text_of_a_test() {
        let code = format!("{};\n", "x".repeat(COLUMNS));
        let text = format!("f(\"{}\");\n", "x".repeat(COLUMNS));
        assert_eq!(lines_are_narrow(&Tree::of([("a/tests/b.rs", &code)])).len(), 1);
        assert_eq!(lines_are_narrow(&Tree::of([("a/tests/b.rs", &text)])), []);
        assert_eq!(lines_are_narrow(&Tree::of([("a/src/b.rs", &text)])).len(), 1);
    }
}
