//! Larder next to other caches that live in a process, each as its documentation says.

use std::io::Write;

use crate::Failure;
use crate::report::Report;

mod bytes;
mod cloudflare;
mod hit;
mod insert;
mod load;
mod many;

/// A group of cases that can be asked for by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// Memory that an entry takes.
    Bytes,
    /// A hundred hot items under eight threads, as Cloudflare measures `TinyUFO`.
    Cloudflare,
    /// Keys that are all there.
    Hit,
    /// New keys.
    Insert,
    /// Read, and make what is not there, with too little room.
    Load,
    /// Many keys in one call.
    Many,
}

impl Case {
    /// Every case, in the order in which they run.
    pub(crate) const ALL: [Self; 6] =
        [Self::Hit, Self::Load, Self::Insert, Self::Many, Self::Bytes, Self::Cloudflare];

    /// The case of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|case| case.name() == name)
    }

    /// What to call it on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Cloudflare => "cloudflare",
            Self::Hit => "hit",
            Self::Insert => "insert",
            Self::Load => "load",
            Self::Many => "many",
        }
    }

    /// Measures it.
    pub(crate) fn run<W: Write>(self, report: &mut Report<W>) -> Result<(), Failure> {
        match self {
            Self::Bytes => bytes::run(report),
            Self::Cloudflare => cloudflare::run(report),
            Self::Hit => hit::run(report),
            Self::Insert => insert::run(report),
            Self::Load => load::run(report),
            Self::Many => many::run(report),
        }
    }
}
