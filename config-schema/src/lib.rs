//! The config language of Larder: text to checked config, diagnostics, JSON schema.

pub mod check;
pub mod diagnostic;
mod grammar;
mod known;
pub mod loader;
pub mod model;
pub mod parse;
pub mod render;
mod shape;
pub mod suggest;
pub mod tree;
