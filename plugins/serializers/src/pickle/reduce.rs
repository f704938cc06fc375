//! The calls without which older protocols cannot express plain data, recognised and not made.

use std::borrow::Cow;

use super::error::PickleError;
use super::machine::Machine;
use super::tree::{Callable, Id, Node, Sequence};

/// How much of a name an error shows.
const SHOWN: usize = 80;

/// What a name stands for; `None` for all that is not plain data.
pub(super) fn find(module: &[u8], name: &[u8]) -> Option<Callable> {
    match (module, name) {
        (b"_codecs", b"encode") => Some(Callable::Encode),
        // Python 2 called it `__builtin__`, and protocols 0 to 2 still do.
        (b"builtins" | b"__builtin__", builtin) => match builtin {
            b"bytearray" => Some(Callable::ByteArray),
            b"bytes" => Some(Callable::Bytes),
            b"frozenset" => Some(Callable::FrozenSet),
            b"set" => Some(Callable::Set),
            _ => None,
        },
        _ => None,
    }
}

/// A name for people.
pub(super) fn shown(module: &[u8], name: &[u8]) -> String {
    let name = [module, b".", name].concat();
    name.escape_ascii().take(SHOWN).map(char::from).collect()
}

/// The value that a call would return.
pub(super) fn reduce(
    machine: &mut Machine<'_>,
    callable: Id,
    arguments: Id,
) -> Result<Id, PickleError> {
    let Node::Callable(callable) = *machine.tree.get(callable) else {
        return Err(machine.misused());
    };
    let Node::Sequence(Sequence::Tuple, arguments) = machine.tree.get(arguments) else {
        return Err(machine.misused());
    };
    // None of them takes more than two, however many there are.
    let arguments: Vec<Id> = arguments.iter().copied().take(3).collect();
    match (callable, arguments.as_slice()) {
        (Callable::ByteArray | Callable::Bytes, []) => {
            machine.tree.add(Node::Bytes(Cow::Borrowed(&[])))
        }
        (Callable::ByteArray, &[bytes]) if matches!(machine.tree.get(bytes), Node::Bytes(_)) => {
            Ok(bytes)
        }
        (Callable::ByteArray | Callable::Encode, &[text, encoding]) => {
            encode(machine, text, encoding)
        }
        (Callable::FrozenSet | Callable::Set, []) => {
            machine.tree.add(Node::Sequence(Sequence::FrozenSet, Vec::new()))
        }
        // A set is read as the sequence that it would be made from, without a copy.
        (Callable::FrozenSet | Callable::Set, &[items])
            if matches!(machine.tree.get(items), Node::Sequence(..)) =>
        {
            Ok(items)
        }
        _ => Err(machine.misused()),
    }
}

/// Bytes from text with a letter for each.
fn encode(machine: &mut Machine<'_>, text: Id, encoding: Id) -> Result<Id, PickleError> {
    let (Node::Text(text), Node::Text(encoding)) =
        (machine.tree.get(text), machine.tree.get(encoding))
    else {
        return Err(machine.misused());
    };
    if !matches!(&**encoding, "latin1" | "latin-1") {
        return Err(machine.misused());
    }
    let left = machine.most_copied.checked_sub(text.len() as u64);
    let left = left.ok_or(PickleError::TooMuch)?;
    let bytes: Option<Vec<u8>> =
        text.chars().map(|letter| u8::try_from(u32::from(letter)).ok()).collect();
    let bytes = bytes.ok_or_else(|| machine.misused())?;
    machine.most_copied = left;
    machine.tree.add(Node::Bytes(Cow::Owned(bytes)))
}
