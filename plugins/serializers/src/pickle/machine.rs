//! [`run`], the machine that pickles are programs for, without the operations that call.

use std::borrow::Cow;
use std::collections::HashMap;

use super::error::PickleError;
use super::measure::measure;
use super::opcodes as op;
use super::parse::{self, Bytes};
use super::reduce;
use super::tree::{Callable, Id, Node, Sequence, Tree, Wide};

/// The newest protocol there is.
const NEWEST: u8 = 5;

/// What each byte of a pickle may stand for. A record of a table takes two bytes for each name of
/// a field that an earlier one has had, and stands for the name.
const WEIGHT_PER_BYTE: u64 = 32;

/// What any pickle may stand for.
const WEIGHT_OF_ANY: u64 = 1 << 20;

type Result<T> = std::result::Result<T, PickleError>;

/// Makes the values of a pickle.
pub(super) fn run(bytes: &[u8]) -> Result<Tree<'_>> {
    let most = WEIGHT_OF_ANY + WEIGHT_PER_BYTE * bytes.len() as u64;
    let mut machine = Machine {
        bytes: Bytes::new(bytes),
        opcode: 0,
        tree: Tree::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        most_copied: most,
    };
    while machine.step()? {}
    if !machine.bytes.is_empty() {
        return Err(PickleError::LeftOver);
    }
    machine.tree.root = machine.pop()?;
    measure(&machine.tree, most)?;
    Ok(machine.tree)
}

/// The state between two operations.
pub(super) struct Machine<'a> {
    bytes: Bytes<'a>,
    /// The operation that is done, for errors.
    pub(super) opcode: u8,
    pub(super) tree: Tree<'a>,
    stack: Vec<Id>,
    /// How long the stack was when a mark was set.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// How many bytes may still be made from values that are there already.
    pub(super) most_copied: u64,
}

impl<'a> Machine<'a> {
    /// Does one operation. Whether the pickle goes on.
    fn step(&mut self) -> Result<bool> {
        self.opcode = self.bytes.byte()?;
        match self.opcode {
            op::STOP => return Ok(false),
            op::PROTO => self.proto()?,
            op::FRAME => self.frame()?,
            op::MARK | op::POP | op::POP_MARK | op::DUP => self.arrange()?,
            op::PUT | op::BINPUT | op::LONG_BINPUT | op::MEMOIZE => self.remember()?,
            op::GET | op::BINGET | op::LONG_BINGET => self.recall()?,
            op::NONE => self.stack.push(Tree::NONE),
            op::NEWTRUE => self.stack.push(Tree::bool(true)),
            op::NEWFALSE => self.stack.push(Tree::bool(false)),
            op::EMPTY_TUPLE => self.stack.push(Tree::EMPTY_TUPLE),
            op::INT | op::BININT | op::BININT1 | op::BININT2 => self.int()?,
            op::LONG | op::LONG1 | op::LONG4 => self.long()?,
            op::FLOAT | op::BINFLOAT => self.float()?,
            op::UNICODE
            | op::SHORT_BINUNICODE
            | op::BINUNICODE
            | op::BINUNICODE8
            | op::BINSTRING
            | op::SHORT_BINSTRING => self.text()?,
            op::SHORT_BINBYTES | op::BINBYTES | op::BINBYTES8 | op::BYTEARRAY8 => {
                let bytes = self.counted()?;
                self.push(Node::Bytes(Cow::Borrowed(bytes)))?;
            }
            op::EMPTY_LIST => self.push(Node::Sequence(Sequence::List, Vec::new()))?,
            op::EMPTY_SET => self.push(Node::Sequence(Sequence::Set, Vec::new()))?,
            op::EMPTY_DICT => self.push(Node::Dict(Vec::new()))?,
            op::TUPLE1 | op::TUPLE2 | op::TUPLE3 => {
                let count = usize::from(self.opcode - op::TUPLE1) + 1;
                let items = self.pop_many(count)?;
                self.push(Node::Sequence(Sequence::Tuple, items))?;
            }
            op::TUPLE | op::LIST | op::FROZENSET | op::DICT => self.gather()?,
            op::APPEND | op::APPENDS | op::ADDITEMS | op::SETITEM | op::SETITEMS => {
                self.extend()?;
            }
            op::GLOBAL | op::STACK_GLOBAL => self.find()?,
            op::REDUCE => self.call()?,
            opcode => return Err(refusal(opcode)),
        }
        Ok(true)
    }

    fn proto(&mut self) -> Result<()> {
        match self.bytes.byte()? {
            0..=NEWEST => Ok(()),
            protocol => Err(PickleError::Version { protocol }),
        }
    }

