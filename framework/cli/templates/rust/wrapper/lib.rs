//! A wrapper for Larder in a library, which a program loads when its config names it.
//!
//! What the library brings is listed at the end; the README says how it is used.

pub mod hex;

larder_dynamic::export_plugin! {
    "acme-hex",
    wrapper: hex::HexConfig,
}
