//! Libraries for the tests, and processes that run them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use larder_core::library::{Isolation, LibraryLoader as _, LibraryRequest, Refusal, Trust};
use larder_core::plugin::Factory;
use larder_core::{Backend, BuildContext, Descriptor, Slot};
use larder_dynamic::Loader;
use serde_json::Value;

/// The runner of this build.
pub(crate) const RUNNER: &str = env!("CARGO_BIN_EXE_larder-runner");

/// A library that was compiled for a test.
#[derive(Debug)]
pub(crate) struct Compiled {
    folder: tempfile::TempDir,
    name: String,
}

/// The shelf in C under another name, with keys that do harm.
pub(crate) fn poisonous(name: &str) -> Compiled {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shelf = std::fs::read_to_string(root.join("examples/plugins/c-shelf/shelf.c"));
    let poison = include_str!("poison.c");
    let table = "static const larder_backend_vt backend = {";
    let mut source = shelf.expect("the example is there");
    for (from, to) in [
        (table, format!("{poison}\n{table}").as_str()),
        (".get = shelf_get,", ".get = poisoned_get,"),
        (".create = shelf_create,", ".create = poisoned_create,"),
        ("LARDER_CAP_SYNC | ", ""),
        (".config_schema = schema,", ".config_schema = schema, .validate = validate,"),
        ("\"acme.c-shelf\"", &format!("\"acme.{name}\"")),
        ("\"c-shelf\"", &format!("\"{name}\"")),
    ] {
        assert!(source.contains(from), "the shelf has no `{from}` any more");
        source = source.replace(from, to);
    }
    Compiled::of(name, &source)
}

/// A serializer and a wrapper in C, and values that do harm to them.
pub(crate) fn codec(name: &str) -> Compiled {
    Compiled::of(name, &include_str!("codec.c").replace("NAME", name))
}

/// A plugin of the examples.
pub(crate) fn example(name: &str, file: &str) -> Compiled {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let source = std::fs::read_to_string(root.join("examples/plugins").join(file));
    Compiled::of(name, &source.expect("the example is there"))
}

impl Compiled {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn of(name: &str, source: &str) -> Self {
        let compiled = Self { folder: tempfile::tempdir().unwrap(), name: name.to_owned() };
        std::fs::write(compiled.source(), source).unwrap();
        compiled.build();
        compiled
    }

    fn source(&self) -> PathBuf {
        self.folder.path().join("plugin.c")
    }

    /// Puts another version of it into its place.
    pub(crate) fn replace(&self) {
        let source = std::fs::read_to_string(self.source()).unwrap();
        assert!(source.contains("\"1.0.0\""), "it has a version");
        std::fs::write(self.source(), source.replace("\"1.0.0\"", "\"2.0.0\"")).unwrap();
        self.build();
    }

    fn build(&self) {
        let include = concat!("-I", env!("CARGO_MANIFEST_DIR"), "/../abi/include");
        let mut cc = Command::new("cc");
        cc.args([
            "-std=gnu11",
            "-D_GNU_SOURCE",
            "-O1",
            "-fPIC",
            "-shared",
            "-fvisibility=hidden",
            include,
            "-o",
        ]);
        let built = cc.arg(self.path()).arg(self.source()).arg("-lpthread").status();
        assert!(built.expect("`cc` can be run").success(), "{} does not compile", self.name);
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("plugin.so")
    }

    /// A request for it in a process of its own.
    pub(crate) fn request(&self) -> LibraryRequest {
        isolated(LibraryRequest::new(&self.name, self.path()), RUNNER)
    }

    pub(crate) async fn open(&self, options: Value, context: &BuildContext) -> Arc<dyn Backend> {
        open(&self.request(), options, context).await
    }
}

/// The same library in a process of its own.
pub(crate) fn isolated(request: LibraryRequest, runner: &str) -> LibraryRequest {
    let runner = Some(PathBuf::from(runner));
    request.trust(Trust::Path).isolation(Isolation::Process { runner })
}

pub(crate) fn load(request: &LibraryRequest) -> Result<Vec<Descriptor>, Box<Refusal>> {
    Loader::new().load(request)
}

/// How the first component of a slot is made.
pub(crate) fn factory(request: &LibraryRequest, slot: Slot) -> Factory {
    let descriptors = load(request).unwrap_or_else(|refusal| panic!("{refusal}"));
    first(&descriptors, slot)
}

/// How the first of these of a slot is made.
pub(crate) fn first(descriptors: &[Descriptor], slot: Slot) -> Factory {
    let found = descriptors.iter().find(|descriptor| descriptor.slot == slot);
    found.expect("it has one").factory
}

/// The first backend of a library.
pub(crate) async fn open(
    request: &LibraryRequest,
    options: Value,
    context: &BuildContext,
) -> Arc<dyn Backend> {
    let Factory::Backend(factory) = factory(request, Slot::Backend) else { panic!("a backend") };
    factory.build(options, context).await.unwrap_or_else(|error| panic!("{error}"))
}
