//! The examples in C keep the contracts across the boundary.

use std::sync::{Arc, LazyLock};

use larder_conformance::{Place, backend, policy};
use larder_core::{Backend, PolicyFactory, Result};
use serde_json::json;

use crate::library::Component;
use crate::testing;

static SHELF: LazyLock<&Component> =
    LazyLock::new(|| testing::compiled("c-shelf", "examples/plugins/c-shelf/shelf.c"));

static CLOCK: LazyLock<&Component> =
    LazyLock::new(|| testing::compiled("c-clock", "examples/plugins/c-clock/clock.c"));

async fn shelf(place: Place) -> Result<Arc<dyn Backend>> {
    testing::build(*SHELF, json!({"capacity": 100_000}), &place.context()).await
}

fn clock() -> Arc<dyn PolicyFactory> {
    testing::policies(*CLOCK)
}

backend!(shelf as the_shelf_in_c_keeps_the_contract);
policy!(clock as the_clock_in_c_keeps_the_contract);
