//! Backends in processes of their own keep the same contracts as those that are linked in.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "support/mod.rs"]
#[expect(dead_code, reason = "other programs of tests use the rest of it")]
mod support;

use std::sync::{Arc, LazyLock};

use larder_conformance::{Place, backend};
use larder_core::library::LibraryRequest;
use larder_core::{Backend, Result};
use serde_json::json;

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

backend!(shelf as a_backend_in_c_keeps_the_contract);
