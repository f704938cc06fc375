//! Plugins in libraries: from a section of the config to a library that was checked and loaded.
//!
//! A loader gets a request and goes through the checks in the order of
//! [`Fault`](larder_core::library::Fault). What can be found out from the file is found out before
//! any code of the library runs, and what is loaded are the very bytes that were checked.
//!
//! | step | module |
//! |---|---|
//! | open the file without following links, see who can change it, read it once | `trust` |
//! | the hash, the signature, the format and the stamp, from the bytes | `check` |
//! | load these bytes, find the entry function, call it | `open` |
//! | what the library says about itself, in the form in which the host uses it | [`library`] |
//! | the chain of all these | `loader` |
//! | what libraries may call | [`host`] |
//! | at the end of the process they are told | `ending` |
//! | their components as plugins of the framework | [`adapt`] |
//! | the other side: plugins in Rust as libraries | [`guest`] |
//! | libraries in processes of their own | `process` |
//!
//! A library has all the rights of the process once it is loaded. The checks decide which code
//! runs, and do not confine it.
#![expect(unsafe_code, reason = "structs and functions of foreign libraries are used here")]

pub mod adapt;
mod borrow;
mod change;
mod check;
#[cfg(not(unix))]
mod elsewhere;
#[cfg(unix)]
mod ending;
mod guard;
pub mod guest;
pub mod host;
pub mod library;
mod loader;
#[cfg(unix)]
mod open;
#[cfg(unix)]
pub mod process;
mod refusal;
#[cfg(test)]
mod testing;
#[cfg(unix)]
mod trust;

#[cfg(not(unix))]
use elsewhere::{ending, open, trust};

pub use larder_abi::{EASY_HEADER, HEADER};
pub use library::{Component, Library, Table};
pub use loader::{Examined, Loader};
