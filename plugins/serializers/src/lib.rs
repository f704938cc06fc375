//! Serializers of Larder, one file each.
//!
//! | kind | module | feature | for |
//! |---|---|---|---|
//! | `cbor` | [`cbor`] | `cbor` | what `messagepack` is for, where CBOR is the house format |
//! | `json` | [`json`] | | entries that people or other languages read |
//! | `messagepack` | [`messagepack`] | | everything else: small, quick, and no value is bent |
//! | `pickle` | [`pickle`] | `pickle` | entries that Python programs read or have written |
//! | `postcard` | [`postcard`] | `postcard` | many small entries of a type that does not change |
//! | `raw` | [`raw`] | | values that are bytes already |
//! | `string` | [`string`] | | values that are text already |
//! | `typed` | [`typed`] | | caches of several types that must not be taken for each other |
//!
//! What their output goes through before it is stored is in [`wrap`].
//!
//! The features are on by default. All refuse bytes that are left over and values nested deeper
//! than [`MAX_DEPTH`]: a longer nest in stored bytes could only be there to overflow the stack.
//! All but `postcard` write structs with the names of their fields, so that a field can be added
//! (with a serde default) or removed without losing what is stored.
//!
//! What none but `postcard` can tell apart is `Some(None)` and `None`: both are written as
//! nothing, and read back as `None`. Cache an enum of your own where the difference matters.

#[cfg(feature = "cbor")]
pub mod cbor;
pub mod json;
pub mod messagepack;
mod narrow;
#[cfg(feature = "pickle")]
pub mod pickle;
#[cfg(feature = "postcard")]
pub mod postcard;
pub mod raw;
pub mod string;
pub mod typed;
pub mod wrap;

#[cfg(feature = "cbor")]
pub use cbor::{CBOR, Cbor, CborConfig};
pub use json::{JSON, Json, JsonConfig};
pub use messagepack::{MESSAGEPACK, MessagePack, MessagePackConfig};
#[cfg(feature = "pickle")]
pub use pickle::{PICKLE, Pickle, PickleConfig};
#[cfg(feature = "postcard")]
pub use postcard::{POSTCARD, Postcard, PostcardConfig};
pub use raw::{RAW, Raw, RawConfig};
pub use string::{STRING, StringConfig, Text};
pub use typed::{TYPED, Typed, TypedConfig};

use std::error::Error;

use larder_core::{CacheError, Descriptor, ErrorKind};

/// All plugins of this crate, as its features have it, for explicit registration.
pub const PLUGINS: &[Descriptor] = &[
    #[cfg(feature = "cbor")]
    CBOR,
    JSON,
    MESSAGEPACK,
    #[cfg(feature = "pickle")]
    PICKLE,
    #[cfg(feature = "postcard")]
    POSTCARD,
    RAW,
    STRING,
    TYPED,
    #[cfg(feature = "encrypt")]
    wrap::AES_256_GCM,
    wrap::BASE64,
    #[cfg(feature = "lz4")]
    wrap::LZ4,
    #[cfg(feature = "encrypt")]
    wrap::XCHACHA20_POLY1305,
    #[cfg(feature = "zlib")]
    wrap::ZLIB,
    #[cfg(feature = "zstd")]
    wrap::ZSTD,
];

/// How deep maps, sequences and enum variants may be nested in each other, when written and when
/// read.
pub const MAX_DEPTH: usize = larder_core::messagepack::MAX_DEPTH;

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
#[cfg(all(feature = "cbor", feature = "pickle", feature = "postcard"))]
mod tests;
