//! The command in a program that ships it with a plugin of its own: a backend that cannot list its
//! keys.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use larder::plugin::schemars::JsonSchema;
use larder::plugin::serde::Deserialize;
use larder::plugin::{
    Backend, BuildContext, Capabilities, Entry, PluginConfig, Result, async_trait, register,
};
use larder_cli::{Exit, Output, run};

/// Keeps nothing, and could not say what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(crate = "larder::plugin::serde", deny_unknown_fields)]
#[schemars(crate = "larder::plugin::schemars")]
struct BlindConfig {}

#[derive(Debug)]
struct Blind;

#[async_trait]
impl PluginConfig for BlindConfig {
    const KIND: &'static str = "test.blind";
    const SUMMARY: &'static str = "keeps nothing";
    const CAPABILITIES: Capabilities = Capabilities::PERSIST;
    type Plugin = Blind;

    async fn build(self, _: &BuildContext) -> Result<Blind> {
        Ok(Blind)
    }
}

#[async_trait]
impl Backend for Blind {
    fn capabilities(&self) -> Capabilities {
        BlindConfig::CAPABILITIES
    }

    async fn get(&self, _: &str) -> Result<Option<Entry>> {
        Ok(None)
    }

    async fn set(&self, _: &str, _: Entry) -> Result<()> {
        Ok(())
    }

    async fn delete(&self, _: &str) -> Result<bool> {
        Ok(false)
    }

    async fn clear(&self) -> Result<()> {
        Ok(())
    }
}

register!(backend: BlindConfig);

/// What a stream got.
#[derive(Clone, Default)]
struct Stream(Arc<Mutex<Vec<u8>>>);

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn larder(folder: &std::path::Path, arguments: &[&str]) -> (Exit, String) {
    let (data, notes) = (Stream::default(), Stream::default());
    let config = folder.join("caches.toml");
    let common = ["larder".as_ref(), "--config".as_ref(), config.as_os_str()];
    let arguments = arguments.iter().map(OsString::from);
    let arguments = common.into_iter().map(OsString::from).chain(arguments);
    let exit = run(arguments, BTreeMap::new(), &mut Output::plain(data, notes.clone()));
    let notes = String::from_utf8(notes.0.lock().unwrap().clone()).unwrap();
    (exit, notes)
}

#[test]
fn a_cache_that_cannot_list_its_keys_cannot_be_exported() {
    let folder = tempfile::tempdir().unwrap();
    let config = "[caches.users]\nbackend = \"test.blind\"\n";
    std::fs::write(folder.path().join("caches.toml"), config).unwrap();
    let file = folder.path().join("users.snapshot");
    let (exit, notes) = larder(folder.path(), &["export", "users", "-o", file.to_str().unwrap()]);
    assert_eq!(exit, Exit::No);
    assert_eq!(
        notes,
        "error: the tier cannot list its keys (cache=`users`, tier=`l1`, backend=`test.blind`); \
         hint: use a backend that can `scan` (see `larder plugins list`), or tags\n"
    );
    assert!(!file.exists());
    let (exit, notes) = larder(folder.path(), &["export", "users"]);
    assert_eq!(exit, Exit::Usage, "there is no stdout of a process here");
    assert!(notes.contains("name a file"), "{notes}");
}
