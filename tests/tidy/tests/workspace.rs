//! Runs every rule over this repository.

use std::path::Path;
use std::sync::LazyLock;

use larder_tidy::rules::{code, crates, files, size, words};
use larder_tidy::{Finding, Tree};

static TREE: LazyLock<Tree> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Tree::read(&root).expect("the repository can be read")
});

#[track_caller]
fn assert_none(rule: fn(&Tree) -> Vec<Finding>) {
    let findings: Vec<String> = rule(&TREE).iter().map(Finding::to_string).collect();
    assert!(
        findings.is_empty(),
        "{} places break the rule:\n{}",
        findings.len(),
        findings.join("\n")
    );
}

macro_rules! every_rule {
    ($($module:ident::$rule:ident,)*) => {
        $(#[test]
        fn $rule() {
            assert_none($module::$rule);
        })*
    };
}

every_rule! {
    code::lints_are_not_allowed,
    code::nothing_is_left_undone,
    code::nothing_is_unwrapped,
    code::tests_do_not_sleep,
    code::unsafe_has_its_place,
    crates::dependencies_follow_the_table,
    crates::packages_are_complete,
    crates::versions_stand_in_the_root,
    crates::workspace_dependencies_are_explained,
    files::change_notes_are_named_by_kind,
    files::golden_files_are_used,
    files::links_lead_somewhere,
    files::named_paths_exist,
    files::the_top_level_is_known,
    size::files_are_short,
    size::inner_tests_are_short,
    size::lines_are_narrow,
    words::no_hosts_of_registries,
    words::no_paths_of_one_machine,
}
