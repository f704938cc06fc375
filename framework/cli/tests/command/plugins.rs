//! `plugins`, `completions`, the generated files, and a program that ships the command with a
//! plugin of its own.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::support::Folder;
use larder::plugin::backend::Health;
use larder::plugin::erased_serde;
use larder::plugin::schemars::JsonSchema;
use larder::plugin::serde::Deserialize;
use larder::plugin::serializer::Visit;
use larder::plugin::{
    Backend, BuildContext, CacheError, Capabilities, Entry, ErrorKind, PluginConfig, Result,
    Secret, Serializer, async_trait, register,
};
use larder_cli::{Exit, Output, run};

/// A serializer of somebody else.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(crate = "larder::plugin::serde", deny_unknown_fields)]
#[schemars(crate = "larder::plugin::schemars")]
struct AcmeConfig {}

#[derive(Debug)]
struct Acme;

impl Serializer for Acme {
    fn format(&self) -> u16 {
        larder::plugin::serializer::format_of(AcmeConfig::KIND)
    }

    fn serialize(&self, _: &dyn erased_serde::Serialize, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    fn deserialize(&self, _: &[u8], _: &mut Visit<'_>) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl PluginConfig for AcmeConfig {
    const KIND: &'static str = "acme.text";
    const SUMMARY: &'static str = "a serializer that only this program has";
    type Plugin = Acme;

    async fn build(self, _: &BuildContext) -> Result<Acme> {
        Ok(Acme)
    }
}

register!(serializer: AcmeConfig);

/// A backend on a server that does not answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(crate = "larder::plugin::serde", deny_unknown_fields)]
#[schemars(crate = "larder::plugin::schemars")]
struct DownConfig {
    /// Whether not even a connection can be made.
    #[serde(default)]
    at_once: bool,
    /// What the server wants to see.
    #[serde(default)]
    #[expect(dead_code, reason = "the server does not answer anyway")]
    token: Option<Secret>,
}

#[derive(Debug)]
struct Down;

fn refused() -> CacheError {
    let cause = io::Error::from(io::ErrorKind::ConnectionRefused);
    CacheError::new(ErrorKind::Connection, "cannot reach the server").caused_by(cause)
}

#[async_trait]
impl Backend for Down {
    fn capabilities(&self) -> Capabilities {
        DownConfig::CAPABILITIES
    }

    async fn get(&self, _: &str) -> Result<Option<Entry>> {
        Err(refused())
    }

    async fn set(&self, _: &str, _: Entry) -> Result<()> {
        Err(refused())
    }

    async fn delete(&self, _: &str) -> Result<bool> {
        Err(refused())
    }

    async fn clear(&self) -> Result<()> {
        Err(refused())
    }

    async fn health(&self) -> Result<Health> {
        Err(refused())
    }
}

#[async_trait]
impl PluginConfig for DownConfig {
    const KIND: &'static str = "acme.down";
    const SUMMARY: &'static str = "a server that does not answer";
    const CAPABILITIES: Capabilities = Capabilities::SHARED;
    type Plugin = Down;

    async fn build(self, _: &BuildContext) -> Result<Down> {
        if self.at_once { Err(refused()) } else { Ok(Down) }
    }
}

register!(backend: DownConfig);

/// A stream that the test reads afterwards.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        let bytes = self.0.lock().expect("no test panics with the lock");
        String::from_utf8(bytes.clone()).expect("the command writes UTF-8")
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no test panics with the lock").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs the command inside of this program, which has one plugin more.
fn inside(arguments: &[&str]) -> (Exit, String, String) {
    let (data, notes) = (Captured::default(), Captured::default());
    let mut output = Output::plain(data.clone(), notes.clone());
    let arguments = std::iter::once(&"larder").chain(arguments).map(OsString::from);
    let exit = run(arguments, Default::default(), &mut output);
    (exit, data.text(), notes.text())
}

#[test]
fn a_program_that_ships_the_command_has_its_own_plugins_in_it() {
    let (exit, data, notes) = inside(&["plugins", "list"]);
    assert_eq!((exit, notes.as_str()), (Exit::Success, ""));
    assert!(data.contains("acme.text"), "{data}");
    let (exit, data, _) = inside(&["explain", "acme.text"]);
    assert_eq!(exit, Exit::Success);
    assert!(data.contains("a serializer that only this program has"), "{data}");
    let (exit, _, notes) = inside(&["explain", "acme.txt"]);
    assert_eq!(exit, Exit::No);
    assert!(notes.contains("did you mean `acme.text`?"), "{notes}");
}

#[test]
fn a_backend_that_cannot_be_reached_is_told_from_an_entry_that_is_not_there() {
    let folder = Folder::with(
        "[caches.alone]\nbackend = \"acme.down\"\n\
         [caches.below]\nl1.backend = { kind = \"memory\", capacity = 10 }\n\
         l2.backend = \"acme.down\"\n",
    );
    let config = folder.path().join("caches.toml");
    let config = config.to_str().expect("a temporary folder has a plain name");
    for cache in ["alone", "below"] {
        for arguments in [
            &["get", cache, "k"][..],
            &["set", cache, "k", "1"],
            &["exists", cache, "k"],
            &["ttl", cache, "k"],
            &["del", cache, "k"],
            &["clear", cache, "--yes"],
            &["stats", cache],
        ] {
            let (exit, data, notes) = inside(&[&["--config", config], arguments].concat());
            assert_eq!(exit, Exit::Unavailable, "{arguments:?}: {notes}");
            assert_eq!(data, "", "{arguments:?}");
            assert!(notes.starts_with("error: "), "{arguments:?}: {notes}");
        }
    }
    folder.write("caches.toml", "[caches.x]\nbackend = { kind = \"acme.down\", at_once = true }\n");
    let (exit, _, notes) = inside(&["--config", config, "get", "x", "k"]);
    assert_eq!(exit, Exit::Unavailable, "{notes}");
}

#[test]
fn secrets_are_shown_by_no_command() {
    let folder = Folder::with(
        "[caches.a]\nbackend = { kind = \"acme.down\", token = \"hunter2\" }\n\
         [caches.b]\nbackend = { kind = \"acme.down\", token = \"hunter2\", tokn = 1 }\n",
    );
    let config = folder.path().join("caches.toml");
    let config = config.to_str().expect("a temporary folder has a plain name");
    for format in ["human", "json", "github"] {
        let (exit, data, notes) = inside(&["check", config, "--format", format]);
        assert_eq!(exit, Exit::Config);
        assert!(!(data + &notes).contains("hunter2"), "check --format {format}");
    }
    let text = folder.read("caches.toml").replace(", tokn = 1", "");
    folder.write("caches.toml", &text);
    for arguments in [&["show"][..], &["show", "--origin"], &["show", "--format", "json"]] {
        let (exit, data, notes) = inside(&[&["--config", config], arguments].concat());
        assert_eq!(exit, Exit::Success, "{notes}");
        assert!(data.contains("caches.a.backend.token"), "{data}");
        assert!(!(data + &notes).contains("hunter2"), "{arguments:?}");
    }
}

#[test]
fn plugins_are_listed_by_slot_and_kind() {
    let folder = Folder::new();
    folder.golden("plugins-list", &["plugins", "list"]);
    folder.golden("plugins-list-json", &["plugins", "list", "--format", "json"]);
}

#[test]
fn there_are_completions_for_every_shell() {
    let folder = Folder::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let said = folder.run(&["completions", shell]);
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{shell}");
        assert!(said.stdout.contains("deny-warnings"), "{shell}");
    }
    folder.golden("completions-unknown", &["completions", "dos"]);
}

#[test]
fn help_and_version_are_answers_and_mistakes_are_usage() {
    let folder = Folder::new();
    folder.golden("version", &["--version"]);
    folder.golden("help", &["--help"]);
    folder.golden("usage", &["chekc"]);
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Says how to generate the file again when it is not.
fn is_up_to_date(command: &str, file: &str) {
    let folder = Folder::new();
    let mut check = folder.command(&[command, "--check", file]);
    check.current_dir(root());
    let said = crate::support::said(check);
    let again = format!("cargo run -p larder-cli -- {command} -o {file}");
    assert_eq!(said.code, 0, "{}run this in the root of the repository: {again}", said.stderr);
}

#[test]
fn the_schema_in_the_repository_is_that_of_the_plugins() {
    is_up_to_date("schema", "config-schema/caches.schema.json");
}

#[test]
fn the_reference_in_the_repository_is_that_of_the_plugins() {
    is_up_to_date("reference", "docs/configuration.md");
}

#[test]
fn generated_files_are_written_checked_and_found_out_of_date() {
    let folder = Folder::new();
    folder.golden("schema-write", &["schema", "-o", "schema.json"]);
    folder.golden("schema-check", &["schema", "--check", "schema.json"]);
    assert_eq!(folder.run(&["schema"]).stdout, folder.read("schema.json"));
    folder.write("schema.json", "{}\n");
    folder.golden("schema-stale", &["schema", "--check", "schema.json"]);
    folder.golden("schema-absent", &["schema", "--check", "absent.json"]);
    assert_eq!(folder.run(&["reference", "-o", "no/such/folder.md"]).code, 74);
}
