//! Serializers of Larder, one file each.
//!
//! | kind | module | for |
//! |---|---|---|
//! | `json` | [`json`] | entries that people or other languages read |
//! | `messagepack` | [`messagepack`] | everything else: smaller, quicker, and no value is bent |
//!
//! What their output goes through before it is stored is in [`wrap`].
//!
//! Both write structs with the names of their fields, so that a field can be added (with a serde
//! default) or removed without losing what is stored. Both refuse bytes that are left over and
//! values nested deeper than [`MAX_DEPTH`]: a longer nest in stored bytes could only be there to
//! overflow the stack.
//!
//! What neither can tell apart is `Some(None)` and `None`: both are written as nothing, and read
//! back as `None`. Cache an enum of your own where the difference matters.

pub mod json;
pub mod messagepack;
pub mod wrap;

pub use json::{JSON, Json, JsonConfig};
pub use messagepack::{MESSAGEPACK, MessagePack, MessagePackConfig};

use std::error::Error;

use larder_core::{CacheError, ErrorKind};

/// How deep maps, sequences and enum variants may be nested in each other, when written and when
/// read.
pub const MAX_DEPTH: usize = 127;

/// The error of a value that could not be written.
fn not_written(serializer: &'static str, cause: impl Error + Send + Sync + 'static) -> CacheError {
    CacheError::new(ErrorKind::Serialization, "the value cannot be serialized")
        .during("serialize")
        .with("serializer", serializer)
        .caused_by(cause)
}

/// The error of bytes that could not be read.
fn not_read(serializer: &'static str, cause: impl Error + Send + Sync + 'static) -> CacheError {
    CacheError::new(ErrorKind::Serialization, "the bytes cannot be read as this type")
        .during("deserialize")
        .with("serializer", serializer)
        .caused_by(cause)
}

#[cfg(test)]
mod tests;
