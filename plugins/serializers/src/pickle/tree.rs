//! [`Tree`], the values that a pickle has made.

use std::borrow::Cow;

use super::error::PickleError;

/// The index of a node.
///
/// Values refer to each other by index, so that one that is used in many places exists once, and
/// a nest of a million levels is dropped without recursion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(u32);

/// A value.
#[derive(Debug)]
pub(super) enum Node<'a> {
    Bool(bool),
    Bytes(Cow<'a, [u8]>),
    Callable(Callable),
    /// Keys and values in turns.
    Dict(Vec<Id>),
    Float(f64),
    Int(i64),
    None,
    Sequence(Sequence, Vec<Id>),
    Text(Cow<'a, str>),
    Wide(Box<Wide>),
}

/// An integer of more than 64 bits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wide {
    Signed(i128),
    Unsigned(u128),
}

/// Which kind of sequence it is. Those who read it see no difference, but operations do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sequence {
    FrozenSet,
    List,
    Set,
    Tuple,
}

/// Something with a name that older protocols call to make plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callable {
    ByteArray,
    Bytes,
    Encode,
    FrozenSet,
    Set,
}

/// All values, in the order in which they were made, and which of them is the result.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    nodes: Vec<Node<'a>>,
    pub(super) root: Id,
}

impl<'a> Tree<'a> {
    /// A tree of the values that have only one form, so that no operation of a single byte but the
    /// empty list, dict and set makes a node.
    pub(super) fn new() -> Self {
        let nodes = vec![
            Node::None,
            Node::Bool(false),
            Node::Bool(true),
            Node::Sequence(Sequence::Tuple, Vec::new()),
        ];
        Self { nodes, root: Self::NONE }
    }

    pub(super) const NONE: Id = Id(0);
    pub(super) const EMPTY_TUPLE: Id = Id(3);

    pub(super) const fn bool(value: bool) -> Id {
        Id(if value { 2 } else { 1 })
    }

    /// Adds a value.
    pub(super) fn add(&mut self, node: Node<'a>) -> Result<Id, PickleError> {
        let id = u32::try_from(self.nodes.len()).map_err(|_| PickleError::TooMuch)?;
        self.nodes.push(node);
        Ok(Id(id))
    }

    pub(super) fn get(&self, id: Id) -> &Node<'a> {
        &self.nodes[id.index()]
    }

    pub(super) fn get_mut(&mut self, id: Id) -> &mut Node<'a> {
        &mut self.nodes[id.index()]
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }
}

impl Id {
    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

impl Node<'_> {
    /// The values that it is made of.
    pub(super) fn children(&self) -> &[Id] {
        match self {
            Self::Dict(children) | Self::Sequence(_, children) => children,
            _ => &[],
        }
    }

    /// Whether it is a level of the nesting.
    pub(super) const fn is_level(&self) -> bool {
        matches!(self, Self::Dict(_) | Self::Sequence(..))
    }

    /// How much it stands for by itself.
    pub(super) fn weight(&self) -> u64 {
        let bytes = match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Text(text) => text.len(),
            _ => 0,
        };
        1 + bytes as u64
    }
}
