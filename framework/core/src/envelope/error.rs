//! [`EnvelopeError`], why bytes are no entry.

use std::fmt;

use super::MAX_TAGS;

/// Why bytes are not an entry, or an entry does not fit into bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The checksum does not fit the bytes: they are torn or were changed.
    Checksum {
        /// What the header says.
        expected: u32,
        /// What the bytes have.
        found: u32,
    },
    /// The value went through more wrappers than this version knows of.
    Codec {
        /// The number of the codec.
        found: u8,
    },
    /// Flags are set that this version does not know.
    Flags {
        /// All flags of the entry.
        found: u8,
    },
    /// The length of the header is impossible.
    HeaderLength {
        /// The length in bytes that the header gives for itself.
        found: usize,
    },
    /// The bytes do not start like an entry: somebody else wrote them.
    Magic {
        /// How they start.
        found: [u8; 2],
    },
    /// There are fewer bytes than the header needs.
    TooShort {
        /// How many are needed for the header, the tags and the wrappers.
        needed: usize,
        /// How many there are.
        found: usize,
    },
    /// The entry has more tags than [`MAX_TAGS`].
    TooManyTags {
        /// How many it has.
        found: usize,
    },
    /// The layout has a version this version of Larder does not know.
    Version {
        /// The version of the entry.
        found: u8,
    },
    /// A wrapper has the number 0, which none has.
    Wrapper,
}

impl fmt::Display for EnvelopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checksum { expected, found } => write!(
                f,
                "the checksum of the entry is `{found:08x}`, but its header says `{expected:08x}`"
            ),
            Self::Codec { found } => write!(f, "the entry has the unknown codec `{found}`"),
            Self::Flags { found } => {
                write!(f, "the entry has unknown flags among `{found:#010b}`")
            }
            Self::HeaderLength { found } => {
                write!(f, "the entry has the impossible header length `{found}`")
            }
            Self::Magic { found } => write!(
                f,
                "the bytes start with `{:02x} {:02x}`, which no entry does",
                found[0], found[1]
            ),
            Self::TooShort { needed, found } => {
                write!(f, "the entry has `{found}` bytes, but its header alone needs `{needed}`")
            }
            Self::TooManyTags { found } => {
                write!(f, "the entry has `{found}` tags, but at most `{MAX_TAGS}` fit")
            }
            Self::Version { found } => {
                write!(f, "the entry has the layout version `{found}`, but only `1` is known")
            }
            Self::Wrapper => f.write_str("the entry has a wrapper of number `0`, which none has"),
        }
    }
}

impl std::error::Error for EnvelopeError {}
