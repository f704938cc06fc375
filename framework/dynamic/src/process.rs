//! Plugins in a process of their own: `isolation = "process"`.
//!
//! A program, `larder-runner`, loads the library with the same loader and the same checks, and
//! answers over a socket. Whatever becomes of it costs entries: the caches see a tier that is
//! down, and that comes back. There is no `unsafe` code in any of it.
//!
//! | module | what |
//! |---|---|
//! | [`wire`] | frames and messages, for both sides |
//! | `find` | where the runner is, and whether it may be run |
//! | `child` | a running one: its threads, what it says, its end |
//! | `link` | questions to it, and who waits for the answers |
//! | `silence` | when it counts as hung |
//! | `pause` | how long to wait before another one is started |
//! | `supervisor` | starts it, starts it again, ends it |
//! | `instance` | an instance of a component, made again in every new one |
//! | `source` | its components as [`Descriptor`](larder_core::Descriptor)s |
//! | `backend`, `codec` | the traits over it |
//!
//! Threads of its own serve each runner, and not the runtime of a caller: it outlives them all.
#![forbid(unsafe_code)]

mod backend;
mod child;
mod codec;
mod find;
mod instance;
mod link;
mod load;
mod pause;
mod refused;
mod silence;
mod source;
mod supervisor;
pub mod wire;

pub use crate::guest::clock::CallClock;
pub use crate::guest::transcode::{decode, encode};

pub(crate) use load::load;
