//! Plugins that were compiled otherwise than this program: by another compiler, with another
//! layout of structs, another allocator, another way to panic.
#![cfg(target_os = "linux")]

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use futures_util::FutureExt;
use larder_conformance::{Place, backend};
use larder_core::library::{LibraryLoader, LibraryRequest, Trust};
use larder_core::plugin::Factory;
use larder_core::{Backend, BuildContext, Bytes, Entry, ErrorKind, Result};
use larder_dynamic::Loader;
use serde_json::json;

/// Set for a process that is to load this library and have it panic.
const CHILD: &str = "LARDER_TEST_CHILD";

/// A way to compile.
#[derive(Clone)]
struct Way {
    name: String,
    needs_nightly: bool,
    flags: Vec<String>,
}

impl Way {
    fn new(name: &str, flags: &[&str]) -> Self {
        let flags = flags.iter().copied().map(str::to_owned).collect();
        Self { name: name.to_owned(), needs_nightly: false, flags }
    }

    /// With fields of structs in an order that follows from the seed.
    fn random(seed: u32, level: u32) -> Self {
        let (seed_flag, level_flag) =
            (format!("-Zlayout-seed={seed}"), format!("-Copt-level={level}"));
        let flags = ["-Zrandomize-layout", &seed_flag, &level_flag, "--cfg=own_allocator"];
        let name = format!("random-{seed}-{level}");
        Self { needs_nightly: true, ..Self::new(&name, &flags) }
    }
}

/// Ways to compile, the oddest last. With `LARDER_SOAK` there are more of these.
fn ways() -> Vec<Way> {
    let fast = ["-Copt-level=3", "-Ctarget-cpu=native", "-Cstrip=symbols"];
    let mut ways = vec![Way::new("fast", &fast), Way::new("allocator", &["--cfg=own_allocator"])];
    let seeds = if std::env::var_os("LARDER_SOAK").is_some() { 1..=5 } else { 1..=1 };
    ways.extend(seeds.flat_map(|seed| [Way::random(seed, 0), Way::random(seed, 3)]));
    ways
}

/// Compiles a crate without cargo.
fn rustc(needs_nightly: bool) -> Command {
    let compiler = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    if !needs_nightly {
        return Command::new(compiler);
    }
    let mut rustup = Command::new("rustup");
    rustup.args(["run", "nightly", "rustc"]);
    rustup
}

fn has_nightly() -> bool {
    let output = rustc(true).arg("--version").output();
    output.is_ok_and(|output| output.status.success())
}

/// A library, in a directory of its own.
struct Built {
    folder: tempfile::TempDir,
    name: String,
}

impl Built {
    fn new(way: &Way) -> Self {
        let folder = tempfile::tempdir().expect("a directory can be made");
        let made = Self { folder, name: format!("acme.{}", way.name) };
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let abi = root.join("../abi/src/lib.rs");
        let plugin = root.join("tests/toolchains/plugin.rs");
        made.compile(way, &abi, &["--crate-name=larder_abi", "--crate-type=rlib"]);
        let uses = ["--crate-name=plugin", "--crate-type=cdylib", "--extern=larder_abi"];
        made.compile(way, &plugin, &uses);
        made
    }

    fn compile(&self, way: &Way, source: &Path, kind: &[&str]) {
        let output = rustc(way.needs_nightly)
            .args(["--edition=2024", "--cap-lints=allow"])
            .args(kind)
            .args(&way.flags)
            .arg("-L")
            .arg(self.folder.path())
            .arg("--out-dir")
            .arg(self.folder.path())
            .arg(source)
            .env("PLUGIN_NAME", &self.name)
            .output()
            .expect("a Rust compiler can be run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", way.name);
    }

    fn path(&self) -> PathBuf {
        self.folder.path().canonicalize().expect("it was just made").join("libplugin.so")
    }
}

/// The bytes of a library: a directory of a static would never be removed.
struct Made {
    name: String,
    bytes: Vec<u8>,
}

impl Made {
    fn new(way: &Way) -> Self {
        let built = Built::new(way);
        let bytes = std::fs::read(built.path()).expect("it was just built");
        Self { name: built.name, bytes }
    }

    async fn build(&self, context: &BuildContext) -> Result<Arc<dyn Backend>> {
        let folder = tempfile::tempdir().expect("a directory can be made");
        let path = folder.path().canonicalize().expect("it was just made").join("libplugin.so");
        std::fs::write(&path, &self.bytes).expect("it can be written");
        load(&self.name, &path, context).await
    }
}

async fn load(name: &str, path: &Path, context: &BuildContext) -> Result<Arc<dyn Backend>> {
    let request = LibraryRequest::new(name, path).trust(Trust::Path);
    let descriptors = Loader::new().load(&request).unwrap_or_else(|refusal| panic!("{refusal}"));
    let Factory::Backend(factory) = descriptors[0].factory else { panic!("a backend") };
    factory.build(json!({}), context).await
}

