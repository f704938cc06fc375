//! Components of libraries as plugins of the framework: an adapter for each kind.
//!
//! | module | what |
//! |---|---|
//! | `args` | what a call is made with, borrowed or owned |
//! | `aside` | calls that nobody waits for |
//! | `output` | what a call puts out, taken over once |
//! | `failure` | errors of libraries as [`CacheError`](larder_core::CacheError) |
//! | `instance` | an instance, from create to destroy |
//! | `keeper` | an instance that is called, given up and made again |
//! | `load` | what a library registers |
//! | `source` | a component as a [`Descriptor`](larder_core::Descriptor) |
//! | `backend` and others | the traits |

pub(crate) mod args;
mod aside;
pub(crate) mod backend;
pub(crate) mod codec;
pub(crate) mod failure;
pub(crate) mod instance;
pub(crate) mod invalidator;
pub(crate) mod keeper;
mod load;
pub(crate) mod output;
pub(crate) mod policy;
pub(crate) mod replicator;
pub(crate) mod source;
pub(crate) mod warmer;

pub use source::descriptor;

#[cfg(test)]
mod tests;
