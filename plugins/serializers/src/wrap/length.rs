//! The length that stands in front of compressed bytes whose format does not give it.

use larder_core::Result;

use super::{not_undone, not_wrapped};

/// The length in front of wrapped bytes, and the rest.
pub(super) fn split_length<'a>(kind: &'static str, bytes: &'a [u8]) -> Result<(u64, &'a [u8])> {
    let (length, rest) =
        bytes.split_first_chunk().ok_or_else(|| not_undone(kind, "they are too few"))?;
    Ok((u32::from_be_bytes(*length).into(), rest))
}

/// The length to write in front of wrapped bytes.
pub(super) fn length_of(kind: &'static str, bytes: &[u8]) -> Result<[u8; 4]> {
    let length = u32::try_from(bytes.len()).map_err(|_| not_wrapped(kind, "it is too large"))?;
    Ok(length.to_be_bytes())
}
