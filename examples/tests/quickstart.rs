//! The quick start answers its second run from the files of the first.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use support::program;
use tempfile::TempDir;

mod support;

/// Runs the quick start with its files below `kept`; its output and errors.
fn run(kept: &Path, arguments: &[&OsStr]) -> (String, String) {
    let output = program("quickstart")
        .args(arguments)
        .env("LARDER_QUICKSTART_DIR", kept)
        .output()
        .expect("the quick start can be run");
    let text = |bytes| String::from_utf8(bytes).expect("the output is UTF-8");
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    (out, err)
}

/// A tree with a copied block, a file that is no text and one that is not looked at.
fn tree() -> io::Result<TempDir> {
    let tree = TempDir::new()?;
    let at = |name: &str| tree.path().join(name);
    fs::create_dir_all(at("src"))?;
    fs::create_dir_all(at("target"))?;
    fs::write(at("src/copied.rs"), "alpha one\nbeta two\nrest\nalpha one\nbeta two\n")?;
    fs::write(at("src/plain.rs"), "just one line of alpha alpha\n")?;
    fs::write(at("picture.bin"), [0xff, 0xfe, 0x00, 0x80])?;
    fs::write(at("target/built.rs"), "not looked at\n")?;
    Ok(tree)
}

fn config(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn a_second_run_is_answered_from_the_file_tier() {
    let (tree, kept) = (tree().unwrap(), TempDir::new().unwrap());
    let (first, _) = run(kept.path(), &[tree.path().as_os_str()]);
    assert!(first.contains("analysed anew: 3 of 3 files"), "{first}");
    assert!(!first.contains("from the file tier"), "{first}");
    assert!(first.contains("2, from 1 and 4"), "the copied block: {first}");
    assert!(first.contains("alpha (2)"), "the most used identifier: {first}");
    assert!(first.contains("3 files, 2 of them text with 6 lines"), "{first}");

    let (second, _) = run(kept.path(), &[tree.path().as_os_str()]);
    assert!(second.contains("answered from the file tier: 3 of 3 files"), "{second}");
    assert!(second.contains("analysed anew: 0 of 3 files"), "{second}");
    assert!(second.contains("times as fast as analysing all 3 files"), "{second}");
    assert!(second.contains("2, from 1 and 4"), "what was found is the same: {second}");
}

#[test]
fn a_changed_file_is_analysed_anew() {
    let (tree, kept) = (tree().unwrap(), TempDir::new().unwrap());
    run(kept.path(), &[tree.path().as_os_str()]);
    fs::write(tree.path().join("src/plain.rs"), "gamma gamma gamma gamma gamma\n").unwrap();
    let (second, _) = run(kept.path(), &[tree.path().as_os_str()]);
    assert!(second.contains("answered from the file tier: 2 of 3 files"), "{second}");
    assert!(second.contains("analysed anew: 1 of 3 files"), "{second}");
    assert!(second.contains("gamma (5)"), "{second}");
}

#[test]
fn the_memory_config_needs_no_other_program_and_leaves_no_files() {
    let (tree, kept) = (tree().unwrap(), TempDir::new().unwrap());
    let memory = config("caches-memory.toml");
    let arguments = [OsStr::new("--config"), memory.as_os_str(), tree.path().as_os_str()];
    for _ in 0..2 {
        let (output, _) = run(kept.path(), &arguments);
        assert!(output.contains("analysed anew: 3 of 3 files"), "{output}");
        assert!(output.contains("l1 memory"), "{output}");
    }
    assert_eq!(fs::read_dir(kept.path()).unwrap().count(), 0);
}

#[test]
fn nothing_but_the_results_is_printed_where_there_is_no_terminal() {
    let (tree, kept) = (tree().unwrap(), TempDir::new().unwrap());
    let (_, errors) = run(kept.path(), &[tree.path().as_os_str()]);
    assert_eq!(errors, "", "the progress bar is for terminals");
}

#[test]
fn a_mistake_in_the_config_is_reported_with_its_place() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("wrong.toml");
    fs::write(&path, "[caches.reports]\nbackend = { kind = \"memory\", capacty = 5 }\n").unwrap();
    let output = program("quickstart").arg("--config").arg(&path).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("wrong.toml:2:"), "{errors}");
    assert!(errors.contains("did you mean `capacity`"), "{errors}");
}

#[test]
fn an_unknown_option_is_answered_with_the_usage() {
    let output = program("quickstart").arg("--confg").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("--confg") && errors.contains("usage:"), "{errors}");
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let kept = TempDir::new().unwrap();
    let missing = kept.path().join("missing");
    let mut command = program("quickstart");
    let output = command.arg(&missing).env("LARDER_QUICKSTART_DIR", kept.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains(&*missing.to_string_lossy()), "{errors}");
}
