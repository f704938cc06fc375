//! `larder plugins new`: what it writes can be built, loaded and used through its own config.
//!
//! The sources in Rust are built and tested as members of the workspace, in `tests/templates`.
//! Here it is what is written around them; with `LARDER_SOAK=1` all of it is built by itself.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use larder::CacheManager;
use larder::libraries::Loader;
use larder::plugin::invalidator::{Invalidation, InvalidationSink, Scope};
use larder::plugin::library::{LibraryLoader as _, LibraryRequest, Trust};
use larder::plugin::plugin::Factory;
use larder::plugin::replicator::{Mutation, MutationSink};
use larder::plugin::warmer::WarmingTrigger;
use larder::plugin::{BuildContext, Descriptor, Stamp, async_trait};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::support::{Folder, golden};

/// Longer than anything here takes.
const MINUTE: Duration = Duration::from_secs(60);

const SLOTS: [&str; 7] =
    ["backend", "invalidator", "policy", "replicator", "serializer", "warmer", "wrapper"];

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the repository is there")
}

/// Runs a program to its end, which has to be a good one.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{stdout}\n{stderr}");
    stdout
}

/// A plugin in C, built, in a folder of its own.
fn built_in_c(slot: &str) -> Folder {
    let folder = Folder::new();
    let said = folder.run(&["plugins", "new", "our-thing", "--lang", "c", "--slot", slot]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let said = run(Command::new("sh").arg("build.sh").current_dir(folder.path().join("our-thing")));
    assert!(said.starts_with("our.thing: "), "{said}");
    folder
}

/// A value through the cache of the config that came with the plugin.
async fn stored_and_found(config: &Path) -> larder::Result<Option<String>> {
    let caches = CacheManager::from_file(config).await?;
    let words = caches.cache::<String, String>("words")?;
    words.set("a", "one".to_owned()).await?;
    let found = words.get("a").await?;
    drop(words);
    caches.close().await?;
    Ok(found)
}

/// One test for all slots: a process takes only one library with the kind `our.thing`, and each
/// run of the command is a process.
#[test]
fn a_plugin_in_c_is_built_checked_and_loaded() {
    for slot in SLOTS {
        let folder = built_in_c(slot);
        let config = folder.path().join("our-thing/caches.toml");
        let config = config.to_str().expect("a plain path");
        let checked = folder.run(&["check", config]);
        assert_eq!(checked.code, 0, "{slot}: {}{}", checked.stdout, checked.stderr);
        let said = folder.run(&["--config", config, "plugins", "info", "our-thing"]);
        assert!(said.stdout.contains(&format!("{slot} `our.thing`")), "{}", said.stdout);
        let typo = fs::read_to_string(config).expect("it was written");
        let typo = typo.replace("kind = \"our.thing\", ", "kind = \"our.thing\", typo = 1, ");
        fs::write(config, &typo).expect("it can be written");
        let refused = folder.run(&["check", config]).code != 0;
        assert_eq!(refused, typo.contains("typo"), "{slot}: options are checked");
    }
}

/// One test for all slots, since they have the same name in one process.
#[tokio::test]
async fn a_plugin_in_c_is_used_through_its_config() {
    for slot in ["backend", "policy", "serializer", "wrapper"] {
        let folder = built_in_c(slot);
        let config = folder.path().join("our-thing/caches.toml");
        let words = format!("dir = {:?}", folder.path().join("words"));
        let text = fs::read_to_string(&config).expect("it was written");
        fs::write(&config, text.replace("dir = \"words\"", &words)).expect("it can be written");
        let found = stored_and_found(&config).await;
        let found = found.unwrap_or_else(|error| panic!("{slot}: {error}"));
        assert_eq!(found.as_deref(), Some("one"), "{slot}");
    }
}

/// What a library in C registers, with its file in this folder as its option.
async fn plugin_in_c(slot: &str) -> (Folder, Descriptor, Value, BuildContext) {
    let folder = built_in_c(slot);
    let place = folder.path().canonicalize().expect("it was just made");
    let library = place.join("our-thing/libour_thing.so");
    let request = LibraryRequest::new("our-thing", library).trust(Trust::Path);
    let loaded = Loader::new().load(&request).unwrap_or_else(|refusal| panic!("{refusal}"));
    (folder, loaded[0], json!({"path": place.join("file")}), BuildContext::new("words"))
}

/// Takes what is delivered, in the place of a cache.
#[derive(Debug)]
struct Sink(UnboundedSender<Scope>);

#[async_trait]
impl InvalidationSink for Sink {
    async fn invalidate(&self, invalidation: Invalidation) -> larder::Result<()> {
        self.0.send(invalidation.scope).expect("the test listens");
        Ok(())
    }

    async fn lost_track(&self) {}
}

#[async_trait]
impl MutationSink for Sink {
    async fn apply(&self, _: Vec<Mutation>) -> larder::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_invalidator_in_c_tells_another_what_changed() {
    let (_folder, plugin, options, context) = plugin_in_c("invalidator").await;
    let Factory::Invalidator(factory) = plugin.factory else { panic!("it is an invalidator") };
    let one = factory.build(options.clone(), &context).await.expect("it can be built");
    let other = factory.build(options, &context).await.expect("it can be built");
    let (sender, mut delivered) = unbounded_channel();
    other.start(Arc::new(Sink(sender))).await.expect("it can be started");
    for key in ["a", "b"] {
        let change = Invalidation::new(Scope::Key(key.to_owned()), Stamp::default());
        one.publish(&change).await.expect("the file can be written");
        let heard = tokio::time::timeout(MINUTE, delivered.recv()).await;
        assert_eq!(heard.expect("it is heard of soon"), Some(change.scope));
    }
    assert!(one.publish(&Invalidation::new(Scope::All, Stamp::default())).await.is_err());
    other.stop().await.expect("it ends");
}

#[tokio::test]
async fn a_warmer_in_c_names_the_keys_of_its_list() {
    let (folder, plugin, options, context) = plugin_in_c("warmer").await;
    let Factory::Warmer(factory) = plugin.factory else { panic!("it is a warmer") };
    let warmer = factory.build(options, &context).await.expect("it can be built");
    assert!(warmer.keys(WarmingTrigger::Demand).await.is_err(), "there is no list");
    let listed: Vec<String> = (0..2500).map(|number| format!("key-{number}")).collect();
    folder.write("file", &listed.join("\n"));
    let mut run = warmer.keys(WarmingTrigger::Startup).await.expect("there is a list");
    let mut named = Vec::new();
    while let Some(batch) = run.next_batch().await.expect("it can be read") {
        named.extend(batch.into_iter().map(|key| key.key));
    }
    assert_eq!(named, listed);
}

#[tokio::test]
async fn a_replicator_in_c_writes_its_journal() {
    let (folder, plugin, options, context) = plugin_in_c("replicator").await;
    let Factory::Replicator(factory) = plugin.factory else { panic!("it is a replicator") };
    let journal = factory.build(options, &context).await.expect("it can be built");
    let delete = |key: &str| Mutation::Delete { key: key.to_owned(), stamp: Stamp::default() };
    assert!(journal.send(vec![delete("a")]).await.is_err(), "it is not started");
    journal.start(Arc::new(Sink(unbounded_channel().0))).await.expect("it can be started");
    journal.send(vec![delete("a"), delete("b")]).await.expect("it can be written");
    assert_eq!(journal.status()[0].target, "journal");
    journal.stop(MINUTE).await.expect("it ends");
    assert_eq!(folder.read("file"), "delete 0 a\ndelete 0 b\n");
}

#[test]
fn what_is_written_is_listed_and_has_the_name_of_the_plugin() {
    let folder = Folder::new();
    let new = ["plugins", "new", "our-thing"];
    folder.golden("new-rust", &new);
    folder.golden("new-c", &["plugins", "new", "deep/our-policy", "--lang=c", "--slot=policy"]);
    golden_text(&folder, "our-thing/Cargo.toml", "new-rust-manifest.toml");
    golden_text(&folder, "our-thing/README.md", "new-rust-readme.txt");
    golden_text(&folder, "deep/our-policy/README.md", "new-c-readme.txt");
    let said = folder.run(&new);
    golden("new-again", &new, &said);
    for path in ["src/lib.rs", "src/table.rs", "tests/library.rs", "caches.toml"] {
        let text = folder.read(&format!("our-thing/{path}"));
        assert!(!text.contains("acme") && text.contains("our"), "{path}:\n{text}");
    }
}

#[test]
fn a_name_that_has_one_of_a_template_in_it_stays_as_it_is() {
    let folder = Folder::new();
    for name in ["acme-table-top", "acme-demo-two"] {
        let said = folder.run(&["plugins", "new", name, "--slot", "backend"]);
        assert_eq!(said.code, 0, "{}", said.stderr);
        let manifest = folder.read(&format!("{name}/Cargo.toml"));
        assert!(manifest.contains(&format!("\nname = \"{name}\"\n")), "{manifest}");
        let config = folder.read(&format!("{name}/caches.toml"));
        let kind = format!("\"{}\"", name.replacen('-', ".", 1));
        assert!(config.contains(&kind), "{config}");
    }
}

fn golden_text(folder: &Folder, path: &str, name: &str) {
    // The version of the plugin itself is not ours.
    let ours = format!("{{ version = \"{}\"", env!("CARGO_PKG_VERSION"));
    let text = folder.read(path).replace(&ours, "{ version = \"[VERSION]\"");
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    snapbox::assert_data_eq!(text, snapbox::Data::read_from(path.as_ref(), None).raw());
}

#[test]
fn names_that_are_none_are_refused_before_anything_is_written() {
    let folder = Folder::new();
    folder.golden("new-bad-name", &["plugins", "new", "Shelf"]);
    folder.golden("new-our-name", &["plugins", "new", "larder-shelf"]);
    folder.golden("new-no-checkout", &["plugins", "new", "our-thing", "--larder", "nowhere"]);
    for name in ["our", "our-", "-our", "our--thing", "our-thing ", "our-4x", &"a-b".repeat(22)] {
        let said = folder.run(&["plugins", "new", "here", &format!("--name={name}")]);
        assert_eq!(said.code, 2, "`{name}`: {}", said.stderr);
    }
    let said = folder.run(&["plugins", "new", "here", "--name", "our-thing"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 1);
}

/// A crate on the crates of this repository, with the versions of its dependencies.
fn crate_in_rust(folder: &Folder, slot: &str) -> PathBuf {
    let path = folder.path().join(format!("our-{slot}"));
    let root = root();
    let said = folder.run(&[
        "plugins",
        "new",
        path.to_str().expect("a plain path"),
        "--slot",
        slot,
        "--larder",
        root.to_str().expect("a plain path"),
    ]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    fs::copy(root.join("Cargo.lock"), path.join("Cargo.lock")).expect("it can be copied");
    path
}

fn cargo(path: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(path);
    cargo
}

/// The triple of this machine: for others nobody may have downloaded what is needed.
fn host() -> String {
    let version = run(cargo(&root()).arg("-vV"));
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("it names the machine").to_owned()
}

#[test]
fn a_crate_finds_all_that_it_depends_on() {
    let folder = Folder::new();
    let host = host();
    for slot in SLOTS {
        let path = crate_in_rust(&folder, slot);
        let mut metadata = cargo(&path);
        metadata.args(["metadata", "--offline", "--format-version=1", "--filter-platform", &host]);
        let found = run(&mut metadata);
        let found: Value = serde_json::from_str(&found).expect("it is JSON");
        let packages = found["packages"].as_array().expect("it has packages");
        let ours = packages.iter().find(|one| one["name"] == format!("our-{slot}").as_str());
        let targets = ours.expect("it is one of them")["targets"].to_string();
        assert!(targets.contains("cdylib") && targets.contains("\"test\""), "{targets}");
    }
}

/// Minutes: everything is compiled once more, with other features.
#[test]
fn a_crate_is_built_and_tested_by_itself() {
    if std::env::var_os("LARDER_SOAK").is_none() {
        return;
    }
    let folder = Folder::new();
    let target = folder.path().join("target");
    for slot in SLOTS {
        let path = crate_in_rust(&folder, slot);
        let said = run(cargo(&path).args(["test", "--offline"]).env("CARGO_TARGET_DIR", &target));
        let is_used = ["config", "program"].map(|who| format!("test a_{who}_uses_it ... ok"));
        assert!(is_used.iter().any(|test| said.contains(test)), "{said}");
        // Tests leave the library where only they look.
        run(cargo(&path).args(["build", "--offline"]).env("CARGO_TARGET_DIR", &target));
        let library = target.join(format!("debug/libour_{slot}.so"));
        let said = folder.run(&["plugins", "info", library.to_str().expect("a plain path")]);
        assert!(said.stdout.contains(&format!("{slot} `our.{slot}`")), "{}", said.stdout);
    }
}
