//! The plugins of [`acme_cache`] as a library that is loaded at run time: this is all it takes.
//!
//! A program that links `acme-cache` needs no such crate. It is one of its own because two crates
//! with exported symbols of the same names cannot be linked into one program.

larder_dynamic::export_plugin! {
    "acme",
    backend: acme_cache::log::LogConfig,
    policy: acme_cache::lru_k::LruKConfig,
    serializer: acme_cache::terse::TerseConfig,
}
