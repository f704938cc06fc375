//! What the file of an entry holds.
//!
//! | offset | size | field, big endian |
//! |---|---|---|
//! | 0 | 4 | magic `4C 44 46` ("LDF"), version 1 |
//! | 4 | 4 | epoch of the directory when it was written |
//! | 8 | 8 | length of the envelope |
//! | 16 | 4 | length of the key |
//! | 20 | 2 | length of the name of the cache |
//! | 22 | 2 | zero |
//! | 24 | 4 | CRC-32C of bytes 0 to 24, cache and key |
//! | 28 | | name of the cache, key, [envelope](larder_core::envelope) |
//!
//! The envelope has a checksum of its own, so each byte but the deadlines is covered by one of the
//! two. The times of the file say what collecting needs without opening it: *modified* is the hard
//! deadline (the start of 1970 is never), *accessed* is the last use, with the number of uses in
//! its nanoseconds.

use std::fmt;
use std::fs::{File, FileTimes};
use std::io;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use larder_core::envelope::{self, EnvelopeError};
use larder_core::key::MAX_KEY_BYTES;
use larder_core::{Bytes, Entry, EntryMeta, Timestamp};

use crate::platform;

/// The length of the fixed part.
const PREFIX_LEN: usize = 28;

const MAGIC: [u8; 4] = *b"LDF\x01";

/// How much of a file has all but the value: with the longest key and tags and a name of the cache
/// as long as any sensible one.
const LONGEST_START: u64 = (PREFIX_LEN + 4096 + MAX_KEY_BYTES + envelope::LONGEST_HEADER) as u64;

/// Why a file is not an entry.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// The checksum of the first part does not fit.
    Checksum,
    /// The envelope is torn, or of a later version.
    Envelope(EnvelopeError),
    /// It could not be read at all.
    Io(io::Error),
    /// Its length is not the one it claims.
    Length,
    /// It starts like no entry.
    Magic,
    /// It is a link, a directory, or something else that is not a file.
    NotAFile,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checksum => f.write_str("the checksum does not fit"),
            Self::Envelope(error) => write!(f, "{error}"),
            Self::Io(error) => write!(f, "{error}"),
            Self::Length => f.write_str("the length does not fit"),
            Self::Magic => f.write_str("it does not start like an entry"),
            Self::NotAFile => f.write_str("it is not a file"),
        }
    }
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Whose entry a file holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) epoch: u32,
    pub(crate) cache: String,
    pub(crate) key: String,
    /// Where in the file the deadlines stand.
    pub(crate) deadlines_at: u64,
}

/// The bytes of a file for this entry.
pub(crate) fn encode(
    epoch: u32,
    cache: &str,
    key: &str,
    entry: &Entry,
) -> Result<Vec<u8>, EnvelopeError> {
    let envelope_len = envelope::encoded_len(entry);
    let mut bytes = Vec::with_capacity(PREFIX_LEN + cache.len() + key.len() + envelope_len);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&epoch.to_be_bytes());
    bytes.extend_from_slice(&(envelope_len as u64).to_be_bytes());
    let key_len = u32::try_from(key.len()).expect("the framework refuses keys over 1 KiB");
    bytes.extend_from_slice(&key_len.to_be_bytes());
    let cache_len = u16::try_from(cache.len()).expect("checked when the directory was opened");
    bytes.extend_from_slice(&cache_len.to_be_bytes());
    bytes.extend_from_slice(&[0, 0]);
    let crc = checksum(&bytes, cache.as_bytes(), key.as_bytes());
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes.extend_from_slice(cache.as_bytes());
    bytes.extend_from_slice(key.as_bytes());
    envelope::encode(entry, &mut bytes)?;
    Ok(bytes)
}

/// The times a file gets: last use, and hard deadline.
pub(crate) fn times(used: Timestamp, hard_deadline: Option<Timestamp>) -> FileTimes {
    FileTimes::new().set_accessed(used.to_system_time()).set_modified(modified(hard_deadline))
}

/// The time of access that tells when an entry was last used and how often it was noted. A
/// timestamp has microseconds, so the nanoseconds are free for a number.
pub(crate) fn accessed(used: Timestamp, uses: u64) -> SystemTime {
    used.to_system_time() + Duration::from_nanos(uses.min(MOST_USES))
}

/// The other way round: when an entry was last used in microseconds, and how often.
pub(crate) const fn uses(accessed: u64) -> (u64, u64) {
    (accessed / 1000, accessed % 1000)
}

