//! The C ABI of plugins for Larder: [`include/larder_plugin.h`][header] and its mirror in Rust.
//!
//! The header is the norm, and documents every rule, struct and function; a plugin in C needs
//! nothing else. This crate says the same in Rust, for the host and for plugins written in Rust,
//! without dependencies and without `std`. Names are those of the header without the `larder_`.
//!
//! * [`value`]: what is embedded and what stands in arrays: never changes within a major version.
//! * [`call`]: what goes along with a call, and [`Host`], what the host offers.
//! * [`table`]: a table of functions for each of the six kinds of components.
//! * [`descriptor`]: what a library says about itself, and the stamp in its file.
//! * [`extensible`]: how a struct is read that is older or younger than this crate.
//! * [`layout`]: sizes and offsets, as numbers that tests and stamps compare.
//!
//! # Versions
//!
//! The major version is in the name of the entry function. A minor version appends fields to
//! extensible structs; each struct says its size, so both sides read what the other has. The tables
//! of released versions are in `released/`; a test proves that each is a prefix of the next.
//!
//! [header]: https://docs.rs/crate/larder-abi/latest/source/include/larder_plugin.h
#![no_std]
#![expect(unsafe_code, reason = "structs of foreign compilers are read by their size")]
#![expect(clippy::exhaustive_structs, reason = "the layout of a released struct is a promise")]

pub mod call;
pub mod descriptor;
pub mod extensible;
pub mod layout;
mod status;
pub mod table;
pub mod value;

pub use call::Host;
pub use descriptor::{Component, EntryV1, Plugin, Stamp};
pub use extensible::{Extensible, read_extensible};
pub use status::Status;

/// The major version; also in the names of [`ENTRY_SYMBOL`] and [`STAMP_SYMBOL`].
pub const ABI_MAJOR: u16 = 1;

/// The newest minor version that this crate knows.
pub const ABI_MINOR: u16 = 0;

/// The name of the entry function of a library.
pub const ENTRY_SYMBOL: &str = "larder_entry_v1";

/// The name of the stamp of a library.
pub const STAMP_SYMBOL: &str = "larder_stamp_v1";

/// A time or deadline that there is none of.
pub const NEVER: i64 = i64::MAX;

/// A limit that there is none of.
pub const UNLIMITED: u64 = u64::MAX;

/// The text of the header, for tools that write new plugins.
pub const HEADER: &str = include_str!("../include/larder_plugin.h");

/// The text of the header with what plugins in C have in common. It is not part of the ABI.
pub const EASY_HEADER: &str = include_str!("../include/larder_plugin_easy.h");
