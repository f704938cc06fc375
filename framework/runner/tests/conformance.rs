//! Backends in processes of their own keep the same contracts as those that are linked in.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "support/mod.rs"]
#[expect(dead_code, reason = "other programs of tests use the rest of it")]
mod support;

use std::sync::{Arc, LazyLock};

use larder_conformance::{Place, backend};
use larder_core::{Backend, Result};
use serde_json::json;

static SHELF: LazyLock<support::Compiled> = LazyLock::new(|| support::poisonous("kept"));

async fn shelf(place: Place) -> Result<Arc<dyn Backend>> {
    Ok(SHELF.open(json!({"capacity": 100_000}), &place.context()).await)
}

backend!(shelf as a_backend_in_c_keeps_the_contract);