/// The time of modification that stands for a hard deadline.
pub(crate) fn modified(hard_deadline: Option<Timestamp>) -> SystemTime {
    hard_deadline.map_or(SystemTime::UNIX_EPOCH, |deadline| {
        // Few file systems go beyond the year 2446; collecting needs no more.
        deadline.min(FAR_FUTURE).to_system_time()
    })
}

/// 2400-01-01.
const FAR_FUTURE: Timestamp = Timestamp::from_micros(13_569_465_600_000_000);

/// The most uses of an entry that are counted.
pub(crate) const MOST_USES: u64 = 255;

/// A file that is longer is looked at before memory is reserved for it.
const SHORT: u64 = 64 * 1024;

/// Reads a whole file and verifies all of it.
pub(crate) fn read(file: &File, length: u64) -> Result<(Header, Entry), Unreadable> {
    if length > SHORT {
        let mut bytes = [0; PREFIX_LEN];
        platform::read_at(file, &mut bytes, 0)?;
        Prefix::parse(&bytes, length)?;
    }
    decode(&read_start(file, length)?.into())
}

/// Reads whose entry a file is, and its meta. Verifies the names, but not the value.
pub(crate) fn read_header(file: &File, length: u64) -> Result<(Header, EntryMeta), Unreadable> {
    decode_header(&read_start(file, length.min(LONGEST_START))?, length)
}

fn read_start(file: &File, length: u64) -> Result<Vec<u8>, Unreadable> {
    let size = usize::try_from(length).map_err(|_| Unreadable::Length)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(|_| Unreadable::Io(io::ErrorKind::OutOfMemory.into()))?;
    bytes.resize(size, 0);
    platform::read_at(file, &mut bytes, 0)?;
    Ok(bytes)
}

/// The entry of a whole file; all of it is verified.
pub(crate) fn decode(bytes: &Bytes) -> Result<(Header, Entry), Unreadable> {
    let prefix = Prefix::parse(bytes, bytes.len() as u64)?;
    let names_end = prefix.verify(bytes)?;
    let header = prefix.header(bytes)?;
    let entry = envelope::decode(&bytes.slice(names_end..)).map_err(Unreadable::Envelope)?;
    Ok((header, entry))
}

/// Whose entry a file is, from its first bytes, and its meta. `length` is that of the whole file.
fn decode_header(start: &[u8], length: u64) -> Result<(Header, EntryMeta), Unreadable> {
    let prefix = Prefix::parse(start, length)?;
    let names_end = prefix.verify(start)?;
    let meta = envelope::decode_header(&start[names_end..]).map_err(Unreadable::Envelope)?;
    Ok((prefix.header(start)?, meta))
}

/// The fixed part of a file.
struct Prefix {
    bytes: [u8; PREFIX_LEN],
    epoch: u32,
    envelope_len: u64,
    key_len: u32,
    cache_len: u16,
}

impl Prefix {
    /// Reads it, and refuses lengths that do not add up to that of the file, so that a wrong one
    /// never makes us reserve memory.
    fn parse(start: &[u8], length: u64) -> Result<Self, Unreadable> {
        let bytes: [u8; PREFIX_LEN] = *start.first_chunk().ok_or(Unreadable::Length)?;
        if bytes[..4] != MAGIC {
            return Err(Unreadable::Magic);
        }
        let prefix = Self {
            bytes,
            epoch: u32::from_be_bytes(field(&bytes, 4..8)),
            envelope_len: u64::from_be_bytes(field(&bytes, 8..16)),
            key_len: u32::from_be_bytes(field(&bytes, 16..20)),
            cache_len: u16::from_be_bytes(field(&bytes, 20..22)),
        };
        let total = prefix.envelope_len.checked_add(prefix.names_len() + PREFIX_LEN as u64);
        if total == Some(length) { Ok(prefix) } else { Err(Unreadable::Length) }
    }

    fn names_len(&self) -> u64 {
        u64::from(self.cache_len) + u64::from(self.key_len)
    }

    /// Checks the names against the checksum, and tells where they end.
    fn verify(&self, start: &[u8]) -> Result<usize, Unreadable> {
        let names_len = usize::try_from(self.names_len()).map_err(|_| Unreadable::Length)?;
        let names_end = PREFIX_LEN + names_len;
        let names = start.get(PREFIX_LEN..names_end).ok_or(Unreadable::Length)?;
        let expected = u32::from_be_bytes(field(&self.bytes, 24..28));
        if checksum(&self.bytes[..24], names, &[]) == expected {
            Ok(names_end)
        } else {
            Err(Unreadable::Checksum)
        }
    }

