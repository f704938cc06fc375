//! Eviction policies of Larder, one file each.
//!
//! | kind | evicts | for |
//! |---|---|---|
//! | [`s3-fifo`](s3_fifo) | what was not asked for again soon | most caches; the default choice |
//! | [`sieve`] | what was not hit since the hand passed | web traffic; smallest and simplest |
//! | [`clock`] | what was not hit in the last round | a cheap LRU |
//! | [`lru`] | what was not hit for longest | strong recency |
//! | [`lfu`] | what was hit least | a stable set of popular keys |
//! | [`fifo`] | the oldest | entries that age all alike |
//! | [`ttl`] | what expires soonest | entries whose deadlines tell their worth |
//! | [`random`] | any | a baseline; loops a little larger than the cache |
//!
//! A policy of your own is a file like these, in any crate: a struct that implements
//! [`Policy`](larder_core::Policy), one that derives `Deserialize` and `JsonSchema` for its
//! options, and a `register!` line.

mod ghosts;
mod lists;
#[cfg(test)]
mod simulation;

pub mod clock;
pub mod fifo;
pub mod lfu;
pub mod lru;
pub mod random;
pub mod s3_fifo;
pub mod sieve;
pub mod ttl;

pub use clock::{CLOCK, ClockConfig};
pub use fifo::{FIFO, FifoConfig};
pub use lfu::{LFU, LfuConfig};
pub use lru::{LRU, LruConfig};
pub use random::{RANDOM, RandomConfig};
pub use s3_fifo::{S3_FIFO, S3FifoConfig};
pub use sieve::{SIEVE, SieveConfig};
pub use ttl::{TTL, TtlConfig};
