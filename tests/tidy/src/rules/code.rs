//! What may not stand in the code.

use crate::source::Line;
use crate::{Finding, Tree};

/// Production code has no bare `unwrap()`; tests and examples may.
#[must_use]
pub fn nothing_is_unwrapped(tree: &Tree) -> Vec<Finding> {
    let advice = "bare `unwrap()`; return an error, or `expect` with the reason why it holds";
    search(tree, advice, |path, line| {
        !line.is_test && !path.starts_with("examples/") && line.code.contains(".unwrap()")
    })
}

/// Nothing is left undone or switched off, and no debug output is left behind.
#[must_use]
pub fn nothing_is_left_undone(tree: &Tree) -> Vec<Finding> {
    let marks = ["todo!", "unimplemented!", "dbg!", "#[ignore"];
    let advice = "unfinished or switched off; finish it, or take it out and open an issue";
    search(tree, advice, |_, line| marks.iter().any(|mark| line.code.contains(mark)))
}

/// Lints are expected with a reason, never silently allowed.
#[must_use]
pub fn lints_are_not_allowed(tree: &Tree) -> Vec<Finding> {
    let advice = "`allow` stays when its cause is gone; use `#[expect(lint, reason = \"…\")]`";
    search(tree, advice, |_, line| {
        line.code.contains("#[allow(") || line.code.contains("#![allow(")
    })
}

/// Tests turn a clock by hand instead of sleeping.
#[must_use]
pub fn tests_do_not_sleep(tree: &Tree) -> Vec<Finding> {
    let advice = "a test that sleeps is slow and fails at random; use `ManualClock`, or wait for \
                  the event itself";
    search(tree, advice, |path, line| {
        let is_test = line.is_test || path.starts_with("tests/");
        is_test && (line.code.contains("thread::sleep") || line.code.contains("time::sleep"))
    })
}

/// `unsafe` stands only in the crates that are there for it.
#[must_use]
pub fn unsafe_has_its_place(tree: &Tree) -> Vec<Finding> {
    let advice = "`unsafe` belongs in framework/store, framework/dynamic or framework/abi; \
                  find a safe way, or move it there";
    search(tree, advice, |path, line| {
        let is_home = UNSAFE_HOMES.iter().any(|home| path.starts_with(home));
        !is_home && has_word(line.code, "unsafe")
    })
}

fn search(tree: &Tree, advice: &str, is_bad: impl Fn(&str, Line<'_>) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.rust() {
        let bad = source.lines().filter(|&line| is_bad(path, line));
        findings.extend(bad.map(|line| Finding::on_line(path, line.number, advice)));
    }
    findings
}

fn has_word(code: &str, word: &str) -> bool {
    code.split(|char: char| !char.is_alphanumeric() && char != '_').any(|part| part == word)
}

const UNSAFE_HOMES: [&str; 3] = ["framework/abi/", "framework/dynamic/", "framework/store/"];

#[cfg(test)]
mod tests {
    use super::*;

    type Rule = fn(&Tree) -> Vec<Finding>;

    fn found(rule: Rule, path: &str, text: &str) -> usize {
        rule(&Tree::of([(path, text)])).len()
    }

    #[test]
    fn an_unwrap_is_found_in_production_code_only() {
        let text = "fn a() { b().unwrap(); }\n// .unwrap()\n\
                    #[cfg(test)]\nmod tests {\n fn c() { d().unwrap(); }\n}\n";
        assert_eq!(found(nothing_is_unwrapped, "a/src/b.rs", text), 1);
        assert_eq!(found(nothing_is_unwrapped, "a/tests/b.rs", text), 0);
    }

    #[test]
    fn what_is_left_undone_is_found_even_in_tests() {
        let marks = ["todo!()", "unimplemented!(\"x\")", "dbg!(x)", "#[ignore = \"later\"]"];
        for mark in marks {
            assert_eq!(found(nothing_is_left_undone, "a/tests/b.rs", mark), 1, "{mark}");
        }
        assert_eq!(found(nothing_is_left_undone, "a/src/b.rs", "let x = \"todo!\";"), 0);
    }

    #[test]
    fn an_allowed_lint_is_found_and_an_expected_one_is_not() {
        assert_eq!(found(lints_are_not_allowed, "a/src/b.rs", "#![allow(dead_code)]"), 1);
        assert_eq!(found(lints_are_not_allowed, "a/src/b.rs", "#[allow(dead_code)]"), 1);
        assert_eq!(found(lints_are_not_allowed, "a/src/b.rs", "#[expect(dead_code)]"), 0);
    }

    #[test]
    fn a_sleep_is_found_in_tests_and_the_clock_may_sleep() {
        assert_eq!(found(tests_do_not_sleep, "a/tests/b.rs", "std::thread::sleep(x);"), 1);
        assert_eq!(found(tests_do_not_sleep, "tests/x/src/b.rs", "tokio::time::sleep(x)"), 1);
        assert_eq!(found(tests_do_not_sleep, "a/tests/b.rs", "clock.sleep(x)"), 0);
    }

    #[test]
    fn unsafe_is_found_outside_its_crates_as_a_word() {
        assert_eq!(found(unsafe_has_its_place, "plugins/a/src/b.rs", "unsafe { x }"), 1);
        assert_eq!(found(unsafe_has_its_place, "framework/store/src/b.rs", "unsafe { x }"), 0);
        assert_eq!(found(unsafe_has_its_place, "plugins/a/src/b.rs", "#![forbid(unsafe_code)]"), 0);
    }
}
