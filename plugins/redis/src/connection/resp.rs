//! The protocol of Redis, as far as a [`Line`](super::line::Line) has to know it: where an answer
//! ends, and the strings in an answer to a read.
//!
//! All other answers are read by the crate `redis`. Nothing here takes room for what has not
//! arrived, and nothing calls itself, so no answer can cost more memory than its bytes.

use larder_core::Bytes;
use redis::Value;

/// The longest line, which is as long as an error may be.
const LONGEST_LINE: usize = 64 * 1024;

/// The largest length that makes sense, of a string as well as of a list.
const GREATEST: usize = 1 << 40;

/// The bytes are not the protocol of Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// Finds the end of an answer whose bytes come in pieces.
#[derive(Debug)]
pub(super) struct Scan {
    /// What is before this was looked at.
    at: usize,
    /// How many values are left.
    left: usize,
}

impl Default for Scan {
    fn default() -> Self {
        Self { at: 0, left: 1 }
    }
}

impl Scan {
    /// The length of the answer that these bytes begin with, once all of it is there. Until then
    /// it has to be asked again with more bytes after these; afterwards it looks for the next one.
    ///
    /// # Errors
    ///
    /// [`Broken`], for good.
    pub(super) fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Broken> {
        while self.left > 0 {
            let Some(head) = Head::read(bytes, self.at)? else { return Ok(None) };
            let end = head.end.checked_add(head.body).ok_or(Broken)?;
            if bytes.len() < end {
                return Ok(None);
            }
            if head.body > 0 && bytes[..end].last_chunk() != Some(b"\r\n") {
                return Err(Broken);
            }
            self.at = end;
            self.left = (self.left - 1).checked_add(head.elements).ok_or(Broken)?;
        }
        let end = std::mem::take(self).at;
        Ok(Some(end))
    }
}

/// The first line of a value, and what comes behind it.
#[derive(Clone, Copy, Debug)]
struct Head {
    kind: u8,
    /// Whether it is nothing at all.
    is_null: bool,
    /// Where the line ends.
    end: usize,
    /// How many bytes belong to it, the end of the line behind them included.
    body: usize,
    /// How many values belong to it.
    elements: usize,
}

impl Head {
    fn read(bytes: &[u8], start: usize) -> Result<Option<Self>, Broken> {
        let bytes = bytes.get(start..).unwrap_or_default();
        if let Some((body, length)) = string(bytes) {
            let end = start + length;
            return Ok(Some(Self { kind: b'$', is_null: false, end, body, elements: 0 }));
        }
        let line = &bytes[..bytes.len().min(LONGEST_LINE)];
        let Some(length) = line.iter().position(|byte| *byte == b'\n') else {
            return if bytes.len() < LONGEST_LINE { Ok(None) } else { Err(Broken) };
        };
        let [kind, line @ .., b'\r'] = &bytes[..length] else {
            return Err(Broken);
        };
        let mut head =
            Self { kind: *kind, is_null: false, end: start + length + 1, body: 0, elements: 0 };
        match kind {
            b'+' | b'-' | b':' | b',' | b'#' | b'(' => {}
            b'_' => head.is_null = true,
            b'$' | b'*' if line == b"-1" => head.is_null = true,
            b'$' | b'!' | b'=' => head.body = number(line)? + b"\r\n".len(),
            b'*' | b'~' | b'>' => head.elements = number(line)?,
            b'%' => head.elements = 2 * number(line)?,
            // Attributes stand before the value that they are about.
            b'|' => head.elements = 2 * number(line)? + 1,
            _ => return Err(Broken),
        }
        Ok(Some(head))
    }
}

/// How long a string is, with the end of the line behind it, and the line that says so. Most lines
/// are such, and mostly short. `None` is any other line, and one that is not all there.
fn string(bytes: &[u8]) -> Option<(usize, usize)> {
    let [b'$', rest @ ..] = bytes else { return None };
    let mut length = 0;
    for (at, byte) in rest.iter().enumerate().take(8) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            let is_end = at > 0 && rest[at..].starts_with(b"\r\n");
            return is_end.then_some((length + b"\r\n".len(), 1 + at + b"\r\n".len()));
        }
        length = length * 10 + usize::from(digit);
    }
    None
}

fn number(digits: &[u8]) -> Result<usize, Broken> {
    let mut number = 0;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 || number > GREATEST {
            return Err(Broken);
        }
        number = number * 10 + usize::from(digit);
    }
    if digits.is_empty() { Err(Broken) } else { Ok(number) }
}

/// Whether an answer is none: the server says it without having been asked.
pub(super) fn is_push(answer: &[u8]) -> bool {
    answer.first() == Some(&b'>')
}

/// Reads one whole answer: the simple ones here, for they are nearly all and the crate takes 8 KiB
/// of memory for each.
///
/// # Errors
///
/// [`Broken`] when it is none.
pub(super) fn value(answer: &[u8]) -> Result<Value, Broken> {
    let Some(head) = Head::read(answer, 0)? else { return Err(Broken) };
    let line = answer.get(1..head.end - b"\r\n".len()).unwrap_or_default();
    match head.kind {
        b'+' if line == b"OK" => Ok(Value::Okay),
        b'$' | b'_' => match Strings::of_string(answer).next() {
            Some(string) => Ok(string.map_or(Value::Nil, |bytes| Value::BulkString(bytes.into()))),
            None => Err(Broken),
        },
        b':' => {
            let number = std::str::from_utf8(line).ok().and_then(|line| line.parse().ok());
            number.map(Value::Int).ok_or(Broken)
        }
        _ => redis::parse_redis_value(answer).map_err(|_| Broken),
    }
}

/// Reads the strings of one whole answer, one after another.
#[derive(Debug)]
pub(super) struct Strings<'a> {
    answer: &'a [u8],
    at: usize,
}

impl<'a> Strings<'a> {
    /// Those of an answer that is a string itself.
    pub(super) const fn of_string(answer: &'a [u8]) -> Self {
        Self { answer, at: 0 }
    }

    /// Those of an answer that is a list of so many; `None` for every other answer.
    pub(super) fn of_list(answer: &'a [u8], count: usize) -> Option<Self> {
        let head = Head::read(answer, 0).ok().flatten()?;
        let is_such = head.kind == b'*' && !head.is_null && head.elements == count;
        is_such.then_some(Self { answer, at: head.end })
    }

    /// The next one, in memory of its own, so that no small value keeps a large answer alive.
    /// `Some(None)` is no string where one could be; `None` is something else.
    pub(super) fn next(&mut self) -> Option<Option<Bytes>> {
        let head = Head::read(self.answer, self.at).ok().flatten()?;
        self.at = head.end + head.body;
        if head.is_null {
            return Some(None);
        }
        let string = self.answer.get(head.end..self.at)?.strip_suffix(b"\r\n")?;
        (head.kind == b'$').then(|| Some(Bytes::copy_from_slice(string)))
    }
}

/// Appends the beginning of a command with so many words.
pub(super) fn write_command(out: &mut Vec<u8>, words: usize) {
    write_line(out, b'*', words);
}

/// Appends a word of a command.
pub(super) fn write_word(out: &mut Vec<u8>, word: impl AsRef<[u8]>) {
    let word = word.as_ref();
    write_line(out, b'$', word.len());
    out.extend_from_slice(word);
    out.extend_from_slice(b"\r\n");
}

fn write_line(out: &mut Vec<u8>, kind: u8, number: usize) {
    let mut digits = [0; 20];
    let (mut at, mut rest) = (digits.len(), number);
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.push(kind);
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
