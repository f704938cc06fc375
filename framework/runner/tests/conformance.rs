//! What runs in processes of its own keeps the same contracts as what is linked in.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "support/mod.rs"]
#[expect(dead_code, reason = "other programs of tests use the rest of it")]
mod support;

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::future::Future;
use std::sync::{Arc, LazyLock};

use larder_conformance::{Place, backend, wrapper};
use larder_core::library::LibraryRequest;
use larder_core::plugin::Factory;
use larder_core::{
    Backend, BuildContext, Descriptor, Result, Serializer, Slot, WrapContext, Wrapper,
};
use serde_json::{Value, json};

/// Its bytes: a directory of a static would never be removed.
static SHELF: LazyLock<Vec<u8>> =
    LazyLock::new(|| std::fs::read(support::poisonous("kept").path()).unwrap());

async fn shelf(place: Place) -> Result<Arc<dyn Backend>> {
    std::fs::create_dir_all(place.dir()).unwrap();
    let library = place.dir().canonicalize().unwrap().join("plugin.so");
    if !library.exists() {
        std::fs::write(&library, &*SHELF).unwrap();
    }
    let request = support::isolated(LibraryRequest::new("kept", library), support::RUNNER);
    Ok(support::open(&request, json!({"capacity": 100_000}), &place.context()).await)
}

/// Waits with or without a runtime on this thread.
fn waited<T: Send>(future: impl Future<Output = Result<T>> + Send) -> T {
    let wait = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(future).unwrap_or_else(|error| panic!("{error}"))
    };
    std::thread::scope(|scope| scope.spawn(wait).join().unwrap())
}

fn serializer_of(factory: Factory, options: Value) -> Arc<dyn Serializer> {
    let Factory::Serializer(factory) = factory else { panic!("a serializer") };
    waited(factory.build(options, &BuildContext::new("conformance")))
}

/// A wrapper, and the file that its process is started from.
#[derive(Debug)]
struct Wrapped {
    wrapper: Arc<dyn Wrapper>,
    _library: support::Compiled,
}

impl Wrapper for Wrapped {
    fn number(&self) -> u16 {
        self.wrapper.number()
    }

    fn wrap(&self, bytes: &[u8], context: &WrapContext<'_>) -> Result<Vec<u8>> {
        self.wrapper.wrap(bytes, context)
    }

    fn undo(&self, bytes: &[u8], context: &WrapContext<'_>) -> Result<Vec<u8>> {
        self.wrapper.undo(bytes, context)
    }
}

fn wrapped() -> Wrapped {
    let library = support::codec("coded");
    let Factory::Wrapper(_, factory) = support::factory(&library.request(), Slot::Wrapper) else {
        panic!("a wrapper")
    };
    let wrapper = waited(factory.build(json!({}), &BuildContext::new("conformance")));
    Wrapped { wrapper, _library: library }
}

/// The library of the examples in Rust, which is built for this test and is beside it. With its
/// symbols for a debugger it is large, so it is looked at once, and one instance keeps its process.
static IN_RUST: LazyLock<(Vec<Descriptor>, Arc<dyn Serializer>)> = LazyLock::new(|| {
    let test = std::env::current_exe().and_then(|path| path.canonicalize()).unwrap();
    let file = test.with_file_name(format!("{DLL_PREFIX}acme_library{DLL_SUFFIX}"));
    let request = support::isolated(LibraryRequest::new("acme", file), support::RUNNER);
    let descriptors = support::load(&request).unwrap_or_else(|refusal| panic!("{refusal}"));
    let terse = serializer_of(support::first(&descriptors, Slot::Serializer), names());
    (descriptors, terse)
});

fn names() -> Value {
    json!({"names": ["id", "name", "plans"]})
}

async fn log(place: Place) -> Result<Arc<dyn Backend>> {
    std::fs::create_dir_all(place.dir()).unwrap();
    let options = json!({"path": place.dir().join("acme.log"), "max_bytes": "32MiB"});
    let Factory::Backend(factory) = support::first(&IN_RUST.0, Slot::Backend) else {
        panic!("a backend")
    };
    factory.build(options, &place.context()).await
}

fn terse() -> Arc<dyn Serializer> {
    serializer_of(support::first(&IN_RUST.0, Slot::Serializer), names())
}

backend!(shelf as a_backend_in_c_keeps_the_contract);
backend!(log as a_backend_in_rust_keeps_the_contract);
wrapper!(wrapped, Encode as a_wrapper_in_c_keeps_the_contract);

/// All cases of the kit but the one with random bytes, which takes half a minute of trips to
/// another process; the same library goes through it without that.
mod a_serializer_in_rust_keeps_the_contract {
    use super::terse;

    larder_conformance::__serializer_cases! { terse, All;
        bombs_are_refused
        both_ways_keep_no_state
        bytes_that_are_left_over_are_refused
        cut_bytes_are_refused
        output_is_appended
        the_format_stays
        values_of_every_shape_come_back
        what_comes_back_is_what_went_in
    }
}
