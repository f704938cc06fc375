//! Eviction policies of Larder, one file each.
//!
//! | kind | evicts | for |
//! |---|---|---|
//! | [`auto`] | as the best of several policies would | all caches; the default choice |
//! | [`s3-fifo`](s3_fifo) | what was not asked for again soon | most caches, at little cost |
//! | [`sieve`] | what was not hit since the hand passed | web traffic; smallest and simplest |
//! | [`clock-pro`](clock_pro) | what does not come back soon, as it learns | nearly all |
//! | [`clock`] | what was not hit in the last round | a cheap LRU |
//! | [`w-tinylfu`](w_tinylfu) | what was asked for less often | popular keys among many rare ones |
//! | [`tinylfu`] | nothing for a key that was asked for less often | loops, lasting popularity |
//! | [`lirs`] | what does not come back as soon as what stays | loops, scans, databases, disks |
//! | [`arc`] | by recency or frequency, whichever pays off | workloads that change |
//! | [`2q`](two_q) | what did not come back after it had left a queue | several uses in a row |
//! | [`slru`] | what was not hit for longest, first what never was | recency with scans |
//! | [`lru`] | what was not hit for longest | strong recency |
//! | [`lfu`] | what was hit least | a stable set of popular keys |
//! | [`gdsf`] | what was hit least for its weight | entries of very different weights |
//! | [`fifo`] | the oldest | entries that age all alike |
//! | [`ttl`] | what expires soonest | entries whose deadlines tell their worth |
//! | [`random`] | any | a baseline; loops a little larger than the cache |
//!
//! A policy of your own is a file like these, in any crate: a struct that implements
//! [`Policy`](larder_core::Policy), one that derives `Deserialize` and `JsonSchema` for its
//! options, and a `register!` line.

mod ghosts;
mod hill_climber;
mod history;
mod lists;
mod part;
mod queues;
#[cfg(test)]
mod simulation;
mod sketch;

pub mod arc;
pub mod auto;
pub mod clock;
pub mod clock_pro;
pub mod fifo;
pub mod gdsf;
pub mod lfu;
pub mod lirs;
pub mod lru;
pub mod random;
pub mod s3_fifo;
pub mod sieve;
pub mod slru;
pub mod tinylfu;
pub mod ttl;
pub mod two_q;
pub mod w_tinylfu;

pub use arc::{ARC, ArcConfig};
pub use auto::{AUTO, AutoConfig, Candidate};
pub use clock::{CLOCK, ClockConfig};
pub use clock_pro::{CLOCK_PRO, ClockProConfig};
pub use fifo::{FIFO, FifoConfig};
pub use gdsf::{GDSF, GdsfConfig};
pub use lfu::{LFU, LfuConfig};
pub use lirs::{LIRS, LirsConfig};
pub use lru::{LRU, LruConfig};
pub use random::{RANDOM, RandomConfig};
pub use s3_fifo::{S3_FIFO, S3FifoConfig};
pub use sieve::{SIEVE, SieveConfig};
pub use slru::{SLRU, SlruConfig};
pub use tinylfu::{TINYLFU, TinyLfuConfig};
pub use ttl::{TTL, TtlConfig};
pub use two_q::{TWO_Q, TwoQConfig};
pub use w_tinylfu::{W_TINYLFU, WTinyLfuConfig};
