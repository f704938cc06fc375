//! [`check`], a pass over CBOR bytes that needs neither recursion nor memory.
//!
//! It bounds the depth for every type alike, refuses bytes that are left over, and shows that each
//! length that is claimed is there, before a value is made from them.

use std::fmt;

use crate::MAX_DEPTH;

/// Why bytes are not one CBOR value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShapeError {
    /// A break where none may be, or a string with parts that are none of its own kind.
    Broken,
    /// Bytes follow after the end of the value.
    LeftOver,
    /// A way to give a length that the standard reserves.
    Reserved,
    /// The value is nested too deep.
    TooDeep,
    /// The bytes end before the value does.
    TooShort,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken => f.write_str("a value of no fixed length is put together wrongly"),
            Self::LeftOver => f.write_str("there are bytes after the end of the value"),
            Self::Reserved => f.write_str("a byte has a meaning that CBOR reserves"),
            Self::TooDeep => write!(f, "the value is nested deeper than `{MAX_DEPTH}` levels"),
            Self::TooShort => f.write_str("the bytes end before the value does"),
        }
    }
}

impl std::error::Error for ShapeError {}

/// What ends a level that is open.
#[derive(Clone, Copy, Debug)]
enum End {
    /// So many values are still to come.
    After(u64),
    /// A break; in a map not between a key and its value.
    Break { is_map: bool, is_key_next: bool },
    /// A break; until then there are only strings of this major type with a length.
    BreakAfter(u8),
}

/// What a byte and the number behind it begin.
enum Item {
    /// The end of a level without a fixed length.
    Break,
    /// A value that is complete with so many more bytes.
    Bytes(u64),
    /// A value that has values.
    Level(End),
}

