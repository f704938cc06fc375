//! A folder with a config, and the real command run in it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// What the real command said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A folder in which the command runs, without anything of the environment of the tests.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder can be made"))
    }

    /// With a `caches.toml` of this text.
    pub(crate) fn with(text: &str) -> Self {
        let folder = Self::new();
        folder.write("caches.toml", text);
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).expect("the folder can be written to");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).expect("the file is there")
    }

    /// The command, ready to run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        command.args(arguments).current_dir(self.path()).env_clear().stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        said(self.command(arguments))
    }

    /// Runs the command and compares all it says with a golden file.
    pub(crate) fn golden(&self, name: &str, arguments: &[&str]) {
        golden(name, arguments, &self.run(arguments));
    }
}

/// Runs a command to its end.
pub(crate) fn said(mut command: Command) -> Said {
    let output = command.output().expect("the command is built");
    Said {
        code: output.status.code().expect("no signal ended it"),
        stdout: String::from_utf8(output.stdout).expect("the command writes UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("the command writes UTF-8"),
    }
}

/// Compares what was said with `tests/golden/NAME.txt`; `SNAPSHOTS=overwrite cargo test` writes
/// it anew.
pub(crate) fn golden(name: &str, arguments: &[&str], said: &Said) {
    let mut text = format!("$ larder {}\n{}", arguments.join(" "), said.stdout);
    for line in said.stderr.lines() {
        text += format!("stderr: {line}").trim_end();
        text.push('\n');
    }
    text += &format!("exit {}\n", said.code);
    let text = text.replace(env!("CARGO_PKG_VERSION"), "[VERSION]");
    let path = format!("{}/tests/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    snapbox::assert_data_eq!(text, snapbox::Data::read_from(path.as_ref(), None).raw());
}
