//! How an entry looks in bytes, version 1: the same in files, on servers and between sites.
//!
//! A header of 48 bytes at fixed offsets, then the tags, the wrappers and the value. All numbers
//! are big endian:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 2 | magic `C4 5E`, which neither JSON nor any UTF-8 text starts with |
//! | 2 | 1 | version of the layout: 1 |
//! | 3 | 1 | flags: 1 tombstone, 2 negative; the others are reserved and refused |
//! | 4 | 2 | number of the serializer |
//! | 6 | 1 | codec: how many wrappers the value went through, 0 to 3 |
//! | 7 | 1 | length of header and tags, in units of 8 bytes |
//! | 8 | 8 | stamp: time |
//! | 16 | 4 | stamp: origin |
//! | 20 | 4 | epoch |
//! | 24 | 8 | soft deadline in microseconds; 0 is never |
//! | 32 | 8 | hard deadline in microseconds; 0 is never |
//! | 40 | 4 | load cost in microseconds |
//! | 44 | 4 | CRC-32C of bytes 0 to 24, bytes 40 to 44, and all behind the header |
//! | 48 | 16 each | tags: hash of the name, version |
//! | | 2 each | numbers of the wrappers, the outermost first |
//!
//! The checksum leaves the deadlines out, so that [`patch_deadlines`] can move them in place. A
//! reader that does not know a flag, codec or version refuses the entry, which makes it a miss:
//! old programs never misread what newer ones wrote.

use std::ops::Range;
use std::time::Duration;

use bytes::{Buf, Bytes};

use crate::backend::Deadlines;
use crate::clock::Timestamp;
use crate::entry::{Entry, EntryMeta, TagStamp, Wrappers};
use crate::stamp::Stamp;

mod error;

pub use error::EnvelopeError;

/// The length of the fixed part of the header.
pub const HEADER_LEN: usize = 48;

/// The most tags an entry can carry.
pub const MAX_TAGS: usize = 32;

/// The most bytes that stand before a value: so many are always enough for [`decode_header`].
pub const LONGEST_HEADER: usize = HEADER_LEN + MAX_TAGS * TAG_LEN + Wrappers::MAX * WRAPPER_LEN;

/// Where the deadlines stand in the header: what [`patch_deadlines`] changes, and all that a
/// backend has to rewrite for a `touch`.
pub const DEADLINES: Range<usize> = 24..40;

const MAGIC: [u8; 2] = [0xc4, 0x5e];
const VERSION: u8 = 1;
const FLAG_TOMBSTONE: u8 = 1;
const FLAG_NEGATIVE: u8 = 2;
const TAG_LEN: usize = 16;
const WRAPPER_LEN: usize = 2;

/// How many bytes [`encode`] appends for an entry.
#[must_use]
pub const fn encoded_len(entry: &Entry) -> usize {
    HEADER_LEN + lists_len(&entry.meta) + entry.value.len()
}

/// How many bytes stand between header and value.
const fn lists_len(meta: &EntryMeta) -> usize {
    meta.tags.len() * TAG_LEN + meta.wrappers.count() * WRAPPER_LEN
}

/// Appends an entry to `out`.
///
/// A load cost of more than 71 minutes is stored as about 71 minutes, and a deadline at the very
/// start of time as one microsecond after it, which is over just as well.
///
/// # Errors
///
/// [`EnvelopeError::TooManyTags`]; `out` is then as it was.
pub fn encode(entry: &Entry, out: &mut Vec<u8>) -> Result<(), EnvelopeError> {
    encode_parts(&entry.meta, &entry.value, out)
}

/// The same for an entry whose value lies elsewhere.
///
/// # Errors
///
/// Those of [`encode`].
pub fn encode_parts(
    meta: &EntryMeta,
    value: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), EnvelopeError> {
    if meta.tags.len() > MAX_TAGS {
        return Err(EnvelopeError::TooManyTags { found: meta.tags.len() });
    }
    let mut header = fixed_header(meta);
    let mut lists = Vec::with_capacity(lists_len(meta));
    for tag in &meta.tags {
        lists.extend_from_slice(&tag.tag.to_be_bytes());
        lists.extend_from_slice(&tag.version.to_be_bytes());
    }
    for number in meta.wrappers.numbers() {
        lists.extend_from_slice(&number.to_be_bytes());
    }
    let crc = checksum(&header, &lists, value);
    header[44..48].copy_from_slice(&crc.to_be_bytes());
    out.reserve(HEADER_LEN + lists.len() + value.len());
    out.extend_from_slice(&header);
    out.extend_from_slice(&lists);
    out.extend_from_slice(value);
    Ok(())
}

