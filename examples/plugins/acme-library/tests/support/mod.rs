//! The library of this crate, loaded.

use std::sync::{Arc, LazyLock};

use larder_conformance::Place;
use larder_core::library::{LibraryLoader, LibraryRequest, Trust};
use larder_core::plugin::Factory;
use larder_core::{Backend, Descriptor, Result, Slot};
use larder_dynamic::Loader;
use serde_json::json;

mod file;

/// What the library registers.
pub(crate) static DESCRIPTORS: LazyLock<Vec<Descriptor>> = LazyLock::new(load);

fn load() -> Vec<Descriptor> {
    let request = LibraryRequest::new("acme", file::file()).trust(Trust::Path);
    Loader::new().load(&request).unwrap_or_else(|refusal| panic!("{refusal}"))
}

/// The first of a slot.
pub(crate) fn find(slot: Slot) -> Descriptor {
    let found = DESCRIPTORS.iter().find(|descriptor| descriptor.slot == slot);
    *found.expect("the library has one")
}

/// The log of the library, with a file of its own.
pub(crate) async fn log(place: Place) -> Result<Arc<dyn Backend>> {
    let Factory::Backend(factory) = find(Slot::Backend).factory else { panic!("a backend") };
    std::fs::create_dir_all(place.dir()).expect("it can be made");
    let options = json!({"path": place.dir().join("acme.log"), "max_bytes": "32MiB"});
    factory.build(options, &place.context()).await
}
