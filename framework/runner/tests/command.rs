//! The command `larder` and libraries in processes of their own.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "support/mod.rs"]
#[expect(dead_code, reason = "other programs of tests use the rest of it")]
mod support;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use larder_cli::{Exit, Output};

/// What the command writes.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs the command in this process.
fn larder(arguments: &[&str]) -> String {
    let (data, notes) = (Written::default(), Written::default());
    let mut output = Output::plain(data.clone(), notes.clone());
    let arguments = ["larder"].iter().chain(arguments).map(OsString::from);
    let exit = larder_cli::run(arguments, BTreeMap::new(), &mut output);
    let text = |written: Written| String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    assert!(matches!(exit, Exit::Success), "{}", text(notes));
    text(data)
}

/// The shelf in C, which notes by which processes it was loaded.
fn noting(file: &Path) -> support::Compiled {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shelf = std::fs::read_to_string(root.join("examples/plugins/c-shelf/shelf.c")).unwrap();
    let note = format!(
        "#include <stdio.h>\n#include <unistd.h>\n\
         __attribute__((constructor)) static void note(void) {{\n\
         FILE *file = fopen(\"{}\", \"a\"); fprintf(file, \"%d \", (int)getpid()); fclose(file);\n}}\n",
        file.display()
    );
    support::Compiled::of("c-shelf", &format!("{shelf}\n{note}"))
}

#[test]
fn a_library_that_the_config_isolates_is_described_by_its_runner_and_verified_by_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = folder.path().join("loaded");
    let library = noting(&loaded);
    let config = folder.path().join("caches.toml");
    let text = format!(
        "[plugins.c-shelf]\nlibrary = {:?}\ntrust = \"path\"\n\
         provides = [\"backend:acme.c-shelf\"]\nisolation = \"process\"\nrunner = {:?}\n",
        library.path(),
        support::RUNNER
    );
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();

    let verified = larder(&["--config", config, "plugins", "verify"]);
    assert!(verified.contains("in a process of its own"), "{verified}");
    assert!(!loaded.exists(), "to verify runs nothing");

    let said = larder(&["--config", config, "plugins", "info", "c-shelf"]);
    for part in ["in a process of its own", "backend `acme.c-shelf`: ", "capacity", "not written"] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    let json = larder(&["--config", config, "plugins", "info", "c-shelf", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["is_isolated"], &json["name"]), (&true.into(), &"c-shelf".into()));
    assert_eq!(json["components"][0]["schema"]["type"], "object", "{json}");
    let processes = std::fs::read_to_string(&loaded).unwrap();
    let own = std::process::id().to_string();
    assert!(!processes.is_empty() && processes.split(' ').all(|id| id != own), "{processes}");
}
