//! What the fault tests share: a cache over Redis, a source behind it, and values that show when
//! something is wrong with them.
//!
//! The tests are in `tests/faults`, by what fails; `docs/faults.md` says what users see of each.

#![cfg(unix)]
#![expect(clippy::missing_panics_doc, reason = "a test panics when something is wrong")]

mod config;
mod heard;
mod site;
mod source;

pub use config::Config;
pub use heard::{Event, heard, listen};
pub use site::{PATIENCE, Site};
pub use source::{Source, Value};
