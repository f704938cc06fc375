//! Plugins for Larder as a third party writes them: this crate depends on `larder-core` and on
//! nothing else of Larder.
//!
//! | slot | kind | what |
//! |---|---|---|
//! | policy | `acme.lru-k` | [`lru_k`]: evicts what was used for the K-th last time longest ago |
//! | backend | `acme.log` | [`log`]: one file that is appended to and compacted |
//! | serializer | `acme.terse` | [`terse`]: MessagePack in which listed names take two bytes |
//!
//! A program gets them by naming the crate: `use acme_cache as _;`. The config then knows their
//! kinds, options and mistakes like those of the plugins that come with Larder.

pub mod log;
pub mod lru_k;
pub mod terse;
