//! [`Trace`], a file of the keys that were asked for, in their order.
//!
//! A name that ends in `.u32` means four bytes for each key, little-endian; any other name means
//! text with one key a line, where empty lines do not count. Either may be compressed with zstd and
//! end in `.zst` besides.

use std::fs::File;
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use super::frames::Frames;
use crate::exit::{Exit, Failure};

/// How much is read at once.
const BUFFER: usize = 64 * 1024;
/// The longest line of text that is a key.
const LONGEST_LINE: u64 = 64 * 1024;
const NOT_TEXT: &str = "hint: name a trace with four bytes for each key `.u32` or `.u32.zst`, \
                        and compressed text `.zst`";

/// A file of keys. It is read as often as needed, and never held in memory as a whole.
#[derive(Debug)]
pub(crate) struct Trace {
    path: PathBuf,
    is_compressed: bool,
    is_text: bool,
}

impl Trace {
    /// A trace that can be read, as far as can be told without reading it.
    pub(crate) fn open(path: impl AsRef<Path>) -> Result<Self, Failure> {
        let path = path.as_ref();
        let has_end = |path: &Path, end| path.extension().is_some_and(|found| found == end);
        let is_compressed = has_end(path, "zst");
        let plain = if is_compressed { path.with_extension("") } else { path.to_owned() };
        let is_text = !has_end(&plain, "u32");
        let trace = Self { path: path.to_owned(), is_compressed, is_text };
        let metadata = trace.file()?.metadata();
        let metadata = metadata.map_err(|error| Failure::reading(path, &error))?;
        if metadata.is_dir() {
            return Err(Failure::reading(path, &io::ErrorKind::IsADirectory.into()));
        }
        if !metadata.is_file() {
            let message = "is no regular file, and a trace is read several times; \
                           hint: write it to a file first";
            return Err(trace.unusable(message));
        }
        Ok(trace)
    }

    /// The path, as it was given.
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The keys from the first to the last. Equal ones are equal numbers.
    pub(crate) fn keys(&self) -> Result<Keys<'_>, Failure> {
        let file = BufReader::with_capacity(BUFFER, self.file()?);
        let content: Box<dyn BufRead> = if self.is_compressed {
            Box::new(BufReader::with_capacity(BUFFER, Frames::new(file)))
        } else {
            Box::new(file)
        };
        Ok(Keys { trace: self, content, line: Vec::new(), lines: 0 })
    }

    /// That other keys were found than the first time.
    pub(crate) fn changed(&self) -> Failure {
        self.unusable("changed while it was replayed; hint: replay a copy of it")
    }

    /// That there is nothing to replay.
    pub(crate) fn empty(&self) -> Failure {
        self.unusable("has no keys in it; hint: a trace has four bytes (`.u32`) or a line for each")
    }

    fn unusable(&self, why: &str) -> Failure {
        Failure::new(Exit::Io, format!("`{}` {why}", self.path.display()))
    }

    fn file(&self) -> Result<File, Failure> {
        File::open(&self.path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                let message =
                    format!("there is no `{}`; hint: check the path", self.path.display());
                Failure::new(Exit::NoInput, message)
            }
            _ => Failure::reading(&self.path, &error),
        })
    }
}

/// The keys of a trace, one after the other.
pub(crate) struct Keys<'a> {
    trace: &'a Trace,
    content: Box<dyn BufRead>,
    line: Vec<u8>,
    lines: u64,
}

impl Keys<'_> {
    fn number(&mut self) -> io::Result<Option<u64>> {
        if self.content.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let mut bytes = [0; 4];
        self.content.read_exact(&mut bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged(
                "its length is not divisible by 4; hint: a `.u32` trace has four bytes for each \
                 key, perhaps it was not copied to its end",
            ),
            _ => error,
        })?;
        Ok(Some(u32::from_le_bytes(bytes).into()))
    }

    /// The hash of the next line with something on it. That two of a billion lines have the same
    /// one is unlikely, and would change nothing that can be seen.
    fn hash(&mut self) -> io::Result<Option<u64>> {
        loop {
            self.line.clear();
            let mut line = self.content.by_ref().take(LONGEST_LINE);
            if line.read_until(b'\n', &mut self.line)? == 0 {
                return Ok(None);
            }
            self.lines += 1;
            if self.line.len() as u64 == LONGEST_LINE && !self.line.ends_with(b"\n") {
                let why = format!("line {} is too long for a key; {NOT_TEXT}", self.lines);
                return Err(damaged(&why));
            }
            let key = without_end(&self.line);
            if str::from_utf8(key).is_err() {
                let why = format!("line {} is not UTF-8; {NOT_TEXT}", self.lines);
                return Err(damaged(&why));
            }
            if !key.is_empty() {
                let mut hasher = DefaultHasher::new();
                hasher.write(key);
                return Ok(Some(hasher.finish()));
            }
        }
    }
}

impl Iterator for Keys<'_> {
    type Item = Result<u64, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = if self.trace.is_text { self.hash() } else { self.number() };
        let found = found.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => self.trace.unusable(&format!("is no trace: {error}")),
            _ => Failure::reading(&self.trace.path, &error),
        });
        found.transpose()
    }
}

/// A line without the characters that end it, on any system.
fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn damaged(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
