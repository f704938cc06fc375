//! The table in Rust as a library, for `larder-bench -- plugins`, which builds it.

#[path = "../src/plugins/shelf.rs"]
pub mod shelf;

larder_dynamic::export_plugin! {
    "rust-shelf",
    sync_backend: crate::shelf::ShelfConfig,
}
