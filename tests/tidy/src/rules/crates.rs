//! How crates depend on each other and on the world.

use crate::manifest::{Entry, Manifest};
use crate::{Finding, Tree};

/// Our crates depend on each other only as the table of the architecture says: plugins know the
/// core and nothing else of ours.
#[must_use]
pub fn dependencies_follow_the_table(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, manifest) in packages(tree) {
        let name = manifest.name().unwrap_or_default();
        let Some(allowed) = allowed_dependencies(path, name) else {
            let message = format!("`{name}` has no row in the table of {}; add one", file!());
            findings.push(Finding::in_file(path, message));
            continue;
        };
        let ours = manifest.dependencies().filter(|entry| is_ours(entry.key));
        for entry in ours.filter(|entry| !allowed.permits(entry.key)) {
            let message = format!(
                "`{name}` must not depend on `{}`; what both need belongs in `larder-core`",
                entry.key
            );
            findings.push(Finding::on_line(path, entry.line, message));
        }
    }
    findings
}

/// Versions stand once, in the root manifest.
#[must_use]
pub fn versions_stand_in_the_root(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, manifest) in packages(tree) {
        let dependencies = manifest.entries().filter(|entry| entry.table.ends_with("dependencies"));
        for entry in dependencies.filter(|entry| !entry.rest.contains("workspace = true")) {
            let message = format!(
                "declare `{}` in [workspace.dependencies] and write `workspace = true` here",
                entry.key
            );
            findings.push(Finding::on_line(path, entry.line, message));
        }
    }
    findings
}

/// What we depend on is sorted within its block, has no default features and says why it is
/// there.
#[must_use]
pub fn workspace_dependencies_are_explained(tree: &Tree) -> Vec<Finding> {
    const ROOT: &str = "Cargo.toml";
    let mut findings = Vec::new();
    let mut previous: Option<Entry<'_>> = None;
    let root = Manifest::new(tree.text(ROOT).unwrap_or_default());
    for entry in root.entries().filter(|entry| entry.table == "workspace.dependencies") {
        let mut complain =
            |message: String| findings.push(Finding::on_line(ROOT, entry.line, message));
        // A gap between two entries is the headline of a new block, which is sorted by itself.
        let above = previous.filter(|above| above.line + 1 == entry.line);
        if let Some(above) = above.filter(|above| above.key > entry.key) {
            complain(format!("`{}` stands below `{}`; sort the block", entry.key, above.key));
        }
        if !is_ours(entry.key) {
            if !entry.rest.contains("default-features = false") {
                complain(format!("`{}` lacks `default-features = false`", entry.key));
            }
            if !entry.rest.contains("} # ") {
                complain(format!("`{}` lacks its reason, `# …` after it", entry.key));
            }
        }
        previous = Some(entry);
    }
    findings
}

/// Every crate says what it is and takes the lints of the workspace.
#[must_use]
pub fn packages_are_complete(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, manifest) in packages(tree) {
        let has = |table: &str, key: &str, value: &str| {
            manifest
                .entries()
                .any(|e| e.table == table && e.key == key && e.rest.trim_start().starts_with(value))
        };
        if !has("package", "description", "= \"") {
            findings.push(Finding::in_file(path, "lacks a `description`: one sentence"));
        }
        if !has("lints", "workspace", "= true") {
            let message = "lacks the lints of the workspace: `[lints]`, `workspace = true`";
            findings.push(Finding::in_file(path, message));
        }
    }
    findings
}

fn packages(tree: &Tree) -> impl Iterator<Item = (&str, Manifest<'_>)> {
    tree.texts()
        .filter(|(path, _)| path.ends_with("/Cargo.toml"))
        .map(|(path, text)| (path, Manifest::new(text)))
        .filter(|(_, manifest)| manifest.name().is_some())
}

fn is_ours(name: &str) -> bool {
    name == "larder" || name.starts_with("larder-")
}

/// Which of our own crates a crate may depend on.
#[derive(Clone, Copy, Debug)]
enum Allowed {
    Any,
    These(&'static [&'static str]),
}

impl Allowed {
    fn permits(self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::These(names) => names.contains(&name),
        }
    }
}

fn allowed_dependencies(path: &str, name: &str) -> Option<Allowed> {
    if let Some((_, names)) = TABLE.iter().find(|(crate_name, _)| *crate_name == name) {
        return Some(Allowed::These(names));
    }
    match path.split('/').next()? {
        "plugins" => Some(Allowed::These(&["larder-core"])),
        "examples" => {
            Some(Allowed::These(&["larder", "larder-cli", "larder-core", "larder-dynamic"]))
        }
        "tests" => Some(Allowed::Any),
        _ => None,
    }
}

