//! The table in Rust as a library, for `larder-bench -- plugins`, which builds it.

use async_trait::async_trait;
use larder_core::{BuildContext, PluginConfig, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::shelf::Shelf;

#[path = "../src/plugins/shelf.rs"]
mod shelf;

/// It has no options.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ShelfConfig {}

#[async_trait]
impl PluginConfig for ShelfConfig {
    const KIND: &'static str = "bench.shelf";
    const SUMMARY: &'static str = "a table in memory, written in Rust";

    type Plugin = Shelf;

    async fn build(self, _: &BuildContext) -> Result<Shelf> {
        Ok(Shelf::default())
    }
}

larder_dynamic::export_plugin! {
    "rust-shelf",
    sync_backend: ShelfConfig,
}
