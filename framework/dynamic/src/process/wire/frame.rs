//! Frames: a length in four bytes, little-endian, and as many bytes of MessagePack.
//!
//! A length is a claim. No memory is taken for it before the bytes are there, and whatever is
//! wrong with a frame ends the connection: nobody knows where the next one begins.

use std::fmt;
use std::io::{self, ErrorKind, Read};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// No frame is longer, so neither is what crosses in one call.
pub const LONGEST: usize = 256 * 1024 * 1024;

/// The bytes of a length.
const LENGTH: usize = 4;

/// How much memory is taken before anything of a frame was read.
const FIRST: usize = 16 * 1024;

/// Why there is no frame.
#[derive(Debug)]
#[non_exhaustive]
pub enum FrameError {
    /// Its bytes are no such message.
    Garbage(String),
    /// The other side cannot be read from.
    Io(io::Error),
    /// It is longer than a frame may be: so many bytes.
    TooLong(u64),
    /// The other side ended within it.
    Torn,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Garbage(what) => write!(f, "a frame is no message: {what}"),
            Self::Io(error) => write!(f, "cannot read: {error}"),
            Self::TooLong(length) => {
                write!(f, "a frame of {length} bytes, and the longest is {LONGEST}")
            }
            Self::Torn => f.write_str("it ended within a frame"),
        }
    }
}

impl std::error::Error for FrameError {}

/// A message as a frame.
///
/// # Errors
///
/// [`FrameError::TooLong`].
pub fn frame(message: &impl Serialize) -> Result<Vec<u8>, FrameError> {
    let mut bytes = vec![0; LENGTH];
    let written = rmp_serde::encode::write(&mut bytes, message);
    written.map_err(|error| FrameError::Garbage(error.to_string()))?;
    let length = bytes.len() - LENGTH;
    let fits = u32::try_from(length).ok().filter(|_| length <= LONGEST);
    let length = fits.ok_or(FrameError::TooLong(length as u64))?;
    bytes[..LENGTH].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

/// The next message; `None` when the other side ended between two.
///
/// # Errors
///
/// What is wrong with the frame. There is no point in reading on.
pub fn read<T: DeserializeOwned>(from: &mut impl Read) -> Result<Option<T>, FrameError> {
    let Some(length) = read_length(from)? else { return Ok(None) };
    if length > LONGEST {
        return Err(FrameError::TooLong(length as u64));
    }
    let mut bytes = Vec::with_capacity(length.min(FIRST));
    from.take(length as u64).read_to_end(&mut bytes).map_err(FrameError::Io)?;
    if bytes.len() < length {
        return Err(FrameError::Torn);
    }
    let message = rmp_serde::from_slice(&bytes);
    message.map(Some).map_err(|error| FrameError::Garbage(error.to_string()))
}

fn read_length(from: &mut impl Read) -> Result<Option<usize>, FrameError> {
    let mut length = [0; LENGTH];
    let mut there = 0;
    while there < LENGTH {
        match from.read(&mut length[there..]) {
            Ok(0) if there == 0 => return Ok(None),
            Ok(0) => return Err(FrameError::Torn),
            Ok(more) => there += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(FrameError::Io(error)),
        }
    }
    Ok(Some(usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::wire::{Ask, Blob, Call, Question, Reply, Tell};

    fn asked() -> Ask {
        let entry = Blob::from(vec![7; 1000]);
        let call = Call::Set { key: "user:1".to_owned(), entry };
        Ask { id: 3, now_us: 5, within_us: 7, level: 1, what: Question::Call(9, call) }
    }

    #[test]
    fn a_message_reads_as_it_was_written() {
        let mut bytes = frame(&asked()).unwrap();
        assert!(bytes.len() < 1100, "bytes cross as bytes");
        bytes.extend(frame(&asked()).unwrap());
        let mut from = &bytes[..];
        assert_eq!(read::<Ask>(&mut from).unwrap(), Some(asked()));
        assert_eq!(read::<Ask>(&mut from).unwrap(), Some(asked()));
        assert_eq!(read::<Ask>(&mut from).unwrap(), None);
    }

    #[test]
    fn a_frame_that_is_cut_off_is_torn_wherever_that_is() {
        let bytes = frame(&asked()).unwrap();
        for end in 1..bytes.len() {
            let found = read::<Ask>(&mut &bytes[..end]);
            assert!(matches!(found, Err(FrameError::Torn)), "{end}: {found:?}");
        }
    }

    #[test]
    fn a_length_is_not_believed() {
        let too_long = u32::MAX.to_le_bytes();
        let found = read::<Ask>(&mut &too_long[..]).unwrap_err();
        assert_eq!(found.to_string(), "a frame of 4294967295 bytes, and the longest is 268435456");
        let mut claims = u32::try_from(LONGEST).unwrap().to_le_bytes().to_vec();
        claims.extend([0; 8]);
        let counted = allocation_counter::measure(|| {
            assert!(matches!(read::<Ask>(&mut &claims[..]), Err(FrameError::Torn)));
        });
        assert!(counted.bytes_max < 100_000, "{} bytes", counted.bytes_max);
    }

    #[test]
    fn garbage_is_an_error_and_takes_no_memory() {
        let seed = fastrand::u64(..);
        let mut random = fastrand::Rng::with_seed(seed);
        let tell = Tell::Answer { id: 7, reply: Ok(Reply::Keys(vec!["a".to_owned()], None)) };
        let whole = frame(&tell).unwrap();
        for _ in 0..20_000 {
            let mut bytes = whole.clone();
            for _ in 0..random.usize(1..6) {
                let at = random.usize(LENGTH..bytes.len());
                bytes[at] = random.u8(..);
            }
            let counted = allocation_counter::measure(|| drop(read::<Tell>(&mut &bytes[..])));
            assert!(counted.bytes_max < 4_000_000, "seed {seed}: {bytes:?}");
        }
    }
}
