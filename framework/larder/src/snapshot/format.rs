//! How a snapshot looks in bytes, version 1, and the [`Encoder`] that writes it.
//!
//! A header, any number of records, a trailer. All numbers are big endian.
//!
//! | header: offset | size | field |
//! |---|---|---|
//! | 0 | 8 | magic `C4 "SNAP" 0D 0A 1A`, which no text starts with and no text mode leaves whole |
//! | 8 | 2 | version of the layout: 1 |
//! | 10 | 2 | length of the name of the cache |
//! | 12 | 4 | flags: none yet, all others are refused |
//! | 16 | 8 | when the snapshot was begun, in microseconds |
//! | 24 | n | name of the cache |
//! | 24 + n | 4 | CRC-32C of all before |
//!
//! | record: offset | size | field |
//! |---|---|---|
//! | 0 | 1 | `E` |
//! | 1 | 1 | 0 |
//! | 2 | 2 | length of the key |
//! | 4 | 4 | length of the entry |
//! | 8 | 8 | idle life in microseconds; 0 is unknown, all ones is endless |
//! | 16 | 8 | when it was used last, in microseconds |
//! | 24 | 4 | CRC-32C of bytes 0 to 24, so that lengths are known before memory is asked for |
//! | 28 | n, m | the key, and the entry as an [envelope] |
//! | 28 + n + m | 4 | CRC-32C of all before but the first one |
//!
//! | trailer: offset | size | field |
//! |---|---|---|
//! | 0 | 1 | `T` |
//! | 1 | 3 | 0 |
//! | 4 | 4 | CRC-32C of the last checksums of the header and of each record |
//! | 8 | 8 | how many records there are |
//! | 16 | 8 | 0 |
//! | 24 | 4 | CRC-32C of bytes 0 to 24 |
//!
//! The checksum of a record covers the deadlines as well, which that of the envelope leaves out.
//! A snapshot that was cut between two records has no trailer; one that lost, gained or swapped
//! whole records has one that does not fit.

use std::time::Duration;

use larder_core::envelope::{self, EnvelopeError};
use larder_core::{Entry, Timestamp};

pub(super) const MAGIC: [u8; 8] = *b"\xc4SNAP\r\n\x1a";
pub(super) const VERSION: u16 = 1;
/// The part of the header before the name.
pub(super) const HEADER_LEN: usize = 24;
/// What a record begins with, and all of a trailer.
pub(super) const HEAD_LEN: usize = 28;
pub(super) const RECORD: u8 = b'E';
pub(super) const TRAILER: u8 = b'T';
/// The longest entry. Nobody caches more, so a greater length is damage.
pub(super) const MAX_ENTRY: usize = 1 << 30;

const ENDLESS: u64 = u64::MAX;

/// What a snapshot says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The cache that it was taken of.
    pub(crate) cache: String,
    /// When it was begun.
    pub(crate) taken_at: Timestamp,
}

/// How long an entry may go without a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Idle {
    /// `None` is for ever.
    pub(crate) ttl: Option<Duration>,
    pub(crate) used_at: Timestamp,
}

impl Idle {
    fn fields(idle: Option<Self>) -> (u64, u64) {
        let Some(Self { ttl, used_at }) = idle else {
            return (0, 0);
        };
        let micros = |ttl: Duration| u64::try_from(ttl.as_micros()).unwrap_or(ENDLESS).max(1);
        (ttl.map_or(ENDLESS, micros), used_at.as_micros())
    }

    pub(super) fn from_fields(ttl: u64, used_at: u64) -> Option<Self> {
        let endless_or = (ttl != ENDLESS).then(|| Duration::from_micros(ttl));
        (ttl != 0).then_some(Self { ttl: endless_or, used_at: Timestamp::from_micros(used_at) })
    }
}

/// Why an entry is not in a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// It is no entry that any tier could keep.
    Envelope(EnvelopeError),
    /// Key or entry are too long.
    TooLong,
}

/// Appends the parts of a snapshot to a buffer, one after the other.
#[derive(Debug)]
pub(crate) struct Encoder {
    chain: u32,
    records: u64,
}

impl Encoder {
    /// Begins with the header.
    pub(crate) fn begin(header: &Header, out: &mut Vec<u8>) -> Self {
        // A name that long is cut: it is there to be shown.
        let mut cut = header.cache.len().min(usize::from(u16::MAX));
        while !header.cache.is_char_boundary(cut) {
            cut -= 1;
        }
        let name = &header.cache.as_bytes()[..cut];
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend_from_slice(&0_u32.to_be_bytes());
        out.extend_from_slice(&header.taken_at.as_micros().to_be_bytes());
        out.extend_from_slice(name);
        let crc = crc32c::crc32c(&out[start..]).to_be_bytes();
        out.extend_from_slice(&crc);
        Self { chain: crc32c::crc32c(&crc), records: 0 }
    }

    /// Appends an entry; on an error `out` is as it was.
    pub(crate) fn record(
        &mut self,
        key: &str,
        idle: Option<Idle>,
        entry: &Entry,
        out: &mut Vec<u8>,
    ) -> Result<(), Unfit> {
        let length = envelope::encoded_len(entry);
        let (Ok(key_len), Ok(entry_len), true) =
            (u16::try_from(key.len()), u32::try_from(length), length <= MAX_ENTRY)
        else {
            return Err(Unfit::TooLong);
        };
        let (idle_ttl, used_at) = Idle::fields(idle);
        let mut head = [0; HEAD_LEN];
        head[0] = RECORD;
        head[2..4].copy_from_slice(&key_len.to_be_bytes());
        head[4..8].copy_from_slice(&entry_len.to_be_bytes());
        head[8..16].copy_from_slice(&idle_ttl.to_be_bytes());
        head[16..24].copy_from_slice(&used_at.to_be_bytes());
        seal(&mut head);
        let start = out.len();
        out.extend_from_slice(&head);
        out.extend_from_slice(key.as_bytes());
        if let Err(error) = envelope::encode(entry, out) {
            out.truncate(start);
            return Err(Unfit::Envelope(error));
        }
        let crc = record_checksum(&head, &out[start + HEAD_LEN..]).to_be_bytes();
        out.extend_from_slice(&crc);
        self.chain = crc32c::crc32c_append(self.chain, &crc);
        self.records += 1;
        Ok(())
    }

    /// How many entries there are so far.
    pub(crate) const fn records(&self) -> u64 {
        self.records
    }

    /// Ends with the trailer; how many entries there are.
    pub(crate) fn end(self, out: &mut Vec<u8>) -> u64 {
        let mut head = [0; HEAD_LEN];
        head[0] = TRAILER;
        head[4..8].copy_from_slice(&self.chain.to_be_bytes());
        head[8..16].copy_from_slice(&self.records.to_be_bytes());
        seal(&mut head);
        out.extend_from_slice(&head);
        self.records
    }
}

/// Writes the checksum of a head into it.
fn seal(head: &mut [u8; HEAD_LEN]) {
    let crc = crc32c::crc32c(&head[..HEAD_LEN - 4]);
    head[HEAD_LEN - 4..].copy_from_slice(&crc.to_be_bytes());
}

/// The checksum of a record: of its head, its key and its entry.
pub(super) fn record_checksum(head: &[u8; HEAD_LEN], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&head[..HEAD_LEN - 4]), body)
}
