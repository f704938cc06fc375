//! Which files there are, and that what is named exists.

use std::collections::BTreeSet;

use crate::{Finding, Tree};

/// The top level holds what a reader expects there and nothing else.
#[must_use]
pub fn the_top_level_is_known(tree: &Tree) -> Vec<Finding> {
    let entries: BTreeSet<&str> = tree.paths().filter_map(|path| path.split('/').next()).collect();
    let missing = REQUIRED_AT_TOP
        .iter()
        .filter(|name| !entries.contains(*name))
        .map(|name| Finding::in_file(name, "is missing at the top level; write it"));
    let is_known = |name: &str| {
        name.starts_with('.') || REQUIRED_AT_TOP.contains(&name) || OPTIONAL_AT_TOP.contains(&name)
    };
    let unknown = entries.iter().filter(|name| !is_known(name)).map(|name| {
        Finding::in_file(name, "does not belong at the top level; move it into one of the folders")
    });
    missing.chain(unknown).collect()
}

/// Every path that the architecture names in backticks exists.
#[must_use]
pub fn named_paths_exist(tree: &Tree) -> Vec<Finding> {
    const MAP: &str = "ARCHITECTURE.md";
    let mut findings = Vec::new();
    for (index, line) in tree.text(MAP).unwrap_or_default().lines().enumerate() {
        let quoted = line.split('`').skip(1).step_by(2);
        for path in quoted.filter(|text| is_path(text)).map(|text| text.trim_end_matches('/')) {
            if !tree.has(path) {
                let message = format!("names `{path}`, which does not exist; correct the page");
                findings.push(Finding::on_line(MAP, index + 1, message));
            }
        }
    }
    findings
}

/// Every relative link of a page leads to a file or folder.
#[must_use]
pub fn links_lead_somewhere(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| path.ends_with(".md")) {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (index, line) in text.lines().enumerate() {
            for target in links(line) {
                if !tree.has(&resolve(folder, target)) {
                    let message = format!("links to `{target}`, which does not exist");
                    findings.push(Finding::on_line(path, index + 1, message));
                }
            }
        }
    }
    findings
}

/// Notes about changes are named `<slug>.<kind>.md`.
#[must_use]
pub fn change_notes_are_named_by_kind(tree: &Tree) -> Vec<Finding> {
    let notes = tree.paths().filter_map(|path| Some((path, path.strip_prefix(".changes/")?)));
    notes
        .filter(|(_, name)| *name != "README.md" && !is_change_note(name))
        .map(|(path, _)| {
            let message = format!(
                "is not named `<slug>.<kind>.md` with a slug in kebab-case and a kind of {}",
                CHANGE_KINDS.join(", ")
            );
            Finding::in_file(path, message)
        })
        .collect()
}

/// Every golden file is compared with something: a test names it, or it is the answer to a file
/// of the same name and another extension beside it.
#[must_use]
pub fn golden_files_are_used(tree: &Tree) -> Vec<Finding> {
    let paths: Vec<&str> = tree.paths().collect();
    let sources: Vec<&str> =
        tree.texts().filter(|(path, _)| path.ends_with(".rs")).map(|(_, text)| text).collect();
    let is_used = |path: &str| {
        let (stem, _) = path.rsplit_once('.').unwrap_or((path, ""));
        let file = path.rsplit('/').next().unwrap_or(path);
        let name = file.split('.').next().unwrap_or(file);
        let is_partner = |other: &&str| {
            **other != *path && other.rsplit_once('.').is_some_and(|(other, _)| other == stem)
        };
        paths.iter().any(is_partner) || sources.iter().any(|text| has_name(text, name))
    };
    let golden = paths.iter().filter(|path| path.contains("/golden/"));
    golden
        .filter(|path| !is_used(path))
        .map(|path| Finding::in_file(path, "no test reads this golden file; delete it"))
        .collect()
}

/// Whether `text` has `name` as a whole; `-` is part of a name.
fn has_name(text: &str, name: &str) -> bool {
    let is_name_char = |char: char| char.is_alphanumeric() || char == '_' || char == '-';
    text.split(|char: char| !is_name_char(char)).any(|part| part == name)
}

fn is_change_note(name: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    let [slug, kind, "md"] = parts[..] else {
        return false;
    };
    let is_slug_char =
        |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-';
    !slug.is_empty() && slug.chars().all(is_slug_char) && CHANGE_KINDS.contains(&kind)
}

/// Whether a quoted text is a path of this repository: words with a slash between them.
fn is_path(text: &str) -> bool {
    let is_path_char = |char: char| char.is_ascii_alphanumeric() || "._-/".contains(char);
    text.contains('/') && !text.starts_with('/') && text.chars().all(is_path_char)
}

/// The targets of the relative links of a line, without their anchors.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets
        .filter(|target| !target.contains(':'))
        .filter_map(|target| target.split('#').next())
        .filter(|target| !target.is_empty())
}

/// A link as a path from the root.
fn resolve(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

const REQUIRED_AT_TOP: [&str; 18] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "clippy.toml",
    "config-schema",
    "deny.toml",
    "docs",
    "examples",
    "framework",
    "plugins",
    "rustfmt.toml",
    "tests",
];

const OPTIONAL_AT_TOP: [&str; 1] = ["rust-toolchain.toml"];

const CHANGE_KINDS: [&str; 5] = ["added", "breaking", "changed", "fixed", "removed"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stray_entry_and_a_missing_one_are_found() {
        let tree = Tree::of([("README.md", ""), ("scratch/a.rs", ""), (".github/ci.yml", "")]);
        let findings = the_top_level_is_known(&tree);
        let about = |name: &str| findings.iter().any(|finding| finding.path == name);
        assert!(about("scratch") && about("LICENSE-MIT"));
        assert!(!about("README.md") && !about(".github"));
    }

    #[test]
    fn a_path_that_is_named_but_gone_is_found() {
        let map = "`plugins/file` and `plugins/gone/`, `get set`, `a::b`, `/etc/x`, `x`\n";
        let tree = Tree::of([("ARCHITECTURE.md", map), ("plugins/file/Cargo.toml", "")]);
        let findings = named_paths_exist(&tree);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].message.contains("plugins/gone"));
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let page = "[a](../README.md#top) [b](b.md) [c](#here) [d](https://example.org/x)\n";
        let tree = Tree::of([("README.md", ""), ("docs/a.md", page)]);
        let findings = links_lead_somewhere(&tree);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].message.contains("`b.md`"));
    }

    #[test]
    fn a_change_note_of_another_name_is_found() {
        let tree = Tree::of([
            (".changes/README.md", ""),
            (".changes/tags.added.md", ""),
            (".changes/tags.new.md", ""),
            (".changes/Tags.added.md", ""),
            (".changes/tags.md", ""),
        ]);
        let paths: Vec<_> =
            change_notes_are_named_by_kind(&tree).into_iter().map(|finding| finding.path).collect();
        assert_eq!(paths, [".changes/Tags.added.md", ".changes/tags.md", ".changes/tags.new.md"]);
    }
    #[test]
    fn a_golden_file_that_no_test_reads_is_found() {
        let tree = Tree::of([
            ("a/tests/golden/named.toml.txt", ""),
            ("a/tests/golden/pair.toml", ""),
            ("a/tests/golden/pair.txt", ""),
            ("a/tests/golden/left-over.txt", ""),
            ("a/tests/messages.rs", "check(\"named\"); // not left"),
        ]);
        let paths: Vec<_> =
            golden_files_are_used(&tree).into_iter().map(|finding| finding.path).collect();
        assert_eq!(paths, ["a/tests/golden/left-over.txt"]);
    }
}
