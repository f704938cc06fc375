//! The in-process backend of Larder.
//!
//! As the first tier it holds values of the application as they are: the framework then uses a
//! typed [`Store`](larder_store::Store) with the settings of this backend. As a lower tier it
//! keeps entries in bytes, which suits tests and caches whose first tier is tiny. Nothing of it
//! survives the process.

mod backend;
mod config;
#[cfg(test)]
mod tests;

pub use backend::MemoryBackend;
pub use config::{MEMORY, MemoryConfig};