    /// A frame says how many bytes to read ahead, which are all there already.
    fn frame(&mut self) -> Result<()> {
        let length = u64::from_le_bytes(self.bytes.array()?);
        if length > self.bytes.len() as u64 { Err(PickleError::TooShort) } else { Ok(()) }
    }

    fn arrange(&mut self) -> Result<()> {
        match self.opcode {
            op::MARK => self.marks.push(self.stack.len()),
            op::DUP => {
                let top = self.top()?;
                self.stack.push(top);
            }
            op::POP if self.marks.last() != Some(&self.stack.len()) => {
                self.pop()?;
            }
            _ => {
                self.pop_to_mark()?;
            }
        }
        Ok(())
    }

    fn remember(&mut self) -> Result<()> {
        let slot = match self.opcode {
            op::MEMOIZE => u32::try_from(self.memo.len()).map_err(|_| PickleError::TooMuch)?,
            _ => self.slot()?,
        };
        let top = self.top()?;
        self.memo.insert(slot, top);
        Ok(())
    }

    fn recall(&mut self) -> Result<()> {
        let slot = self.slot()?;
        let id = *self.memo.get(&slot).ok_or_else(|| self.misused())?;
        self.stack.push(id);
        Ok(())
    }

    /// The number of a place in the memo.
    fn slot(&mut self) -> Result<u32> {
        match self.opcode {
            op::BINPUT | op::BINGET => self.bytes.byte().map(u32::from),
            op::LONG_BINPUT | op::LONG_BINGET => self.bytes.array().map(u32::from_le_bytes),
            _ => parse::number(self.bytes.line()?).ok_or_else(|| self.malformed()),
        }
    }

    fn int(&mut self) -> Result<()> {
        let value = match self.opcode {
            op::BININT1 => i128::from(self.bytes.byte()?),
            op::BININT2 => i128::from(u16::from_le_bytes(self.bytes.array()?)),
            op::BININT => i128::from(i32::from_le_bytes(self.bytes.array()?)),
            _ => match self.bytes.line()? {
                // Protocols 0 and 1 have no other way to write a `bool`.
                b"00" => return self.push_id(Tree::bool(false)),
                b"01" => return self.push_id(Tree::bool(true)),
                line => parse::number(line).ok_or_else(|| self.malformed())?,
            },
        };
        self.integer(value)
    }

    fn long(&mut self) -> Result<()> {
        let digits = match self.opcode {
            op::LONG => {
                let line = self.bytes.line()?;
                let line = line.strip_suffix(b"L").unwrap_or(line);
                return match (parse::number(line), parse::number(line)) {
                    (Some(value), _) => self.integer(value),
                    (None, Some(value)) => self.push(wide(Wide::Unsigned(value))),
                    (None, None) => Err(self.malformed()),
                };
            }
            op::LONG1 => {
                let length = self.bytes.byte()?;
                self.bytes.take(u64::from(length))?
            }
            _ => {
                let length = i32::from_le_bytes(self.bytes.array()?);
                let length = u64::try_from(length).map_err(|_| self.malformed())?;
                self.bytes.take(length)?
            }
        };
        match parse::twos_complement(digits).ok_or(PickleError::BigInteger)? {
            Wide::Signed(value) => self.integer(value),
            unsigned @ Wide::Unsigned(_) => self.push(wide(unsigned)),
        }
    }

    fn integer(&mut self, value: i128) -> Result<()> {
        self.push(i64::try_from(value).map_or_else(|_| wide(Wide::Signed(value)), Node::Int))
    }

    fn float(&mut self) -> Result<()> {
        let value = match self.opcode {
            op::BINFLOAT => f64::from_be_bytes(self.bytes.array()?),
            _ => parse::number(self.bytes.line()?).ok_or_else(|| self.malformed())?,
        };
        self.push(Node::Float(value))
    }

    fn text(&mut self) -> Result<()> {
        let text = match self.opcode {
            op::UNICODE => parse::raw_unicode_escape(self.bytes.line()?).map(Cow::Owned),
            _ => str::from_utf8(self.counted()?).ok().map(Cow::Borrowed),
        };
        let text = text.ok_or_else(|| self.malformed())?;
        self.push(Node::Text(text))
    }

