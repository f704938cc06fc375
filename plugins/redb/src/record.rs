//! An entry as the bytes of a row.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | CRC-32C of the key and of the next field |
//! | 4 | 8 | the how-manieth write it was |
//! | 12 | | the envelope |
//!
//! The envelope has a checksum of its own, which does not know the key. redb looks at its own
//! checksums only after a crash, so without ours a damaged key would pass for another one.

use larder_core::envelope::{self, EnvelopeError};
use larder_core::{Bytes, CacheError, Entry, EntryMeta, ErrorKind, Result};

const CHECKSUM: usize = 4;
const FIXED: usize = CHECKSUM + 8;

/// A row that was read and belongs to its key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    /// The how-manieth write it was.
    pub(crate) written: u64,
    pub(crate) envelope: &'a [u8],
}

/// The bytes of a row.
pub(crate) fn encode(key: &str, written: u64, envelope: &[u8]) -> Vec<u8> {
    let mut row = checksum(key.as_bytes(), written).to_be_bytes().to_vec();
    row.extend_from_slice(&written.to_be_bytes());
    row.extend_from_slice(envelope);
    row
}

/// What an entry counts for the limit of bytes.
pub(crate) fn size(key: &str, envelope: &[u8]) -> u64 {
    key.len() as u64 + FIXED as u64 + envelope.len() as u64
}

/// Reads a row; `None` when it is not one of this key.
pub(crate) fn decode<'a>(key: &[u8], row: &'a [u8]) -> Option<Record<'a>> {
    let (fixed, envelope) = row.split_at_checked(FIXED)?;
    let (expected, written) = fixed.split_at(CHECKSUM);
    let written = u64::from_be_bytes(written.try_into().ok()?);
    let is_right = checksum(key, written).to_be_bytes() == expected;
    is_right.then_some(Record { written, envelope })
}

impl Record<'_> {
    /// All but the value, which is not checked.
    pub(crate) fn meta(&self) -> Result<EntryMeta, EnvelopeError> {
        envelope::decode_header(self.envelope)
    }

    pub(crate) fn entry(&self) -> Result<Entry, EnvelopeError> {
        envelope::decode(&Bytes::copy_from_slice(self.envelope))
    }
}

/// The envelope of an entry.
pub(crate) fn envelope_of(entry: &Entry) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    envelope::encode(entry, &mut bytes).map_err(|error| {
        let message = "the entry does not fit into an envelope";
        CacheError::new(ErrorKind::Capacity, message).caused_by(error)
    })?;
    Ok(bytes)
}

fn checksum(key: &[u8], written: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), &written.to_be_bytes())
}
