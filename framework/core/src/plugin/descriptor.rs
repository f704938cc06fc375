//! [`Descriptor`]: a plugin, before anything is built from it.

use std::fmt;

use super::{Factory, Slot};
use crate::capabilities::Capabilities;

/// A plugin as the registry knows it. Made by [`register!`](crate::register), or by hand with the
/// constructor of its slot for [`Registry::with`](crate::Registry::with).
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Descriptor {
    /// Its role.
    pub slot: Slot,
    /// Its kind, unique within the slot.
    pub kind: &'static str,
    /// One sentence for lists.
    pub summary: &'static str,
    /// The crate, or the library, it comes from.
    pub origin: &'static str,
    /// The version of that crate or library.
    pub version: &'static str,
    /// What it can do, as far as that is known without building it.
    pub capabilities: Capabilities,
    /// How it is checked and built.
    pub factory: Factory,
}

impl Descriptor {
    /// Describes a component of a library that was loaded at run time: its slot comes from its
    /// factory, and it has no summary and no capabilities until [`about`](Self::about) says so.
    #[must_use]
    pub const fn loaded(
        kind: &'static str,
        origin: &'static str,
        version: &'static str,
        factory: Factory,
    ) -> Self {
        let (slot, summary, capabilities) = (factory.slot(), "", Capabilities::empty());
        Self { slot, kind, summary, origin, version, capabilities, factory }
    }

    /// Sets what lists say about it.
    #[must_use]
    pub const fn about(mut self, summary: &'static str, capabilities: Capabilities) -> Self {
        self.summary = summary;
        self.capabilities = capabilities;
        self
    }
}

impl fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}` of {} {}", self.slot, self.kind, self.origin, self.version)
    }
}
