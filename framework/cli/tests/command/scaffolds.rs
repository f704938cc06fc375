//! `larder plugins new`: what it writes can be built, loaded and used through its own config.
//!
//! The sources in Rust are built and tested as members of the workspace, in `tests/templates`.
//! Here it is what is written around them; with `LARDER_SOAK=1` all of it is built by itself.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use larder::CacheManager;

use crate::support::{Folder, golden};

const SLOTS: [&str; 3] = ["backend", "policy", "serializer"];

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

#[test]
fn a_backend_in_c_is_used_through_its_config() {
    let folder = built_in_c("backend");
    let config = folder.path().join("our-thing/caches.toml");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let found = runtime.expect("a runtime needs nothing").block_on(stored_and_found(&config));
    assert_eq!(found.expect("the config can be used").as_deref(), Some("one"));
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
        let found: serde_json::Value = serde_json::from_str(&found).expect("it is JSON");
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
        assert!(said.contains("test a_config_uses_it ... ok"), "{said}");
        let library = target.join(format!("debug/libour_{slot}.so"));
        let said = folder.run(&["plugins", "info", library.to_str().expect("a plain path")]);
        assert!(said.stdout.contains(&format!("{slot} `our.{slot}`")), "{}", said.stdout);
    }
}
