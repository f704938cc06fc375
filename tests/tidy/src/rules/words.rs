//! What may stand in no file at all.

use crate::{Finding, Tree};

/// No file names a folder of the machine it was written on.
#[must_use]
pub fn no_paths_of_one_machine(tree: &Tree) -> Vec<Finding> {
    search(tree, &MACHINE_PATHS, "a path of one machine; make it relative or take it from outside")
}

/// No file names the host of a package registry: which mirror is used is the builder's choice.
#[must_use]
pub fn no_hosts_of_registries(tree: &Tree) -> Vec<Finding> {
    search(tree, &REGISTRY_HOSTS, "the host of a package registry; name the package instead")
}

fn search(tree: &Tree, words: &[&str], advice: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts() {
        for (index, line) in text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(*word)) {
                let message = format!("contains `{word}`, {advice}");
                findings.push(Finding::on_line(path, index + 1, message));
            }
        }
    }
    findings
}

// Written in two parts, for this file must pass its own rule.
const MACHINE_PATHS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];
const REGISTRY_HOSTS: [&str; 4] = [
    concat!("crates", ".io/"),
    concat!("static.crates", ".io"),
    concat!("pypi", ".org"),
    concat!("deb.debian", ".org"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_one_machine_is_found() {
        for path in MACHINE_PATHS {
            let text = format!("fine\nsee {path}notes\n");
            let findings = no_paths_of_one_machine(&Tree::of([("docs/a.md", &text)]));
            assert_eq!(findings.len(), 1);
            assert_eq!(findings[0].line, Some(2));
        }
        assert_eq!(no_paths_of_one_machine(&Tree::of([("a", "network/x workshop")])), []);
    }

    #[test]
    fn a_registry_host_is_found() {
        for host in REGISTRY_HOSTS {
            let text = format!("https://{host}");
            assert_eq!(no_hosts_of_registries(&Tree::of([("docs/a.md", &text)])).len(), 1);
        }
    }
}
