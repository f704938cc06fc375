//! A replicator for Larder in a library, which a program loads when its config names it.
//!
//! What the library brings is listed at the end; the README says how it is used.

pub mod journal;

larder_dynamic::export_plugin! {
    "acme-journal",
    replicator: journal::JournalConfig,
}
