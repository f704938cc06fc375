//! The page about faults names every test.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The tests in the files of a folder, as `module::name`.
fn tests_in(folder: &Path) -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if !path.is_file() {
            continue;
        }
        let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let marks = ["#[tokio::test", "#[test]\n"];
        let after = marks.iter().flat_map(|mark| text.split(mark).skip(1));
        for rest in after.filter(|_| module != "manual") {
            let line = rest.lines().find(|line| line.contains("fn ")).unwrap_or_default();
            if let Some((_, name)) = line.trim_end_matches("() {").split_once("fn ") {
                tests.insert(format!("{module}::{name}"));
            }
        }
    }
    tests
}

#[test]
fn the_page_about_faults_and_the_tests_agree() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("../../docs/faults.md")).unwrap();
    let quoted = page.split('`').skip(1).step_by(2).filter(|text| text.contains("::"));
    let named: BTreeSet<String> = quoted.map(str::to_owned).collect();
    let tests = tests_in(&root.join("tests/faults"));
    // The faults of plugins in processes of their own have their tests with the runner.
    let others = tests_in(&root.join("../../framework/runner/tests/process"));
    let missing: Vec<_> = tests.difference(&named).collect();
    let is_there = |name: &&String| tests.contains(*name) || others.contains(*name);
    let gone: Vec<_> = named.iter().filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "not on the page: {missing:#?}");
    assert!(gone.is_empty(), "on the page, and no test: {gone:#?}");
}
