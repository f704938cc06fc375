//! The config language of Larder: text to checked config, diagnostics, JSON schema.
//!
//! | stage | module |
//! |---|---|
//! | text to a tree that knows its positions | [`parse`], [`tree`] |
//! | includes, templates, profiles, overrides, references | [`loader`] |
//! | options against the schemas of plugins, relations between caches | [`check`], [`model`] |
//! | what is wrong, for people and programs | [`diagnostic`], [`render`], [`explain`] |
//! | the same schemas for editors and manuals | [`schema`], [`reference`](mod@reference) |
//! | plugins that exist elsewhere | [`known`] |
//! | where each value comes from, also for one key | [`show`], [`effective`] |
//!
//! Every stage collects what is wrong and goes on, so one run reports everything.

pub mod check;
mod codes;
mod cover;
pub mod diagnostic;
pub mod effective;
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
