//! [`check`], a pass over MessagePack bytes that needs neither recursion nor memory, for all who
//! read it: the serializer of that name, and those in libraries.
//!
//! `rmp-serde` counts the depth of what it reads only in some places (not for enum variants), so a
//! nest of a few kilobytes could overflow the stack, and it counts nothing when it writes. It does
//! not tell where it stopped either. So the shape is checked before the values are read.

use std::fmt;

/// How deep a value may be nested. Reading needs the stack of one call for each level.
pub const MAX_DEPTH: usize = 127;

/// Why bytes are not one MessagePack value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShapeError {
    /// Bytes follow after the end of the value.
    LeftOver,
    /// The byte `C1`, which MessagePack never uses.
    Reserved,
    /// The value is nested too deep.
    TooDeep,
    /// The bytes end before the value does.
    TooShort,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeftOver => f.write_str("there are bytes after the end of the value"),
            Self::Reserved => f.write_str("the byte `c1` stands where a value should begin"),
            Self::TooDeep => write!(f, "the value is nested deeper than `{MAX_DEPTH}` levels"),
            Self::TooShort => f.write_str("the bytes end before the value does"),
        }
    }
}

impl std::error::Error for ShapeError {}

/// What stands behind a marker.
enum Item {
    /// So many bytes that hold no further values.
    Bytes(usize),
    /// So many values.
    Values(u64),
}

/// Whether the bytes are exactly one value, nested at most [`MAX_DEPTH`] levels.
///
/// # Errors
///
/// The first thing that is wrong with them.
pub fn check(bytes: &[u8]) -> Result<(), ShapeError> {
    let mut rest = bytes;
    let rest = match next(&mut rest)? {
        Item::Bytes(length) => rest.get(length..).ok_or(ShapeError::TooShort)?,
        Item::Values(count) => after_nest(count, rest)?,
    };
    if rest.is_empty() { Ok(()) } else { Err(ShapeError::LeftOver) }
}

/// What follows after so many values, each with all that it holds.
fn after_nest(count: u64, mut rest: &[u8]) -> Result<&[u8], ShapeError> {
    // How many values are still to come on each level that is open.
    let mut open = [0_u64; MAX_DEPTH];
    open[0] = count;
    let mut depth = 1;
    loop {
        while depth > 0 && open[depth - 1] == 0 {
            depth -= 1;
        }
        if depth == 0 {
            return Ok(rest);
        }
        open[depth - 1] -= 1;
        match next(&mut rest)? {
            Item::Bytes(length) => rest = rest.get(length..).ok_or(ShapeError::TooShort)?,
            Item::Values(count) => {
                *open.get_mut(depth).ok_or(ShapeError::TooDeep)? = count;
                depth += 1;
            }
        }
    }
}

/// Reads a marker and the length that belongs to it.
fn next(rest: &mut &[u8]) -> Result<Item, ShapeError> {
    let marker = number::<1>(rest)?;
    let item = match marker {
        0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => Item::Bytes(0),
        0x80..=0x8f => Item::Values((marker - 0x80) * 2),
        0x90..=0x9f => Item::Values(marker - 0x90),
        0xa0..=0xbf => data(marker - 0xa0, 0)?,
        0xc4 | 0xd9 => data(number::<1>(rest)?, 0)?,
        0xc5 | 0xda => data(number::<2>(rest)?, 0)?,
        0xc6 | 0xdb => data(number::<4>(rest)?, 0)?,
        // Extensions carry one more byte, for their type.
        0xc7 => data(number::<1>(rest)?, 1)?,
        0xc8 => data(number::<2>(rest)?, 1)?,
        0xc9 => data(number::<4>(rest)?, 1)?,
        0xd4..=0xd8 => data(1 << (marker - 0xd4), 1)?,
        0xcc..=0xcf => Item::Bytes(1 << (marker - 0xcc)),
        0xd0..=0xd3 => Item::Bytes(1 << (marker - 0xd0)),
        0xca => Item::Bytes(4),
        0xcb => Item::Bytes(8),
        0xdc => Item::Values(number::<2>(rest)?),
        0xdd => Item::Values(number::<4>(rest)?),
        0xde => Item::Values(number::<2>(rest)? * 2),
        0xdf => Item::Values(number::<4>(rest)? * 2),
        _ => return Err(ShapeError::Reserved),
    };
    Ok(item)
}

fn data(length: u64, extra: u64) -> Result<Item, ShapeError> {
    let length = usize::try_from(length + extra).map_err(|_| ShapeError::TooShort)?;
    Ok(Item::Bytes(length))
}

/// Reads a big-endian number of `N` bytes.
fn number<const N: usize>(rest: &mut &[u8]) -> Result<u64, ShapeError> {
    let (digits, after) = rest.split_first_chunk::<N>().ok_or(ShapeError::TooShort)?;
    *rest = after;
    let shift_in = |number: u64, digit: &u8| number << 8 | u64::from(*digit);
    Ok(digits.iter().fold(0, shift_in))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_marker_has_its_length() {
        let lengths: [(&[u8], usize); 12] = [
            (&[0xc0], 1),
            (&[0xca], 5),
            (&[0xcf], 9),
            (&[0xd0], 2),
            (&[0xd8, 1], 18),
            (&[0xa3], 4),
            (&[0xc5, 0, 3], 6),
            (&[0xc7, 2], 5),
            (&[0xdb, 0, 0, 0, 1], 6),
            (&[0x92], 3),
            (&[0xde, 0, 1], 5),
            (&[0xdd, 0, 0, 0, 0], 5),
        ];
        for (start, length) in lengths {
            let mut bytes = start.to_vec();
            bytes.resize(length, 0);
            assert_eq!(check(&bytes), Ok(()), "{start:x?}");
            for short in 0..length {
                assert_eq!(check(&bytes[..short]), Err(ShapeError::TooShort));
            }
            bytes.push(0);
            assert_eq!(check(&bytes), Err(ShapeError::LeftOver));
        }
        assert_eq!(check(&[0x91, 0xc1]), Err(ShapeError::Reserved));
    }

    #[test]
    fn the_depth_is_counted_exactly() {
        let nest = |depth: usize| [vec![0x91; depth - 1], vec![0x90]].concat();
        assert_eq!(check(&nest(MAX_DEPTH)), Ok(()));
        assert_eq!(check(&nest(MAX_DEPTH + 1)), Err(ShapeError::TooDeep));
        let wide = [vec![0xdc, 1, 0], [0x91, 0x00].repeat(256)].concat();
        assert_eq!(check(&wide), Ok(()), "a level that was closed counts no more");
    }
}
