//! [`Library`]: what a loaded library brought, in the form in which the host uses it.
//!
//! Everything was checked and copied when the library was loaded: tables are as long as those of
//! this host and have the functions that their kind needs, texts are UTF-8. Nobody who uses a
//! table needs to look at sizes again.

use std::path::PathBuf;

use larder_abi::Stamp;
use larder_abi::Status;
use larder_abi::call::Error;
use larder_abi::descriptor::unwinds;
use larder_abi::table::{
    BackendVt, CodecVt, InvalidatorVt, PolicyVt, ReplicatorVt, WarmerVt, codec,
};
use larder_abi::value::Slice;
use larder_core::Slot;
use serde_json::Value;

pub(crate) mod describe;
mod tables;
mod text;

/// A library that passed every check. It stays in memory for ever.
#[derive(Debug)]
#[non_exhaustive]
pub struct Library {
    /// Its name, in the config and in the stamp.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// How it was built, as a JSON object; empty if it does not say.
    pub build_json: &'static str,
    /// Where it was loaded from the first time.
    pub path: PathBuf,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
    /// How many bytes its file has.
    pub size: u64,
    /// The stamp in its file.
    pub stamp: Stamp,
    /// Its components, in its order. Those of unknown kinds are left out.
    pub components: Vec<Component>,
    /// Stops every thread of it, when the process ends.
    pub shutdown: Option<unsafe extern "C" fn(i64) -> Status>,
    /// Interfaces that are tried out.
    pub query: Option<unsafe extern "C" fn(*const Slice) -> *const core::ffi::c_void>,
}

/// One component of a library.
#[derive(Debug)]
#[non_exhaustive]
pub struct Component {
    /// What the config names.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// The library it comes from, by its name.
    pub plugin: &'static str,
    /// Some of [`cap`](larder_abi::table::cap).
    pub caps: u64,
    /// Its functions.
    pub table: Table,
    /// The JSON schema of its options, an object.
    pub schema: Value,
    /// Checks what the schema cannot express.
    pub validate: Option<Validate>,
}

/// Checks options, as JSON, beyond their schema.
pub type Validate = unsafe extern "C" fn(*const Slice, *mut Error) -> Status;

/// The functions of a component. Those that its kind and its capabilities need are there.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Table {
    /// Keeps entries.
    Backend(BackendVt),
    /// Values to bytes, or bytes to bytes.
    Codec(CodecVt),
    /// Facts from outside, and ours to others.
    Invalidator(InvalidatorVt),
    /// Says which entry has to go.
    Policy(PolicyVt),
    /// Changes to other sites and back.
    Replicator(ReplicatorVt),
    /// Keys to have before anybody asks.
    Warmer(WarmerVt),
}

impl Table {
    /// The slot that the component fills.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        match self {
            Self::Backend(_) => Slot::Backend,
            Self::Codec(table) if table.model == codec::SERIALIZER => Slot::Serializer,
            Self::Codec(_) => Slot::Wrapper,
            Self::Invalidator(_) => Slot::Invalidator,
            Self::Policy(_) => Slot::Policy,
            Self::Replicator(_) => Slot::Replicator,
            Self::Warmer(_) => Slot::Warmer,
        }
    }
}

impl Library {
    /// What it was built for, by its stamp.
    #[must_use]
    pub fn target(&self) -> &str {
        crate::check::target_of(&self.stamp).unwrap_or_default()
    }

    /// How many instances of its components live, or end just now. When another library took its
    /// place, it is of use as long as there are any.
    #[must_use]
    pub fn instances(&self) -> usize {
        crate::host::instances::count(self.name)
    }

    /// What its panics do, in words.
    #[must_use]
    pub const fn panics(&self) -> &'static str {
        panics(&self.stamp)
    }
}

/// What the panics of a library with this stamp do, in words.
pub(crate) const fn panics(stamp: &Stamp) -> &'static str {
    match stamp.unwinds {
        unwinds::NOT_RUST => "it is not written in Rust",
        unwinds::YES => "are caught",
        _ => "end the process",
    }
}

impl Component {
    /// The slot and the name, as `provides` of the config has them.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}:{}", self.table.slot(), self.name)
    }
}
