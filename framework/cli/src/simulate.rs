//! What `larder simulate` is made of: traces, the caches they are replayed through, the optimum
//! they are compared with, and how the answer is shown.

pub(crate) mod capacity;
pub(crate) mod contender;
mod frames;
pub(crate) mod optimum;
pub(crate) mod plot;
pub(crate) mod pool;
pub(crate) mod progress;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod survey;
pub(crate) mod trace;
