//! One record of the log: a head, the key, and the entry in the envelope of `larder-core`.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | CRC-32C of the rest of the head |
//! | 4 | 4 | length of the key |
//! | 8 | 4 | length of the entry; 0 says that the key was deleted |
//! | 12 | 4 | CRC-32C of the key |
//!
//! All numbers are big endian. The head has a checksum of its own, so that lengths can be trusted
//! and a record that was torn is told from one that was damaged; so has the envelope.

use std::io::{self, Read};

use larder_core::key::MAX_KEY_BYTES;

/// The length of the head.
pub(super) const HEAD: u64 = 16;

/// Where a record stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) start: u64,
    pub(super) key_len: u32,
    pub(super) body_len: u32,
}

impl Place {
    /// The length of the whole record.
    pub(super) fn len(self) -> u64 {
        HEAD + u64::from(self.key_len) + u64::from(self.body_len)
    }

    /// Where the entry begins.
    pub(super) fn body(self) -> u64 {
        self.start + HEAD + u64::from(self.key_len)
    }
}

/// What stands at a place of the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A record; the reader stands behind its key.
    Record(String, Place),
    /// The beginning of a record: the process ended while it was written.
    Torn,
    /// Something that this program did not write.
    Damaged,
}

/// The bytes of a record; an empty `body` for a deleted key.
///
/// # Errors
///
/// When the entry is 4 GiB long or longer.
pub(super) fn encode(key: &str, body: &[u8]) -> io::Result<Vec<u8>> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| too_large());
    let (key_len, body_len) = (length(key.as_bytes())?, length(body)?);
    let mut record = vec![0; 4];
    record.extend_from_slice(&key_len.to_be_bytes());
    record.extend_from_slice(&body_len.to_be_bytes());
    record.extend_from_slice(&crc32c::crc32c(key.as_bytes()).to_be_bytes());
    let crc = crc32c::crc32c(&record[4..]);
    record[..4].copy_from_slice(&crc.to_be_bytes());
    record.extend_from_slice(key.as_bytes());
    record.extend_from_slice(body);
    Ok(record)
}

/// An entry does not fit, whatever else is removed.
pub(super) fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "the entry is too large for the log")
}

/// Reads the record at `start` of a log of which `left` bytes follow, but not its entry.
///
/// # Errors
///
/// When the file cannot be read.
pub(super) fn read(reader: &mut impl Read, start: u64, left: u64) -> io::Result<Found> {
    if left < HEAD {
        return Ok(Found::Torn);
    }
    let mut head = [0; HEAD as usize];
    reader.read_exact(&mut head)?;
    let [head_crc, key_len, body_len, key_crc] = [0, 4, 8, 12].map(|at| field(&head, at));
    if crc32c::crc32c(&head[4..]) != head_crc || key_len as usize > MAX_KEY_BYTES {
        return Ok(Found::Damaged);
    }
    let place = Place { start, key_len, body_len };
    if place.len() > left {
        return Ok(Found::Torn);
    }
    let mut key = vec![0; key_len as usize];
    reader.read_exact(&mut key)?;
    if crc32c::crc32c(&key) != key_crc {
        return Ok(Found::Damaged);
    }
    Ok(String::from_utf8(key).map_or(Found::Damaged, |key| Found::Record(key, place)))
}

fn field(head: &[u8; HEAD as usize], at: usize) -> u32 {
    u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
}
