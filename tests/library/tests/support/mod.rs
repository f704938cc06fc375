//! The library of this crate, loaded.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::sync::Arc;

use larder_core::library::{LibraryLoader as _, LibraryRequest, Trust};
use larder_core::plugin::Factory;
use larder_core::serde_json::json;
use larder_core::{Backend, BuildContext};
use larder_dynamic::Loader;
use tokio::runtime::{Builder, Runtime};

/// A runtime without a timer and without sockets: who needs these has to bring their own.
pub(crate) fn bare_runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).build().expect("threads can be started")
}

/// An instance of the backend of the library, which Cargo puts beside the test.
pub(crate) fn restless(runtime: &Runtime) -> Arc<dyn Backend> {
    let test = std::env::current_exe().and_then(|path| path.canonicalize());
    let file = format!("{DLL_PREFIX}larder_test_library{DLL_SUFFIX}");
    let library = test.expect("a test has a path").with_file_name(file);
    let request = LibraryRequest::new("tested-restless", library).trust(Trust::Path);
    let loaded = Loader::new().load(&request).unwrap_or_else(|refusal| panic!("{refusal}"));
    let Factory::Backend(factory) = loaded[0].factory else { panic!("it is a backend") };
    let built = runtime.block_on(factory.build(json!({}), &BuildContext::new("restless")));
    built.expect("it has no options")
}

/// What the backend says to a key.
pub(crate) async fn ask(backend: &dyn Backend, key: &str) -> String {
    let found = backend.get(key).await.unwrap_or_else(|error| panic!("{key}: {error}"));
    let value = found.unwrap_or_else(|| panic!("{key}: nothing")).value;
    String::from_utf8(value.to_vec()).expect("a text")
}
