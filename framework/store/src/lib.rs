//! The typed in-process store of Larder: index, slab, expiry, policy hooks.
//!
//! A [`Store`] keeps values of the application as they are. It knows no names, no tiers and no
//! loading; those belong to the `larder` crate. It is the only code that runs on a hit, so all
//! it does then is: hash, shared lock of one shard, find the slot, look at the clock if (and only
//! if) the entry has a life, note the hit in one byte, clone the value.
//!
//! | module | what |
//! |---|---|
//! | `store` | the public table: reads, writes, eviction, expiry, checks |
//! | `shard` | one lock and what it guards |
//! | `index` | hash to slot: buckets of one cache line with tags and slot numbers |
//! | `slab` | slots with stable numbers |
//! | `budget` | the capacity of the whole store |
//! | `records`, `recent`, `stripes` | hits for list policies, why a key is gone, hit counters |
//!
//! Which entry has to go is the work of a [`Policy`](larder_core::Policy) per shard, called under
//! that shard's lock and never on a hit, unless its
//! [`HitMode`](larder_core::HitMode) asks for it.

mod budget;
mod index;
mod options;
mod outcome;
mod recent;
mod records;
mod shard;
mod slab;
mod stats;
mod store;
mod stripes;

pub use options::{Insert, StoreOptions};
pub use outcome::{Full, Inserted, Lookup, MissCause, RemovalReason, Removed};
pub use stats::StoreStats;
pub use store::{Listener, Store};
