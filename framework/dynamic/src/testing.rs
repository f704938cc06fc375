//! For tests: libraries that are compiled here, and tables that stand in this process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use larder_abi::table::{
    BackendVt, CodecVt, InvalidatorVt, PolicyVt, ReplicatorVt, WarmerVt, kind,
};
use larder_abi::{Component as RawComponent, Extensible, Status, read_extensible};
use larder_core::library::{LibraryRequest, Trust};
use larder_core::plugin::Factory;
use larder_core::{Backend, BuildContext, PolicyFactory, Result};
use serde_json::{Value, json};

use crate::adapt::descriptor;
use crate::borrow;
use crate::library::{Component, Library, Table};
use crate::loader::Loader;

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The only component of a plugin in C, compiled and loaded like any other.
///
/// # Panics
///
/// When the compiler does, or the loader.
pub(crate) fn compiled(name: &str, source: &str) -> &'static Component {
    compiled_whole(name, source).components.first().expect("it has a component")
}

/// A plugin in C, compiled and loaded like any other.
///
/// # Panics
///
/// As [`compiled`].
pub(crate) fn compiled_whole(name: &str, source: &str) -> &'static Library {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let dir = dir.path().canonicalize().expect("it was just made");
    let library = dir.join("plugin.so");
    compile(source, &library);
    let request = LibraryRequest::new(name, library).trust(Trust::Path);
    Loader::new().open(&request).unwrap_or_else(|refusal| panic!("{refusal}"))
}

/// Compiles a plugin in C, with every warning an error.
///
/// # Panics
///
/// When the compiler does not.
pub(crate) fn compile(source: &str, library: &Path) {
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-O2", "-g", "-fPIC", "-shared", "-fvisibility=hidden"]);
    cc.args(["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-I"]);
    cc.arg(root().join("framework/abi/include")).arg("-o").arg(library);
    let built = cc.arg(root().join(source)).arg("-lpthread").status().expect("`cc` can be run");
    assert!(built.success(), "{source} does not compile");
}

/// The factory of a component as the framework has it.
pub(crate) fn factory(component: &'static Component) -> Factory {
    descriptor(component, "1.0.0").expect("its kind is known").factory
}

/// A component of a table in this process.
pub(crate) fn backend_of(table: BackendVt, caps: u64) -> &'static Component {
    Box::leak(Box::new(Component {
        name: "tested.backend",
        summary: "for a test",
        plugin: "tested",
        caps,
        table: Table::Backend(table),
        schema: json!({"type": "object"}),
        validate: None,
    }))
}

/// The same for a codec.
pub(crate) fn codec_of(table: CodecVt) -> &'static Component {
    Box::leak(Box::new(Component {
        name: "tested.codec",
        summary: "for a test",
        plugin: "tested",
        caps: 0,
        table: Table::Codec(table),
        schema: json!({"type": "object"}),
        validate: None,
    }))
}

/// The same for a policy.
pub(crate) fn policy_of(table: PolicyVt) -> &'static Component {
    let table = Table::Policy(table);
    let Component { name, summary, plugin, caps, schema, validate, .. } =
        backend_of(EMPTY_BACKEND, 0);
    let (name, summary, plugin, caps, validate) = (*name, *summary, *plugin, *caps, *validate);
    Box::leak(Box::new(Component {
        name,
        summary,
        plugin,
        caps,
        table,
        schema: schema.clone(),
        validate,
    }))
}

/// Builds the backend of a component as the framework does.
pub(crate) async fn build(
    component: &'static Component,
    options: Value,
    context: &BuildContext,
) -> Result<Arc<dyn Backend>> {
    let descriptor = descriptor(component, "1.0.0").expect("backends are used");
    let Factory::Backend(factory) = descriptor.factory else { panic!("it is a backend") };
    factory.build(options, context).await
}

/// The factory of a policy as the framework has it.
pub(crate) fn policies(component: &'static Component) -> Arc<dyn PolicyFactory> {
    let descriptor = descriptor(component, "1.0.0").expect("policies are used");
    let Factory::Policy(factory) = descriptor.factory else { panic!("it is a policy") };
    factory.build(json!({})).expect("it has no options")
}

/// A table without functions.
pub(crate) const EMPTY_BACKEND: BackendVt = {
    // SAFETY: integers and `Option`s of function pointers may all be zero.
    let mut empty: BackendVt = unsafe { std::mem::zeroed() };
    empty.struct_size = size_of::<BackendVt>() as u32;
    empty
};
/// A component as the loader would make it.
pub(crate) fn component(raw: &RawComponent) -> &'static Component {
    // SAFETY: the texts of components stay for ever.
    let text = |slice: &_| unsafe { borrow::text(&raw const *slice, 1000) }.into_owned().leak();
    let vtable = raw.vtable;
    let table = match raw.kind {
        // SAFETY: the table of a component is that of its kind.
        kind::BACKEND => Table::Backend(unsafe { read::<BackendVt>(vtable) }),
        // SAFETY: as above.
        kind::POLICY => Table::Policy(unsafe { read::<PolicyVt>(vtable) }),
        // SAFETY: as above.
        kind::INVALIDATOR => Table::Invalidator(unsafe { read::<InvalidatorVt>(vtable) }),
        // SAFETY: as above.
        kind::REPLICATOR => Table::Replicator(unsafe { read::<ReplicatorVt>(vtable) }),
        // SAFETY: as above.
        kind::WARMER => Table::Warmer(unsafe { read::<WarmerVt>(vtable) }),
        // SAFETY: as above.
        _ => Table::Codec(unsafe { read::<CodecVt>(vtable) }),
    };
    let mut schema = json!({"type": "object"});
    if let Some(config_schema) = raw.config_schema {
        let mut out = larder_abi::value::Slice::EMPTY;
        // SAFETY: it is a function of the component, and the place is ours.
        assert_eq!(unsafe { config_schema(&raw mut out) }, Status::OK);
        schema = serde_json::from_str(text(&out)).expect("a schema is JSON");
    }
    Box::leak(Box::new(Component {
        name: text(&raw.name),
        summary: text(&raw.summary),
        plugin: "tested",
        caps: raw.caps,
        table,
        schema,
        validate: raw.validate,
    }))
}

/// A table.
///
/// # Safety
///
/// It must be of this type.
unsafe fn read<T: Extensible>(table: *const std::ffi::c_void) -> T {
    // SAFETY: the caller says so.
    unsafe { read_extensible(table.cast()) }.expect("a table")
}
