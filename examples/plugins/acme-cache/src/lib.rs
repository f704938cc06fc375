//! Plugins for Larder as a third party writes them: this crate depends on `larder-core` and on
//! nothing else of Larder.
//!
//! | slot | kind | what |
//! |---|---|---|
//! | policy | `acme.lru-k` | [`lru_k`]: evicts what was used for the K-th last time longest ago |
//! | backend | `acme.log` | [`log`]: one file that is appended to and compacted |
//!
//! A program gets both by naming the crate: `use acme_cache as _;`. The config then knows their
//! kinds, options and mistakes like those of the plugins that come with Larder.

pub mod log;
pub mod lru_k;
