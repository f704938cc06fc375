//! How the tests run the examples.

use std::process::Command;

/// An example as cargo built it, without any setting of the tester's environment.
pub(crate) fn program(name: &str) -> Command {
    let test = std::env::current_exe().expect("a running program has a path");
    // Examples stand beside the directory of the test executables.
    let profile = test.ancestors().nth(2).expect("tests are two levels below the profile");
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let path = profile.join("examples").join(file);
    assert!(path.exists(), "{} is missing: run `cargo test` without `--test`", path.display());
    let mut command = Command::new(path);
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("LARDER_") {
            command.env_remove(variable);
        }
    }
    command
}
