//! The operands of operations: lengths, lines of text, numbers.

use std::str::FromStr;

use super::error::PickleError;
use super::tree::Wide;

/// The bytes that are left.
pub(super) struct Bytes<'a> {
    rest: &'a [u8],
}

impl<'a> Bytes<'a> {
    pub(super) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) const fn len(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn byte(&mut self) -> Result<u8, PickleError> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(PickleError::TooShort)?;
        self.rest = rest;
        Ok(*array)
    }

    pub(super) fn take(&mut self, length: u64) -> Result<&'a [u8], PickleError> {
        let length = usize::try_from(length).map_err(|_| PickleError::TooShort)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(PickleError::TooShort)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The bytes up to the next line feed, which goes.
    pub(super) fn line(&mut self) -> Result<&'a [u8], PickleError> {
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let line = self.take(end.ok_or(PickleError::TooShort)? as u64)?;
        self.rest = &self.rest[1..];
        Ok(line)
    }
}

/// A number in decimal digits.
pub(super) fn number<T: FromStr>(line: &[u8]) -> Option<T> {
    str::from_utf8(line).ok()?.parse().ok()
}

/// An integer of any length, lowest byte first, negative if the highest bit is set; `None` if it
/// has more than 128 bits.
pub(super) fn twos_complement(digits: &[u8]) -> Option<Wide> {
    let is_negative = digits.last().is_some_and(|last| *last >= 0x80);
    let filler = if is_negative { 0xff } else { 0 };
    let (low, high) = digits.split_at(digits.len().min(16));
    if high.iter().any(|byte| *byte != filler) {
        return None;
    }
    let mut bytes = [filler; 16];
    bytes[..low.len()].copy_from_slice(low);
    let value = i128::from_le_bytes(bytes);
    match (value < 0, is_negative) {
        (true, false) => Some(Wide::Unsigned(u128::from_le_bytes(bytes))),
        (false, true) => None,
        _ => Some(Wide::Signed(value)),
    }
}

/// Text as protocol 0 has it: Latin-1, and `\uXXXX` or `\UXXXXXXXX` for all else.
pub(super) fn raw_unicode_escape(line: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = match (byte, after.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                text.push(char::from(byte));
                rest = after;
                continue;
            }
        };
        let (code, after) = after[1..].split_at_checked(digits)?;
        if !code.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let code = u32::from_str_radix(str::from_utf8(code).ok()?, 16).ok()?;
        text.push(char::from_u32(code)?);
        rest = after;
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(digits: &[u8]) -> Option<String> {
        twos_complement(digits).map(|wide| match wide {
            Wide::Signed(value) => value.to_string(),
            Wide::Unsigned(value) => value.to_string(),
        })
    }

    #[test]
    fn integers_of_up_to_128_bits_are_read_and_longer_ones_are_not() {
        let text = |value: &str| Some(value.to_owned());
        assert_eq!(long(b""), text("0"));
        assert_eq!(long(b"\xff"), text("-1"));
        assert_eq!(long(b"\xff\x00"), text("255"));
        assert_eq!(long(b"\x00\x80"), text("-32768"));
        assert_eq!(long(&[0; 40]), text("0"), "padding has no value");
        assert_eq!(long(&[0xff; 40]), text("-1"));
        let most = [&[0xff; 16][..], &[0]].concat();
        assert_eq!(long(&most), text(&u128::MAX.to_string()));
        let more = [&[0; 16][..], &[1]].concat();
        assert_eq!(long(&more), None);
        let least = [&[0; 15][..], &[0x80]].concat();
        assert_eq!(long(&least), text(&i128::MIN.to_string()));
        let less = [&[0xff; 15][..], &[0x7f, 0xff]].concat();
        assert_eq!(long(&less), None, "it needs one bit more than there are");
    }

    #[test]
    fn escapes_stand_for_letters() {
        let text = |line: &[u8]| raw_unicode_escape(line);
        assert_eq!(text(b"a\xe9\\u20ac\\U0001f600\\n").as_deref(), Some("aé€😀\\n"));
        for bad in [&b"\\u12"[..], b"\\u+123", b"\\ud800", b"\\U00110000"] {
            assert_eq!(text(bad), None, "{bad:?}");
        }
    }
}
