//! Which libraries are loaded and which are refused, with libraries of a C compiler and files that
//! somebody might put in their place.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

mod descriptor;
mod events;
mod files;
mod flips;
mod identity;
mod messages;
mod paths;
mod signatures;
mod stamp;
mod support;
mod symbols;
