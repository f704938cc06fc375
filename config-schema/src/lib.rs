//! The config language of Larder: text to checked config, diagnostics, JSON schema.

pub mod diagnostic;
pub mod model;
pub mod tree;
