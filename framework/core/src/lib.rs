//! What a Larder plugin author reads.
//!
//! Larder builds named caches from a config file out of plugins. This crate holds everything a
//! plugin is made of and nothing else:
//!
//! | module | what |
//! |---|---|
//! | [`backend`], [`policy`], [`serializer`] | three extension traits |
//! | [`wrapper`], [`invalidator`], [`warmer`], [`replicator`] | four more |
//! | [`plugin`] | [`PluginConfig`]: one struct that is factory, schema and manual of a plugin |
//! | [`registry`] | how plugins are found: `inventory`, explicit, or a loaded table |
//! | [`entry`], [`envelope`] | an entry and how it looks in bytes |
//! | [`error`] | [`CacheError`], the one error |
//! | [`clock`], [`units`], [`key`] | time, typed strings of the config file, keys |
//!
//! # Writing a plugin
//!
//! Implement one of the traits, describe its options with a struct that derives `Deserialize` and
//! `JsonSchema`, implement [`PluginConfig`] for it, and end the file with
//! [`register!`](crate::register). The doc comments of the options struct become the reference
//! manual, the editor completion and the text of error messages.
//!
//! ```
//! use larder_core::policy::{Capacity, HitMode, Policy, SlotId, Slots};
//! use larder_core::{PolicyConfig, Registry, Slot, register};
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//!
//! /// Evicts the youngest entry: good for loops over more than fits.
//! #[derive(Debug, Default)]
//! pub struct Youngest(Vec<SlotId>);
//!
//! impl Policy for Youngest {
//!     fn hit_mode(&self) -> HitMode {
//!         HitMode::None
//!     }
//!
//!     fn on_insert(&mut self, slot: SlotId, _: &mut dyn Slots) {
//!         self.0.push(slot);
//!     }
//!
//!     fn on_remove(&mut self, slot: SlotId, _: bool, _: &mut dyn Slots) {
//!         self.0.retain(|other| *other != slot);
//!     }
//!
//!     fn victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
//!         self.0.iter().rev().copied().find(|slot| !slots.is_pinned(*slot))
//!     }
//!
//!     fn resize(&mut self, _: Capacity) {}
//!
//!     fn len(&self) -> usize {
//!         self.0.len()
//!     }
//! }
//!
//! /// No options.
//! #[derive(Debug, Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! pub struct YoungestConfig {}
//!
//! impl PolicyConfig for YoungestConfig {
//!     const KIND: &'static str = "acme.youngest";
//!     const SUMMARY: &'static str = "evicts the youngest entry";
//!     type Policy = Youngest;
//!
//!     fn build(&self, _: Capacity) -> Youngest {
//!         Youngest::default()
//!     }
//! }
//!
//! register!(policy: YoungestConfig);
//!
//! # fn main() {
//! assert!(Registry::linked().find(Slot::Policy, "acme.youngest").is_some());
//! # }
//! ```
//!
//! What this crate is *not*: it has no cache, reads no file and starts no task. Those live in
//! `larder`, `larder-config` and `larder-store`.

pub mod backend;
#[doc(hidden)]
pub mod barrier;
pub mod capabilities;
pub mod clock;
pub mod entry;
pub mod envelope;
pub mod error;
pub mod invalidator;
pub mod key;
pub mod library;
pub mod messagepack;
pub mod plugin;
pub mod policy;
pub mod problem;
pub mod registry;
pub mod replicator;
pub mod serializer;
pub mod stamp;
pub mod telemetry;
pub mod units;
pub mod warmer;
pub mod wrapper;

pub use async_trait::async_trait;
pub use backend::Backend;
pub use bytes::Bytes;
pub use capabilities::Capabilities;
pub use clock::{Clock, ManualClock, Moment, SystemClock, Timestamp};
pub use entry::{Entry, EntryMeta, Wrappers};
pub use error::{CacheError, ErrorKind, Result};
pub use invalidator::Invalidator;
pub use key::CacheKey;
pub use plugin::{
    BuildContext, Descriptor, PluginConfig, PolicyConfig, Resource, Slot, Tier, WrapperConfig,
};
pub use policy::{HitMode, Policy, PolicyFactory};
pub use problem::{KeyPath, Problem, Problems};
pub use registry::{Registry, RegistryConflict, Source};
pub use replicator::Replicator;
pub use serializer::Serializer;
pub use stamp::{Stamp, StampClock};
pub use units::{ByteSize, HumanDuration, Life, RefreshAhead, Secret, Share};
pub use warmer::Warmer;
pub use wrapper::{Role, WrapContext, Wrapper};

#[doc(hidden)]
pub use inventory as __inventory;
pub use {erased_serde, schemars, serde, serde_json};