    /// What the names say, once they are verified.
    fn header(&self, start: &[u8]) -> Result<Header, Unreadable> {
        let (cache, rest) = start[PREFIX_LEN..].split_at(self.cache_len.into());
        let key = &rest[..self.key_len as usize];
        let text = |bytes: &[u8]| {
            let text = std::str::from_utf8(bytes);
            text.map(str::to_owned).map_err(|_| Unreadable::Checksum)
        };
        let envelope_at = PREFIX_LEN as u64 + self.names_len();
        Ok(Header {
            epoch: self.epoch,
            cache: text(cache)?,
            key: text(key)?,
            deadlines_at: envelope_at + envelope::DEADLINES.start as u64,
        })
    }
}

fn checksum(prefix: &[u8], cache: &[u8], key: &[u8]) -> u32 {
    let crc = crc32c::crc32c_append(crc32c::crc32c(prefix), cache);
    crc32c::crc32c_append(crc, key)
}

fn field<const N: usize>(bytes: &[u8; PREFIX_LEN], range: Range<usize>) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[range]);
    field
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn entry() -> Entry {
        Entry {
            value: Bytes::from_static(b"value"),
            meta: EntryMeta {
                hard_deadline: Some(Timestamp::from_micros(5)),
                ..EntryMeta::default()
            },
        }
    }

    fn read(bytes: &[u8]) -> Result<(Header, Entry), Unreadable> {
        let header = decode_header(bytes, bytes.len() as u64);
        let whole = decode(&Bytes::copy_from_slice(bytes));
        if let Ok((whole_header, whole)) = &whole {
            let (header, meta) = header.unwrap();
            assert_eq!((&header, &meta), (whole_header, &whole.meta));
        }
        whole
    }

    #[test]
    fn frozen_bytes() {
        let bytes = encode(7, "users", "42", &entry()).unwrap();
        assert_eq!(bytes[..16], *b"LDF\x01\0\0\0\x07\0\0\0\0\0\0\0\x35");
        assert_eq!(bytes[16..24], [0, 0, 0, 2, 0, 5, 0, 0]);
        assert_eq!(bytes[28..35], *b"users42");
        let covered = [&bytes[..24], b"users42"].concat();
        assert_eq!(bytes[24..28], crc32c::crc32c(&covered).to_be_bytes());
        let mut envelope = Vec::new();
        envelope::encode(&entry(), &mut envelope).unwrap();
        assert_eq!(bytes[35..], envelope);
        let (header, found) = read(&bytes).unwrap();
        assert_eq!(found, entry());
        assert_eq!((&*header.cache, &*header.key, header.epoch), ("users", "42", 7));
        assert_eq!(header.deadlines_at, 35 + 24);
    }

    #[test]
    fn lengths_that_do_not_add_up_reserve_no_memory() {
        let mut bytes = encode(7, "users", "42", &entry()).unwrap();
        bytes[8..16].copy_from_slice(&u64::MAX.to_be_bytes());
        assert!(matches!(read(&bytes), Err(Unreadable::Length)));
        bytes[8..16].copy_from_slice(&(1_u64 << 60).to_be_bytes());
        let claimed = (1_u64 << 60) + 35;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let found = super::read(&file, claimed);
        assert!(matches!(found, Err(Unreadable::Io(_))), "no such memory");
    }

    #[test]
    fn a_time_of_access_keeps_the_number_of_uses() {
        let used = Timestamp::from_micros(1_700_000_000_123_456);
        for (noted, kept) in [(0, 0), (7, 7), (1000, MOST_USES)] {
            let time = accessed(used, noted).duration_since(SystemTime::UNIX_EPOCH).unwrap();
            let nanos = u64::try_from(time.as_nanos()).unwrap();
            assert_eq!(uses(nanos), (used.as_micros(), kept));
        }
    }

    #[test]
    fn random_bytes_never_panic() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let whole = encode(7, "users", "42", &entry()).unwrap();
        for _ in 0..20_000 {
            let mut bytes = whole.clone();
            for _ in 0..random.usize(1..4) {
                let index = random.usize(..bytes.len());
                bytes[index] = random.u8(..);
            }
            if let Ok((header, found)) = read(&bytes) {
                assert_eq!((&*header.key, found.value), ("42", entry().value));
            }
            random.fill(&mut bytes);
            assert!(read(&bytes).is_err());
        }
    }
}
