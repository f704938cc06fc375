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
mod scale;

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
    /// What more threads bring.
    Scale,
}

/// How many threads work together in the cases that have several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Threads(pub(crate) Option<Vec<usize>>);

impl Threads {
    /// What was asked for, or one, two and as many as there are processors.
    fn or_some(&self) -> Vec<usize> {
        let mut counts = self.0.clone().unwrap_or_else(|| {
            let all = std::thread::available_parallelism().map_or(1, usize::from);
            vec![1, 2, all]
        });
        counts.sort_unstable();
        counts.dedup();
        counts
    }

    /// What was asked for, or this many.
    fn or(&self, count: usize) -> Vec<usize> {
        self.0.clone().unwrap_or_else(|| vec![count])
    }
}

impl Case {
    /// Every case, in the order in which they run.
    pub(crate) const ALL: [Self; 7] = [
        Self::Hit,
        Self::Load,
        Self::Insert,
        Self::Many,
        Self::Bytes,
        Self::Cloudflare,
        Self::Scale,
    ];

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
            Self::Scale => "scale",
        }
    }

    /// Measures it.
    pub(crate) fn run<W: Write>(
        self,
        report: &mut Report<W>,
        threads: &Threads,
    ) -> Result<(), Failure> {
        match self {
            Self::Bytes => bytes::run(report),
            Self::Cloudflare => cloudflare::run(report, &threads.or(8)),
            Self::Hit => hit::run(report, &threads.or_some()),
            Self::Insert => insert::run(report),
            Self::Load => load::run(report),
            Self::Many => many::run(report),
            Self::Scale => scale::run(report, &threads.or_some()),
        }
    }
}
