//! Replays a trace through a cache as an application would use it.

use larder::Blocking;

use super::progress::{Pace, Progress};
use super::trace::Trace;
use crate::exit::Failure;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replayed {
    pub(crate) hits: u64,
    pub(crate) requests: u64,
}

/// Asks a cache for every key of a trace and stores those that it misses.
pub(crate) fn through(
    cache: &Blocking<u64, ()>,
    trace: &Trace,
    progress: &Progress,
) -> Result<Replayed, Failure> {
    let mut pace = Pace::new(progress);
    let mut hits = 0;
    for key in trace.keys()? {
        let key = key?;
        if cache.get(&key)?.is_some() {
            hits += 1;
        } else {
            cache.set(&key, ())?;
        }
        pace.step();
    }
    Ok(Replayed { hits, requests: pace.steps() })
}
