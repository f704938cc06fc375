//! [`Survey`], what has to be known about a trace before it is replayed.

use std::collections::HashMap;

use super::optimum::NextUses;
use super::progress::{Pace, Progress};
use super::trace::Trace;
use crate::exit::Failure;

/// How much there is in a trace. Takes some 30 bytes for each distinct key while it is made, and
/// afterwards 8 bytes for each request if the optimum is wished for, else nothing.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) requests: u64,
    /// The number of distinct keys.
    pub(crate) keys: u64,
    /// What the optimum needs; empty when it is not wished for.
    pub(crate) next_uses: NextUses,
}

impl Survey {
    /// Reads a trace to its end. One without any request is refused.
    pub(crate) fn of(
        trace: &Trace,
        has_optimum: bool,
        progress: &Progress,
    ) -> Result<Self, Failure> {
        let mut next_uses = NextUses::default();
        let mut last_uses: HashMap<u64, u64> = HashMap::new();
        let mut pace = Pace::new(progress);
        for key in trace.keys()? {
            let previous = last_uses.insert(key?, pace.steps());
            if has_optimum {
                next_uses.push(previous);
            }
            pace.step();
        }
        let requests = pace.steps();
        if requests == 0 {
            return Err(trace.empty());
        }
        Ok(Self { requests, keys: last_uses.len() as u64, next_uses })
    }
}
