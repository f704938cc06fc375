//! [`PickleError`], why bytes are not a pickle of plain data.

use std::fmt;

use super::opcodes;
use crate::MAX_DEPTH;

/// Why bytes are not a pickle of plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PickleError {
    /// An integer of more than 128 bits.
    BigInteger,
    /// A list, dict or tuple that contains itself.
    Cycle,
    /// An operation that does not fit what is on the stack.
    Misused { opcode: u8 },
    /// Bytes follow after the end of the pickle.
    LeftOver,
    /// Text where a number should stand, or text that is not UTF-8.
    Malformed { opcode: u8 },
    /// An operation that could run code, or needs something from outside of the bytes.
    Refused { opcode: u8, what: Option<String> },
    /// The value is nested too deep.
    TooDeep,
    /// The bytes stand for far more than they are.
    TooMuch,
    /// The bytes end before the pickle does.
    TooShort,
    /// A byte that is no operation.
    Unknown { opcode: u8 },
    /// An operation that only Python 2 writes.
    Unsupported { opcode: u8 },
    /// A protocol of the future.
    Version { protocol: u8 },
}

impl fmt::Display for PickleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BigInteger => f.write_str("an integer has more than 128 bits"),
            Self::Cycle => f.write_str("a value contains itself"),
            Self::Misused { opcode } => {
                write!(f, "the operation `{}` does not fit its operands", name(*opcode))
            }
            Self::LeftOver => f.write_str("there are bytes after the end of the pickle"),
            Self::Malformed { opcode } => {
                write!(f, "the operand of the operation `{}` is malformed", name(*opcode))
            }
            Self::Refused { opcode, what: None } => write!(
                f,
                "the operation `{}` is refused, because only plain data is read",
                name(*opcode)
            ),
            Self::Refused { opcode, what: Some(what) } => write!(
                f,
                "the operation `{}` of `{what}` is refused, because only plain data is read",
                name(*opcode)
            ),
            Self::TooDeep => write!(f, "the value is nested deeper than `{MAX_DEPTH}` levels"),
            Self::TooMuch => f.write_str("the bytes stand for far more than they are"),
            Self::TooShort => f.write_str("the bytes end before the pickle does"),
            Self::Unknown { opcode } => write!(f, "the byte `{opcode:02x}` is no operation"),
            Self::Unsupported { opcode } => write!(
                f,
                "the operation `{}` is one of Python 2 with protocol 0, which is not read",
                name(*opcode)
            ),
            Self::Version { protocol } => write!(f, "the protocol `{protocol}` is not known"),
        }
    }
}

impl std::error::Error for PickleError {}

fn name(opcode: u8) -> &'static str {
    opcodes::name(opcode).unwrap_or("unknown")
}