    /// The bytes behind a length, which has the size that belongs to the operation.
    fn counted(&mut self) -> Result<&'a [u8]> {
        let length = match self.opcode {
            op::SHORT_BINBYTES | op::SHORT_BINUNICODE | op::SHORT_BINSTRING => {
                u64::from(self.bytes.byte()?)
            }
            op::BINBYTES | op::BINUNICODE | op::BINSTRING => {
                u64::from(u32::from_le_bytes(self.bytes.array()?))
            }
            _ => u64::from_le_bytes(self.bytes.array()?),
        };
        self.bytes.take(length)
    }

    /// Makes one value of all since the mark.
    fn gather(&mut self) -> Result<()> {
        let items = self.pop_to_mark()?;
        let node = match self.opcode {
            op::TUPLE => Node::Sequence(Sequence::Tuple, items),
            op::LIST => Node::Sequence(Sequence::List, items),
            op::FROZENSET => Node::Sequence(Sequence::FrozenSet, items),
            _ if items.len() % 2 == 0 => Node::Dict(items),
            _ => return Err(self.misused()),
        };
        self.push(node)
    }

    /// Adds values to the list, set or dict below them.
    fn extend(&mut self) -> Result<()> {
        let mut items = match self.opcode {
            op::APPEND => self.pop_many(1)?,
            op::SETITEM => self.pop_many(2)?,
            _ => self.pop_to_mark()?,
        };
        let (opcode, top) = (self.opcode, self.top()?);
        let list = match (self.tree.get_mut(top), opcode) {
            (Node::Sequence(Sequence::List, list), op::APPEND | op::APPENDS) => list,
            (Node::Sequence(Sequence::Set, set), op::ADDITEMS) => set,
            (Node::Dict(dict), op::SETITEM | op::SETITEMS) if items.len() % 2 == 0 => dict,
            _ => return Err(self.misused()),
        };
        list.append(&mut items);
        Ok(())
    }

    /// Recognises a name.
    fn find(&mut self) -> Result<()> {
        let callable = if self.opcode == op::GLOBAL {
            let module = self.bytes.line()?;
            let name = self.bytes.line()?;
            self.resolve(module, name)?
        } else {
            let operands = self.pop_many(2)?;
            match (self.tree.get(operands[0]), self.tree.get(operands[1])) {
                (Node::Text(module), Node::Text(name)) => {
                    self.resolve(module.as_bytes(), name.as_bytes())?
                }
                _ => return Err(self.misused()),
            }
        };
        self.push(Node::Callable(callable))
    }

    fn resolve(&self, module: &[u8], name: &[u8]) -> Result<Callable> {
        reduce::find(module, name).ok_or_else(|| PickleError::Refused {
            opcode: self.opcode,
            what: Some(reduce::shown(module, name)),
        })
    }

    fn call(&mut self) -> Result<()> {
        let operands = self.pop_many(2)?;
        let value = reduce::reduce(self, operands[0], operands[1])?;
        self.push_id(value)
    }

    fn push(&mut self, node: Node<'a>) -> Result<()> {
        let id = self.tree.add(node)?;
        self.push_id(id)
    }

    fn push_id(&mut self, id: Id) -> Result<()> {
        self.stack.push(id);
        Ok(())
    }

    fn top(&self) -> Result<Id> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        self.stack[bottom..].last().copied().ok_or_else(|| self.misused())
    }

    fn pop(&mut self) -> Result<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// The topmost values, lowest first.
    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        let start = self.stack.len().checked_sub(count).filter(|start| *start >= bottom);
        let start = start.ok_or_else(|| self.misused())?;
        Ok(self.stack.split_off(start))
    }

    /// All values since the mark, which goes.
    fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().ok_or_else(|| self.misused())?;
        Ok(self.stack.split_off(mark))
    }

    /// The operands of the operation are not what it takes.
    pub(super) const fn misused(&self) -> PickleError {
        PickleError::Misused { opcode: self.opcode }
    }

    const fn malformed(&self) -> PickleError {
        PickleError::Malformed { opcode: self.opcode }
    }
}

fn wide<'a>(value: Wide) -> Node<'a> {
    Node::Wide(Box::new(value))
}

/// Why an operation is not done.
const fn refusal(opcode: u8) -> PickleError {
    match opcode {
        // These find and call what a name or number stands for, …
        op::INST | op::OBJ | op::NEWOBJ | op::NEWOBJ_EX | op::BUILD => (),
        op::EXT1 | op::EXT2 | op::EXT4 => (),
        // … and these ask the application for a value.
        op::PERSID | op::BINPERSID | op::NEXT_BUFFER | op::READONLY_BUFFER => (),
        op::STRING => return PickleError::Unsupported { opcode },
        _ => return PickleError::Unknown { opcode },
    }
    PickleError::Refused { opcode, what: None }
}
