//! The C and C++ compilers of the machine.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The languages of the header, each with its compiler and what makes that strict.
pub(crate) const LANGUAGES: [(&str, &str, &[&str]); 2] =
    [("CC", "cc", &["-std=c11", "-x", "c"]), ("CXX", "c++", &["-std=c++11", "-x", "c++"])];

/// Compiles a source that includes the header, with any warning an error.
pub(crate) fn compile(
    (variable, usual, language): (&str, &str, &[&str]),
    options: &[&str],
    source: &str,
    dir: &Path,
) -> PathBuf {
    let (from, to) = (dir.join("source.c"), dir.join("output"));
    std::fs::write(&from, source).unwrap();
    let compiler = std::env::var(variable).unwrap_or_else(|_| usual.to_owned());
    let include = concat!("-I", env!("CARGO_MANIFEST_DIR"), "/include");
    let output = Command::new(&compiler)
        .args(language)
        .args(["-Wall", "-Wextra", "-Werror", "-pedantic-errors", include])
        .args(options)
        .arg("-o")
        .args([&to, &from])
        .output()
        .unwrap_or_else(|error| panic!("install `{compiler}` or set {variable}: {error}"));
    assert!(
        output.status.success(),
        "{compiler} {language:?} {options:?}:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    to
}

/// Compiles a program and returns what it prints.
pub(crate) fn run(language: (&str, &str, &[&str]), options: &[&str], source: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let program = compile(language, options, source, dir.path());
    let output = Command::new(program).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}
