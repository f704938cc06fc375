//! [`measure`], how deep a tree is and for how much it stands, without recursion.
//!
//! In Python a value that is used in many places is one value. In Rust it becomes as many, so a
//! list of two lists that are each a list of the same two lists… doubles with each level.

use super::error::PickleError;
use super::tree::{Id, Tree};
use crate::MAX_DEPTH;

/// What is known of a node.
#[derive(Clone, Copy)]
enum State {
    /// Its children are looked at.
    Open,
    /// How many levels it has, and for how much it stands.
    Known {
        levels: u8,
        weight: u64,
    },
    Unseen,
}

/// Whether the result of the tree is at most [`MAX_DEPTH`] levels deep, does not contain itself and
/// stands for at most `most`.
pub(super) fn measure(tree: &Tree<'_>, most: u64) -> Result<(), PickleError> {
    let mut states = vec![State::Unseen; tree.len()];
    // Nodes that are open, with how many of their children were looked at.
    let mut path: Vec<(Id, usize)> = vec![(tree.root, 0)];
    while let Some((id, next)) = path.last_mut() {
        states[id.index()] = State::Open;
        let child = tree.get(*id).children().get(*next).copied();
        *next += 1;
        let Some(child) = child else {
            states[id.index()] = known(tree, *id, &states, most)?;
            path.pop();
            continue;
        };
        match states[child.index()] {
            State::Open => return Err(PickleError::Cycle),
            State::Known { .. } => {}
            // Each node of the path but the last one is a level.
            State::Unseen if path.len() > MAX_DEPTH => return Err(PickleError::TooDeep),
            State::Unseen => path.push((child, 0)),
        }
    }
    Ok(())
}

/// The measures of a node whose children are known.
fn known(tree: &Tree<'_>, id: Id, states: &[State], most: u64) -> Result<State, PickleError> {
    let node = tree.get(id);
    let (mut levels, mut weight) = (0, node.weight());
    for child in node.children() {
        if let State::Known { levels: below, weight: more } = states[child.index()] {
            levels = levels.max(below);
            weight = weight.saturating_add(more);
        }
    }
    levels += u8::from(node.is_level());
    if usize::from(levels) > MAX_DEPTH {
        return Err(PickleError::TooDeep);
    }
    if weight > most {
        return Err(PickleError::TooMuch);
    }
    Ok(State::Known { levels, weight })
}
