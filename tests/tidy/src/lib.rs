//! The house rules of this repository, as functions that a test runs over the whole tree.
//!
//! Each rule takes a [`Tree`] and returns what is wrong with it, one [`Finding`] per place, with
//! the way to put it right. What clippy and rustfmt can check is left to them. The crate has no
//! dependencies, so that it builds first and never stands in the way of an upgrade.

pub mod rules;

mod finding;
mod manifest;
mod source;
mod tree;

pub use finding::Finding;
pub use tree::Tree;
