//! The config language of Larder: text to checked config, diagnostics, JSON schema.

pub mod check;
mod codes;
pub mod diagnostic;
pub mod explain;
mod grammar;
pub mod known;
pub mod loader;
pub mod model;
pub mod parse;
pub mod reference;
pub mod render;
pub mod schema;
mod shape;
pub mod show;
pub mod suggest;
pub mod tree;
