//! [`Greeting`], the first bytes of each side.

use std::fmt;
use std::io::{self, Read, Write};

/// The version of the messages. Both sides come from one release and have the same.
const VERSION: u32 = 1;

/// Who greets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a connection has two sides")]
pub enum Side {
    /// The program.
    Host,
    /// `larder-runner`.
    Runner,
}

impl Side {
    const fn word(self) -> [u8; 12] {
        match self {
            Self::Host => *b"larder host\n",
            Self::Runner => *b"larder run \n",
        }
    }
}

/// What is wrong with a greeting.
#[derive(Debug)]
#[non_exhaustive]
pub enum Greeting {
    /// There is none.
    Io(io::Error),
    /// It is one of something else.
    Stranger,
    /// It is one of another release.
    Version(u32),
}

impl fmt::Display for Greeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "it does not greet: {error}"),
            Self::Stranger => f.write_str("it does not greet as a runner does"),
            Self::Version(found) => {
                write!(f, "it speaks version {found} of the protocol, and this program {VERSION}")
            }
        }
    }
}

impl std::error::Error for Greeting {}

impl Side {
    /// Greets as this side.
    ///
    /// # Errors
    ///
    /// As writing has them.
    pub fn greet(self, to: &mut impl Write) -> io::Result<()> {
        let mut bytes = self.word().to_vec();
        bytes.extend(VERSION.to_le_bytes());
        to.write_all(&bytes)
    }

    /// Reads the greeting of this side.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn expect(self, from: &mut impl Read) -> Result<(), Greeting> {
        let mut bytes = [0; 16];
        from.read_exact(&mut bytes).map_err(Greeting::Io)?;
        let (word, version) = bytes.split_at(12);
        if word != self.word() {
            return Err(Greeting::Stranger);
        }
        let version = version.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
        if version == VERSION { Ok(()) } else { Err(Greeting::Version(version)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_knows_the_other_and_no_stranger() {
        let mut greeting = Vec::new();
        Side::Runner.greet(&mut greeting).unwrap();
        assert!(Side::Runner.expect(&mut &greeting[..]).is_ok());
        assert!(matches!(Side::Host.expect(&mut &greeting[..]), Err(Greeting::Stranger)));
        greeting[12] = 9;
        assert!(matches!(Side::Runner.expect(&mut &greeting[..]), Err(Greeting::Version(9))));
        assert!(matches!(Side::Runner.expect(&mut &greeting[..15]), Err(Greeting::Io(_))));
    }
}