/// The crates of the framework, and the plugin that has more than the core. Other plugins have
/// the core only; examples what an application or a plugin author has; tests everything.
const TABLE: &[(&str, &[&str])] = &[
    ("larder-core", &[]),
    ("larder-abi", &[]),
    ("larder-store", &["larder-core"]),
    ("larder-config", &["larder-core"]),
    ("larder-dynamic", &["larder-core", "larder-abi"]),
    ("larder-runner", &["larder-core", "larder-dynamic"]),
    // The backend `memory` is the store, told by its config.
    ("larder-memory", &["larder-core", "larder-store"]),
    ("larder-conformance", &["larder-core"]),
    // Plugins that talk to servers start them in their tests.
    ("larder-servers", &[]),
    (
        "larder",
        &[
            "larder-config",
            "larder-core",
            "larder-dynamic",
            "larder-file",
            "larder-foyer",
            "larder-invalidators",
            "larder-memory",
            "larder-policies",
            "larder-redb",
            "larder-redis",
            "larder-replicators",
            "larder-serializers",
            "larder-store",
            "larder-warmers",
        ],
    ),
    ("larder-cli", &["larder"]),
    ("larder-tidy", &[]),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, rest: &str) -> String {
        format!("[package]\nname = \"{name}\"\n{rest}")
    }

    #[test]
    fn a_plugin_that_knows_another_plugin_or_the_framework_is_found() {
        let with = |dependency: &str| {
            let text =
                package("larder-file", &format!("[dependencies]\n{dependency}.workspace = true\n"));
            dependencies_follow_the_table(&Tree::of([("plugins/file/Cargo.toml", &text)])).len()
        };
        assert_eq!(with("larder-core"), 0);
        assert_eq!(with("serde"), 0);
        assert_eq!(with("larder-memory"), 1);
        assert_eq!(with("larder"), 1);
    }

    #[test]
    fn the_core_depends_on_nothing_of_ours_and_only_memory_on_the_store() {
        let with_store = |path: &str, name: &str| {
            let text = package(name, "[dependencies]\nlarder-store.workspace = true\n");
            dependencies_follow_the_table(&Tree::of([(path, &text)])).len()
        };
        assert_eq!(with_store("framework/core/Cargo.toml", "larder-core"), 1);
        assert_eq!(with_store("plugins/policies/Cargo.toml", "larder-policies"), 1);
        assert_eq!(with_store("plugins/memory/Cargo.toml", "larder-memory"), 0);
    }

    #[test]
    fn a_framework_crate_without_a_row_is_found() {
        let tree = Tree::of([("framework/new/Cargo.toml", &package("larder-new", ""))]);
        assert_eq!(dependencies_follow_the_table(&tree).len(), 1);
    }

    #[test]
    fn a_version_outside_the_root_is_found() {
        let text = package("a", "[dev-dependencies]\nx = \"1\"\ny = { workspace = true }\n");
        let findings = versions_stand_in_the_root(&Tree::of([("a/Cargo.toml", &text)]));
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].line, Some(4));
    }

    #[test]
    fn a_dependency_out_of_order_or_without_reason_is_found() {
        let with = |lines: &str| {
            let text = format!("[workspace.dependencies]\n{lines}\n");
            workspace_dependencies_are_explained(&Tree::of([("Cargo.toml", &text)])).len()
        };
        let a = "a = { version = \"1\", default-features = false } # why";
        let b = a.replacen('a', "b", 1);
        assert_eq!(with(&format!("{a}\n{b}")), 0);
        assert_eq!(with(&format!("{b}\n{a}")), 1);
        assert_eq!(with(&format!("{b}\n\n# next block\n{a}")), 0);
        assert_eq!(with("a = { version = \"1\" } # why"), 1);
        assert_eq!(with("a = { version = \"1\", default-features = false }"), 1);
    }

    #[test]
    fn a_package_without_description_or_lints_is_found() {
        let bare = package("a", "");
        let full = package("a", "description = \"A.\"\n[lints]\nworkspace = true\n");
        assert_eq!(packages_are_complete(&Tree::of([("a/Cargo.toml", &bare)])).len(), 2);
        assert_eq!(packages_are_complete(&Tree::of([("a/Cargo.toml", &full)])), []);
    }
}
