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
pub mod encrypt;
pub mod lz4;
pub mod zlib;
pub mod zstd;

pub use base64::{BASE64, Base64, Base64Config};
pub use encrypt::{
    AES_256_GCM, Aes256GcmConfig, Encryption, XCHACHA20_POLY1305, XChaCha20Poly1305Config,
};
pub use lz4::{LZ4, Lz4, Lz4Config};
pub use zlib::{ZLIB, Zlib, ZlibConfig};
pub use zstd::{ZSTD, Zstd, ZstdConfig};

use std::error::Error;
use std::fmt;

use larder_core::{ByteSize, CacheError, ErrorKind, Result, WrapContext};

/// The greatest value that is undone if nobody says.
const DEFAULT_MAX_SIZE: ByteSize = ByteSize(256 << 20);

const fn default_max_size() -> ByteSize {
    DEFAULT_MAX_SIZE
}

/// A wrapper of a kind, and how large what it undoes may be.
#[derive(Clone, Copy, Debug)]
struct Limit {
    kind: &'static str,
    max_size: ByteSize,
}

impl Limit {
    /// Refuses to wrap what could not be undone again.
    fn check_wrap(self, size: usize) -> Result<()> {
        if size as u64 <= self.max_size.0 {
            return Ok(());
        }
        Err(not_wrapped(self.kind, "it is too large")
            .with("current_size", size)
            .with("max_size", self.max_size)
            .hint("raise `max_size` of the wrapper, or set `max_value_size` of the cache"))
    }

    /// The size as which wrapped bytes say that they will come out, if it may be.
    ///
    /// `growth` is how many bytes one can stand for at most, so that a wrong size in a few bytes
    /// never takes memory.
    fn check_undo(
        self,
        size: u64,
        wrapped: usize,
        growth: usize,
        context: &WrapContext<'_>,
    ) -> Result<usize> {
        let most = self.max_size.0.min(context.max_size as u64);
        if size > most {
            return Err(not_undone(self.kind, "they stand for more than is allowed")
                .with("current_size", size)
                .with("max_size", most)
                .hint("if the entry is meant to be so large, raise `max_size` of the wrapper"));
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > wrapped.saturating_mul(growth) {
            return Err(
                not_undone(self.kind, "so few cannot stand for so many").with("current_size", size)
            );
        }
        Ok(size)
    }
}

/// The length in front of wrapped bytes, and the rest.
fn split_length<'a>(kind: &'static str, bytes: &'a [u8]) -> Result<(u64, &'a [u8])> {
    let (length, rest) =
        bytes.split_first_chunk().ok_or_else(|| not_undone(kind, "they are too few"))?;
    Ok((u32::from_be_bytes(*length).into(), rest))
}

/// The length to write in front of wrapped bytes.
fn length_of(kind: &'static str, bytes: &[u8]) -> Result<[u8; 4]> {
    let length = u32::try_from(bytes.len()).map_err(|_| not_wrapped(kind, "it is too large"))?;
    Ok(length.to_be_bytes())
}

/// The error of a value that could not be wrapped.
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
mod tests;
