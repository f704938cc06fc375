//! Where invalidators and replicators of libraries deliver.
//!
//! The framework makes no instances of these kinds yet, so no sink is open, and a number that
//! somebody has made up is refused.

use larder_abi::Status;
use larder_abi::value::{Invalidation, Mutation};

pub(super) unsafe extern "C" fn sink_invalidate(
    _sink: u64,
    _events: *const Invalidation,
    _n: usize,
) -> Status {
    Status::CLOSED
}

pub(super) unsafe extern "C" fn sink_lost_track(_sink: u64) -> Status {
    Status::CLOSED
}

pub(super) unsafe extern "C" fn sink_apply(
    _sink: u64,
    _mutations: *const Mutation,
    _n: usize,
) -> Status {
    Status::CLOSED
}