/// In the ways that this machine can compile, the oddest last.
static MADE: LazyLock<Vec<Made>> = LazyLock::new(|| {
    let has_nightly = has_nightly();
    if !has_nightly {
        eprintln!("no nightly toolchain, so no other compiler: rustup toolchain install nightly");
    }
    let ways = ways();
    ways.iter().filter(|way| has_nightly || !way.needs_nightly).map(Made::new).collect()
});

/// What is done to a backend here is ready at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("it answers at once")
}

#[test]
fn however_it_is_compiled_a_plugin_keeps_what_it_is_given() {
    for made in MADE.iter() {
        let name = &made.name;
        let shelf = now(made.build(&BuildContext::new("model"))).unwrap();
        let (mut model, mut random) = (HashMap::new(), fastrand::Rng::with_seed(7));
        for _ in 0..2000 {
            let key = format!("key-{}", random.u8(..50));
            match random.u8(..4) {
                0 => {
                    let value: Bytes = vec![random.u8(..); random.usize(..6000)].into();
                    let entry = Entry { value: value.clone(), ..Entry::default() };
                    now(shelf.set(&key, entry)).unwrap();
                    model.insert(key, value);
                }
                1 => assert_eq!(now(shelf.delete(&key)).unwrap(), model.remove(&key).is_some()),
                _ => {
                    let found = now(shelf.get(&key)).unwrap().map(|entry| entry.value);
                    assert_eq!(found.as_ref(), model.get(&key), "{name}");
                }
            }
        }
        let key = model.keys().next().expect("something is there").clone();
        let kept = now(shelf.get(&key)).unwrap().unwrap();
        let error = now(shelf.get("panic")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Plugin, "{name}: {error}");
        assert!(error.to_string().contains("it was asked to"), "{error}");
        drop(shelf);
        assert_eq!(kept.value, model[&key], "a value outlives its instance");
    }
}

async fn odd(place: Place) -> Result<Arc<dyn Backend>> {
    let odd = MADE.last().expect("this compiler is there");
    odd.build(&place.context()).await
}

backend!(odd as a_plugin_of_another_compiler_keeps_the_contract);

/// Runs one test of this program in a process of its own, with a library.
fn child(test: &str, library: &Path) -> std::process::Output {
    let program = std::env::current_exe().expect("a test has a path");
    let mut child = Command::new(program);
    child.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    child.env(CHILD, library).output().expect("this program can be run again")
}

/// Loads the library of the variable, uses it, and has it end this process.
fn use_up(name: &str) {
    let library = std::env::var_os(CHILD).expect("the parent has set it");
    let request = LibraryRequest::new(name, &library).trust(Trust::Path);
    let said = Loader::new().open(&request).expect("the parent could").panics();
    let shelf = now(load(name, Path::new(&library), &BuildContext::new("child")));
    let shelf = shelf.expect("it has no options");
    now(shelf.set("k", Entry::default())).expect("it takes everything");
    eprintln!("panics: {said}");
    drop(now(shelf.get("panic")));
    eprintln!("it went on");
}

/// The child was all right until the library ended it.
fn assert_used_up(output: &std::process::Output, panics: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&format!("panics: {panics}")), "{said}");
    assert!(!said.contains("it went on"), "{said}");
    assert_eq!(output.status.signal(), Some(6), "{:?}: {said}", output.status);
}

#[test]
fn a_panic_ends_the_process_where_the_plugin_was_compiled_so_and_its_stamp_says_it() {
    if std::env::var_os(CHILD).is_some() {
        return use_up("acme.abort");
    }
    let made = Built::new(&Way::new("abort", &["-Cpanic=abort"]));
    let test = "a_panic_ends_the_process_where_the_plugin_was_compiled_so_and_its_stamp_says_it";
    assert_used_up(&child(test, &made.path()), "end the process");
}

#[test]
fn an_exception_past_noexcept_ends_the_process_and_nothing_before_it() {
    if std::env::var_os(CHILD).is_some() {
        return use_up("acme.throws");
    }
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().canonicalize().unwrap().join("throws.so");
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let status = Command::new(&compiler)
        .args(["-std=c++11", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Wno-terminate", "-I"])
        .arg(root.join("../abi/include"))
        .arg("-o")
        .arg(&library)
        .arg(root.join("tests/toolchains/throws.cpp"))
        .status();
    assert!(status.is_ok_and(|status| status.success()), "install `{compiler}` or set CXX");
    let test = "an_exception_past_noexcept_ends_the_process_and_nothing_before_it";
    assert_used_up(&child(test, &library), "it is not written in Rust");
}
