//! The typed in-process store of Larder: index, slots, expiry, policy hooks.
//!
//! A [`Store`] keeps values of the application as they are. It knows no names, no tiers and no
//! loading; those belong to the `larder` crate. It is the only code that runs on a hit, so all
//! it does then is: hash, say that this thread reads, find the slot, look at the clock if (and only
//! if) the entry has a life, note the hit in one byte, clone the value. No lock is taken and no
//! locked instruction runs.
//!
//! | module | what |
//! |---|---|
//! | `store` | the public table: reads, writes, eviction, expiry, checks |
//! | `shard`, `books` | what readers look into, and what only writers need, under their lock |
//! | `columns` | what policies may ask for |
//! | `index` | hash to slot: buckets of one cache line with tags and slot numbers |
//! | `keep` | how a slot keeps a value, and two kinds of them without a tag |
//! | `slot`, `life`, `age`, `chunks` | the place of an entry, its life, arrays that never move |
//! | `ids` | the numbers by which policies know entries |
//! | `threads`, `epoch`, `barrier`, `grace` | who reads, and when what left can be seen no more |
//! | `budget` | the capacity of the whole store |
//! | `outbox` | entries that a listener must hear of |
//! | `shadow` | what other policies and sizes would answer; `handover`, a change of policy |
//! | `records`, `recent`, `stripes` | hits for list policies, why a key is gone, hit counters |
//!
//! Which entry has to go is the work of a [`Policy`](larder_core::Policy) per shard, called under
//! that shard's lock and never on a hit, unless its
//! [`HitMode`](larder_core::HitMode) asks for it.
//!
//! All unsafe code is in `index`, `chunks`, `slot`, `keep`, `life`, `shard`, `barrier` and
//! `prefetch`. It
//! rests on one rule: **a slot number that comes out of the index within a read (a `Guard` of
//! `threads`) or under the lock leads to an entry that stays until both are over.**

mod age;
mod books;
mod budget;
mod chunks;
mod columns;
mod epoch;
mod grace;
mod handover;
mod ids;
mod index;
mod keep;
mod life;
mod options;
mod outbox;
mod outcome;
mod prefetch;
mod recent;
mod records;
mod shadow;
mod shard;
mod slot;
mod stats;
mod store;
mod stripes;
mod sync;
mod threads;

pub use age::{Age, NewAge};
pub use keep::{Held, Keep, Seen, Split, Untagged, Whole};
pub use options::{Insert, StoreOptions};
pub use outcome::{Full, Inserted, Lookup, MissCause, RemovalReason, Removed};
pub use shadow::{Estimates, PolicyEstimate, SizeEstimate};
pub use stats::StoreStats;
pub use store::{Listener, Span, Store};
