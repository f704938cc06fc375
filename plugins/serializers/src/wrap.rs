//! Wrappers: what the bytes of a serializer go through before they are stored.
//!
//! | kind | module | role | for |
//! |---|---|---|---|
//! | `zstd` | [`zstd`] | compress | most values: small, and quick to read |
//! | `lz4` | [`lz4`] | compress | when time matters more than room |
//! | `zlib` | [`zlib`] | compress | where others read the store, too |
//! | `xchacha20-poly1305` | [`encrypt`] | encrypt | any number of entries under one key |
//! | `aes-256-gcm` | [`encrypt`] | encrypt | where AES is asked for, below 2³² entries per key |
//! | `base64` | [`base64`] | encode | stores that only take text |
//!
//! Whatever is undone is checked before memory is taken for it: the length that stands in front
//! must be within the limits, and one that so few bytes can stand for.

pub mod base64;
#[cfg(feature = "encrypt")]
pub mod encrypt;
#[cfg(any(feature = "lz4", feature = "zlib"))]
mod length;
#[cfg(any(feature = "lz4", feature = "zlib", feature = "zstd"))]
mod limit;
#[cfg(feature = "lz4")]
pub mod lz4;
#[cfg(feature = "zlib")]
pub mod zlib;
#[cfg(feature = "zstd")]
pub mod zstd;

pub use base64::{BASE64, Base64, Base64Config};
#[cfg(feature = "encrypt")]
pub use encrypt::{
    AES_256_GCM, Aes256GcmConfig, Encryption, XCHACHA20_POLY1305, XChaCha20Poly1305Config,
};
#[cfg(feature = "lz4")]
pub use lz4::{LZ4, Lz4, Lz4Config};
#[cfg(feature = "zlib")]
pub use zlib::{ZLIB, Zlib, ZlibConfig};
#[cfg(feature = "zstd")]
pub use zstd::{ZSTD, Zstd, ZstdConfig};

use std::error::Error;
use std::fmt;

use larder_core::{CacheError, ErrorKind};

/// The error of a value that could not be wrapped.
#[cfg(any(feature = "encrypt", feature = "lz4", feature = "zlib", feature = "zstd"))]
fn not_wrapped(wrapper: &'static str, reason: impl fmt::Display) -> CacheError {
    CacheError::new(ErrorKind::Serialization, "the value cannot be wrapped")
        .during("wrap")
        .with("wrapper", wrapper)
        .caused_by(Reason(reason.to_string()))
}

/// The error of bytes that could not be unwrapped.
fn not_undone(wrapper: &'static str, reason: impl fmt::Display) -> CacheError {
    CacheError::new(ErrorKind::Serialization, "the stored bytes cannot be unwrapped")
        .during("unwrap")
        .with("wrapper", wrapper)
        .caused_by(Reason(reason.to_string()))
}

/// Why bytes were refused.
#[derive(Debug)]
struct Reason(String);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Reason {}

#[cfg(test)]
#[cfg(all(feature = "encrypt", feature = "lz4", feature = "zlib", feature = "zstd"))]
mod tests;
