//! Entries on the disk: our file backend next to `cacache` and, through a real Python, `diskcache`.

use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::{env, fs};

use tempfile::TempDir;

use crate::Failure;
use crate::harness::{Round, Rounds, nanos_each};
use crate::report::{Report, Row, Unit};

mod children;
mod collect;
mod diskcache;
mod sides;

pub(crate) use children::{WORD as CHILD, run as run_child};
use sides::{Cacache, Ours, OursAsync, Side};

/// What to measure with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// How many entries the directory of the idle process has.
    pub(crate) entries: u64,
    /// Where the directories of the sides are made.
    pub(crate) dir: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { entries: 1_000_000, dir: None }
    }
}

/// What a side does with keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Delete,
    GetMany,
    Hit,
    Overwrite,
    Set,
    SetMany,
}

impl Operation {
    /// In the order in which they run: what `Set` stored, `Delete` removes.
    const ALL: [Self; 6] =
        [Self::Hit, Self::GetMany, Self::Overwrite, Self::SetMany, Self::Set, Self::Delete];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::GetMany => "get_many",
            Self::Hit => "hit",
            Self::Overwrite => "overwrite",
            Self::Set => "set",
            Self::SetMany => "set_many",
        }
    }

    /// The keys of a round. New ones for `Set`, which `Delete` gets in the same order.
    fn keys(self, round: u64) -> Range<u64> {
        let first = match self {
            Self::Delete | Self::Set => (round + 1) * KEYS,
            _ => 0,
        };
        first..first + KEYS
    }
}

/// Measures everything about files. Writes up to some gigabytes, and removes them.
pub(crate) fn run<W: Write>(report: &mut Report<W>, options: &Options) -> Result<(), Failure> {
    let root = match &options.dir {
        Some(dir) => dir.clone(),
        None => target_folder()?,
    };
    fs::create_dir_all(&root)?;
    let scratch = tempfile::Builder::new().prefix("larder-bench-").tempdir_in(root)?;
    operations(report, &scratch)?;
    collect::run(report, &scratch.path().join("collect"))?;
    children::writers(report, &scratch.path().join("writers"))?;
    children::idle(report, scratch.path(), options.entries)
}

fn operations<W: Write>(report: &mut Report<W>, scratch: &TempDir) -> Result<(), Failure> {
    let below = |name: &str| scratch.path().join(name);
    let mut sides: Vec<Box<dyn Side>> = vec![
        Box::new(Ours::open(&below("ours"))?),
        Box::new(OursAsync::open(&below("ours-async"))?),
        Box::new(Cacache::open(&below("cacache"))),
    ];
    match diskcache::Diskcache::start(&below("diskcache"), &target_folder()?) {
        Ok(side) => sides.push(Box::new(side)),
        Err(reason) => eprintln!("no rows of diskcache: {reason}"),
    }
    for side in &mut sides {
        side.run(Operation::Set, Operation::Hit.keys(0))?;
    }
    for operation in Operation::ALL {
        let names = ["larder", "larder async", "cacache", "diskcache"];
        let mut rounds = Rounds::of(names.into_iter().take(sides.len()));
        let mut timed: Vec<Round<'_>> =
            sides.iter_mut().map(|side| round(&mut **side, operation)).collect();
        rounds.run(ROUNDS, &mut timed);
        let case = format!("file {} 1KiB", operation.name());
        for comparison in rounds.comparisons() {
            report.add(&Row::of_comparison(
                case.clone(),
                Unit::Nanos,
                rounds.ours(),
                comparison,
            ))?;
        }
    }
    Ok(())
}

/// One round after another of an operation of a side.
fn round(side: &mut dyn Side, operation: Operation) -> Round<'_> {
    let mut number = 0;
    Box::new(move || {
        let time = side.run(operation, operation.keys(number));
        number += 1;
        let time = time.expect("an open cache does all that a benchmark asks for");
        nanos_each(time, usize::try_from(KEYS).expect("there are some thousand keys"))
    })
}

/// The folder in which this program was built.
fn target_folder() -> Result<PathBuf, Failure> {
    let program = env::current_exe()?;
    let folder = program.parent().and_then(Path::parent);
    Ok(folder.ok_or("the program is in no folder")?.to_owned())
}

const KEYS: u64 = 2048;
const ROUNDS: usize = 7;

/// How many keys a call has that takes many.
const BATCH: usize = 64;

fn key(number: u64) -> String {
    format!("user:{number}")
}

/// A value of 1 KiB that tells whose it is.
fn value(number: u64) -> String {
    format!("{number:016x}").repeat(64)
}
