//! The rules, by what they look at.

pub mod code;
pub mod crates;
pub mod files;
pub mod size;
pub mod words;