/// Whether the bytes are exactly one value, nested at most [`MAX_DEPTH`] levels.
pub(super) fn check(bytes: &[u8]) -> Result<(), ShapeError> {
    let mut rest = bytes;
    let mut open = Levels { ends: [End::After(0); MAX_DEPTH], depth: 0 };
    loop {
        let (major, item) = next(&mut rest)?;
        if let Some(End::BreakAfter(string)) = open.top()
            && !matches!(item, Item::Break)
            && !(major == *string && matches!(item, Item::Bytes(_)))
        {
            return Err(ShapeError::Broken);
        }
        match item {
            Item::Break => open.end_by_break()?,
            Item::Bytes(length) => {
                let length = usize::try_from(length).map_err(|_| ShapeError::TooShort)?;
                rest = rest.get(length..).ok_or(ShapeError::TooShort)?;
            }
            Item::Level(end) => open.begin(end)?,
        }
        if open.take_one() {
            break;
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(ShapeError::LeftOver) }
}

/// The levels that are open, outermost first.
struct Levels {
    ends: [End; MAX_DEPTH],
    depth: usize,
}

impl Levels {
    fn top(&mut self) -> Option<&mut End> {
        self.depth.checked_sub(1).map(|top| &mut self.ends[top])
    }

    fn begin(&mut self, end: End) -> Result<(), ShapeError> {
        *self.ends.get_mut(self.depth).ok_or(ShapeError::TooDeep)? = end;
        self.depth += 1;
        Ok(())
    }

    fn end_by_break(&mut self) -> Result<(), ShapeError> {
        match self.top() {
            Some(End::Break { is_map, is_key_next }) if !*is_map || *is_key_next => {}
            Some(End::BreakAfter(_)) => {}
            _ => return Err(ShapeError::Broken),
        }
        self.depth -= 1;
        Ok(())
    }

    /// Closes the levels that are complete and takes the next value from the one that is not.
    /// Whether there is none.
    fn take_one(&mut self) -> bool {
        loop {
            match self.top() {
                None => return true,
                Some(End::After(0)) => self.depth -= 1,
                Some(End::After(left)) => {
                    *left -= 1;
                    return false;
                }
                Some(End::Break { is_key_next, .. }) => {
                    *is_key_next = !*is_key_next;
                    return false;
                }
                Some(End::BreakAfter(_)) => return false,
            }
        }
    }
}

/// Reads a byte with the number that belongs to it, and says of which major type it is.
fn next(rest: &mut &[u8]) -> Result<(u8, Item), ShapeError> {
    let (&first, after) = rest.split_first().ok_or(ShapeError::TooShort)?;
    *rest = after;
    let (major, additional) = (first >> 5, first & 0x1f);
    let argument = match additional {
        0..=23 => Some(u64::from(additional)),
        24 => Some(number::<1>(rest)?),
        25 => Some(number::<2>(rest)?),
        26 => Some(number::<4>(rest)?),
        27 => Some(number::<8>(rest)?),
        31 => None,
        _ => return Err(ShapeError::Reserved),
    };
    let item = match (major, argument) {
        (0 | 1 | 7, Some(_)) => Item::Bytes(0),
        (2 | 3, Some(length)) => Item::Bytes(length),
        (2 | 3, None) => Item::Level(End::BreakAfter(major)),
        (4, Some(count)) => Item::Level(End::After(count)),
        (5, Some(count)) => {
            Item::Level(End::After(count.checked_mul(2).ok_or(ShapeError::TooShort)?))
        }
        // Nothing is taken from the level yet; with the first value a key is next.
        (4 | 5, None) => Item::Level(End::Break { is_map: major == 5, is_key_next: false }),
        (6, Some(_)) => Item::Level(End::After(1)),
        (7, None) => Item::Break,
        _ => return Err(ShapeError::Reserved),
    };
    Ok((major, item))
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
    fn every_form_of_the_standard_has_its_length() {
        let forms: [(&[u8], usize); 16] = [
            (&[0x17], 1),
            (&[0x18], 2),
            (&[0x19], 3),
            (&[0x3a], 5),
            (&[0x1b], 9),
            (&[0x43], 4),
            (&[0x78, 2], 4),
            (&[0x5a, 0, 0, 0, 1], 6),
            (&[0x82], 3),
            (&[0xa1], 3),
            (&[0xc1, 0x1a], 6),
            (&[0xf9], 3),
            (&[0xfb], 9),
            (&[0xf6], 1),
            (&[0x80], 1),
            (&[0x98, 2], 4),
        ];
        for (start, length) in forms {
            let mut bytes = start.to_vec();
            bytes.resize(length, 0);
            assert_eq!(check(&bytes), Ok(()), "{start:x?}");
            for short in 0..length {
                assert_eq!(check(&bytes[..short]), Err(ShapeError::TooShort), "{start:x?}");
            }
            bytes.push(0);
            assert_eq!(check(&bytes), Err(ShapeError::LeftOver), "{start:x?}");
        }
    }

    #[test]
    fn values_without_a_fixed_length_end_with_a_break() {
        for good in [
            &b"\x9f\xff"[..],
            b"\x9f\x01\x02\xff",
            b"\xbf\xff",
            b"\xbf\x01\x02\xff",
            b"\x5f\x41a\x41b\xff",
            b"\x7f\xff",
            b"\x82\x9f\xff\xbf\xff",
        ] {
            assert_eq!(check(good), Ok(()), "{good:x?}");
        }
        for bad in [
            &b"\xff"[..],
            b"\x81\xff",
            b"\xbf\x01\xff",
            b"\x5f\x61a\xff",
            b"\x5f\x5f\xff\xff",
            b"\x7f\x01\xff",
            b"\xc1\xff",
        ] {
            assert_eq!(check(bad), Err(ShapeError::Broken), "{bad:x?}");
        }
        for reserved in [b"\x1c", b"\x1f", b"\xdf", b"\xfe"] {
            assert_eq!(check(reserved), Err(ShapeError::Reserved), "{reserved:x?}");
        }
    }

    #[test]
    fn the_depth_is_counted_exactly() {
        for (open, close) in [(0x81, 0x80), (0xd9, 0x00)] {
            let step: &[u8] = if open == 0x81 { &[0x81] } else { &[0xd9, 0xff, 0xff] };
            let levels = if open == 0x81 { MAX_DEPTH - 1 } else { MAX_DEPTH };
            let nest = |more: usize| [step.repeat(levels + more), vec![close]].concat();
            assert_eq!(check(&nest(0)), Ok(()));
            assert_eq!(check(&nest(1)), Err(ShapeError::TooDeep));
        }
    }
}
