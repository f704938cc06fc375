//! For tests: libraries that are compiled here, and tables that stand in this process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use larder_abi::table::{BackendVt, CodecVt, PolicyVt, kind};
use larder_abi::{
    Component as RawComponent, ENTRY_SYMBOL, EntryV1, Extensible, Status, read_extensible,
};
use larder_core::plugin::Factory;
use larder_core::{Backend, BuildContext, PolicyFactory, Result};
use serde_json::{Value, json};

use crate::adapt::descriptor;
use crate::borrow;
use crate::host;
use crate::library::{Component, Table};

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The only component of a plugin in C, compiled with these options besides.
///
/// # Panics
///
/// When the compiler does.
pub(crate) fn compiled(source: &str, options: &[&str]) -> &'static Component {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let library = dir.path().join("plugin.so");
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-O2", "-g", "-fPIC", "-shared", "-fvisibility=hidden"]);
    cc.args(["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]).args(options);
    cc.arg("-I").arg(root().join("framework/abi/include")).arg("-o").arg(&library);
    let built = cc.arg(root().join(source)).arg("-lpthread").status().expect("`cc` can be run");
    assert!(built.success(), "{source} does not compile");
    // SAFETY: it was compiled from a source of this repository, and has no constructors.
    let library = unsafe { libloading::Library::new(&library) }.expect("it can be loaded");
    let library = Box::leak(Box::new(library));
    // SAFETY: every plugin exports a function of this type by this name.
    let entry = unsafe { library.get::<EntryV1>(ENTRY_SYMBOL) }.expect("it has an entry");
    let (mut plugin, mut error) = (std::ptr::null(), crate::adapt::failure::blank());
    // SAFETY: as the header says.
    let status = unsafe { entry(host::table(), &raw mut plugin, &raw mut error) };
    assert_eq!(status, Status::OK);
    // SAFETY: the entry put it out.
    let plugin = unsafe { read_extensible(plugin) }.expect("it is a plugin");
    // SAFETY: there is at least one component.
    let first = unsafe { *plugin.components };
    // SAFETY: it is a component.
    let first = unsafe { read_extensible(first) }.expect("it is a component");
    component(&first)
}

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