/// Reads an entry. The value shares the memory of `bytes`.
///
/// # Errors
///
/// Any variant but [`EnvelopeError::TooManyTags`]: the bytes are not an entry, are torn, or were
/// written by a later version. All of them mean a miss.
pub fn decode(bytes: &Bytes) -> Result<Entry, EnvelopeError> {
    let (meta, length) = read_checked(bytes)?;
    Ok(Entry { value: bytes.slice(length..), meta })
}

/// Reads an entry from bytes that nobody else needs, which costs no count of who shares them. They
/// are empty afterwards; on an error they are as they were.
///
/// # Errors
///
/// Those of [`decode`].
pub fn decode_owned(bytes: &mut Bytes) -> Result<Entry, EnvelopeError> {
    let (meta, length) = read_checked(bytes)?;
    let mut value = std::mem::take(bytes);
    value.advance(length);
    Ok(Entry { value, meta })
}

/// Reads all of an entry but its value, and says where that begins. The checksum is verified.
///
/// # Errors
///
/// Those of [`decode`].
#[inline]
pub fn read_checked(bytes: &[u8]) -> Result<(EntryMeta, usize), EnvelopeError> {
    let (meta, length) = read_header(bytes)?;
    let found = checksum(bytes, &[], &bytes[HEADER_LEN..]);
    let expected = u32::from_be_bytes(array(bytes, 44));
    if found != expected {
        return Err(EnvelopeError::Checksum { expected, found });
    }
    Ok((meta, length))
}

/// Reads all but the value from the first bytes of an entry. The checksum covers the value, so
/// it is *not* verified: use the answer to decide what to read, not instead of reading.
///
/// # Errors
///
/// The errors of [`decode`] but `Checksum`. After `TooShort` try again with as many bytes as it
/// says are needed.
pub fn decode_header(bytes: &[u8]) -> Result<EntryMeta, EnvelopeError> {
    read_header(bytes).map(|(meta, _)| meta)
}

/// Changes the deadlines of an encoded entry, and nothing else. The checksum stays right.
///
/// # Errors
///
/// [`EnvelopeError::TooShort`] when `bytes` holds no whole header.
pub fn patch_deadlines(bytes: &mut [u8], deadlines: Deadlines) -> Result<(), EnvelopeError> {
    let found = bytes.len();
    let Some(field) = bytes[..found.min(HEADER_LEN)].get_mut(DEADLINES) else {
        return Err(EnvelopeError::TooShort { needed: HEADER_LEN, found });
    };
    field.copy_from_slice(&deadline_bytes(deadlines));
    Ok(())
}

/// The bytes that stand at [`DEADLINES`] for these deadlines.
#[must_use]
pub fn deadline_bytes(deadlines: Deadlines) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&deadline_field(deadlines.soft).to_be_bytes());
    bytes[8..].copy_from_slice(&deadline_field(deadlines.hard).to_be_bytes());
    bytes
}

fn fixed_header(meta: &EntryMeta) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..2].copy_from_slice(&MAGIC);
    header[2] = VERSION;
    header[3] = u8::from(meta.tombstone) * FLAG_TOMBSTONE + u8::from(meta.negative) * FLAG_NEGATIVE;
    header[4..6].copy_from_slice(&meta.format.to_be_bytes());
    let length = HEADER_LEN + meta.tags.len() * TAG_LEN;
    header[6] = meta.wrappers.count() as u8;
    header[7] = u8::try_from(length / 8).expect("32 tags make a header of 560 bytes");
    header[8..16].copy_from_slice(&meta.stamp.time.as_micros().to_be_bytes());
    header[16..20].copy_from_slice(&meta.stamp.origin.to_be_bytes());
    header[20..24].copy_from_slice(&meta.epoch.to_be_bytes());
    let deadlines = Deadlines { soft: meta.soft_deadline, hard: meta.hard_deadline };
    header[DEADLINES].copy_from_slice(&deadline_bytes(deadlines));
    let cost = u32::try_from(meta.load_cost.as_micros()).unwrap_or(u32::MAX);
    header[40..44].copy_from_slice(&cost.to_be_bytes());
    header
}

/// The meta, and where the value begins. Part of every look-up in bytes, so it is compiled into
/// whoever asks: the meta is then written once, to where it stays.
#[inline]
fn read_header(bytes: &[u8]) -> Result<(EntryMeta, usize), EnvelopeError> {
    let Some((fixed, _)) = bytes.split_first_chunk::<HEADER_LEN>() else {
        return Err(EnvelopeError::TooShort { needed: HEADER_LEN, found: bytes.len() });
    };
    let length = check_header(fixed)?;
    let value_at = length + usize::from(fixed[6]) * WRAPPER_LEN;
    let Some(lists) = bytes.get(HEADER_LEN..value_at) else {
        return Err(EnvelopeError::TooShort { needed: value_at, found: bytes.len() });
    };
    // Most entries have neither.
    let (tags, wrappers) = if lists.is_empty() {
        (Vec::new(), Wrappers::default())
    } else {
        read_lists(lists.split_at(length - HEADER_LEN))?
    };
    let meta = EntryMeta {
        stamp: Stamp {
            time: Timestamp::from_micros(u64::from_be_bytes(array(fixed, 8))),
            origin: u32::from_be_bytes(array(fixed, 16)),
        },
        epoch: u32::from_be_bytes(array(fixed, 20)),
        soft_deadline: read_deadline(fixed, 24),
        hard_deadline: read_deadline(fixed, 32),
        load_cost: Duration::from_micros(u32::from_be_bytes(array(fixed, 40)).into()),
        tags,
        negative: fixed[3] & FLAG_NEGATIVE != 0,
        tombstone: fixed[3] & FLAG_TOMBSTONE != 0,
        format: u16::from_be_bytes(array(fixed, 4)),
        wrappers,
    };
    Ok((meta, value_at))
}

/// The length of header and tags, of a header that this version can read.
#[inline]
fn check_header(fixed: &[u8; HEADER_LEN]) -> Result<usize, EnvelopeError> {
    if fixed[..2] != MAGIC {
        return Err(EnvelopeError::Magic { found: array(fixed, 0) });
    }
    if fixed[2] != VERSION {
        return Err(EnvelopeError::Version { found: fixed[2] });
    }
    if fixed[3] & !(FLAG_TOMBSTONE | FLAG_NEGATIVE) != 0 {
        return Err(EnvelopeError::Flags { found: fixed[3] });
    }
    if usize::from(fixed[6]) > Wrappers::MAX {
        return Err(EnvelopeError::Codec { found: fixed[6] });
    }
    let length = usize::from(fixed[7]) * 8;
    let most = HEADER_LEN + MAX_TAGS * TAG_LEN;
    if !(HEADER_LEN..=most).contains(&length) || !(length - HEADER_LEN).is_multiple_of(TAG_LEN) {
        return Err(EnvelopeError::HeaderLength { found: length });
    }
    Ok(length)
}

/// What stands between header and value.
fn read_lists(
    (tags, wrappers): (&[u8], &[u8]),
) -> Result<(Vec<TagStamp>, Wrappers), EnvelopeError> {
    let tags = tags.chunks_exact(TAG_LEN).map(|tag| TagStamp {
        tag: u64::from_be_bytes(array(tag, 0)),
        version: u64::from_be_bytes(array(tag, 8)),
    });
    let wrappers = read_wrappers(wrappers).ok_or(EnvelopeError::Wrapper)?;
    Ok((tags.collect(), wrappers))
}

fn read_wrappers(bytes: &[u8]) -> Option<Wrappers> {
    let (numbers, _) = bytes.as_chunks::<WRAPPER_LEN>();
    let mut read = [0; Wrappers::MAX];
    let read = read.get_mut(..numbers.len())?;
    for (number, bytes) in read.iter_mut().zip(numbers) {
        *number = u16::from_be_bytes(*bytes);
    }
    Wrappers::new(read)
}

/// Of all but the deadlines, which change on their own, and the checksum itself.
fn checksum(header: &[u8], lists: &[u8], value: &[u8]) -> u32 {
    const COST: Range<usize> = 40..44;
    const FIXED: usize = DEADLINES.start + COST.end - COST.start;
    let mut piece = Piece([0; PIECE]);
    let piece = &mut piece.0;
    piece[..DEADLINES.start].copy_from_slice(&header[..DEADLINES.start]);
    piece[DEADLINES.start..FIXED].copy_from_slice(&header[COST]);
    let whole = FIXED + value.len();
    if lists.is_empty() && whole <= PIECE {
        piece[FIXED..whole].copy_from_slice(value);
        return crc32c::crc32c(&piece[..whole]);
    }
    let rest = [lists, value].into_iter().filter(|part| !part.is_empty());
    rest.fold(crc32c::crc32c(&piece[..FIXED]), crc32c::crc32c_append)
}

/// What is shorter than this is put together before its checksum is computed: to begin with each
/// part costs more than the part does, as does every byte that is not part of a whole word.
const PIECE: usize = 256;

#[repr(align(8))]
struct Piece([u8; PIECE]);

fn deadline_field(deadline: Option<Timestamp>) -> u64 {
    deadline.map_or(0, |deadline| deadline.as_micros().max(1))
}

#[inline]
fn read_deadline(bytes: &[u8], at: usize) -> Option<Timestamp> {
    let micros = u64::from_be_bytes(array(bytes, at));
    (micros != 0).then(|| Timestamp::from_micros(micros))
}

/// The `N` bytes at `at`, which every caller has checked to be there.
#[inline]
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

#[cfg(test)]
mod tests;
