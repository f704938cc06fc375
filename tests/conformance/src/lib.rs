//! The contracts of Larder's plugins as tests: one line in a plugin's crate runs them all.
//!
//! ```
//! # use std::sync::Arc;
//! use larder_conformance::Place;
//! use larder_core::{Backend, Result};
//! # use larder_core::{Capabilities, Entry, async_trait};
//! # #[derive(Debug)]
//! # struct Nothing;
//! # #[async_trait]
//! # impl Backend for Nothing {
//! #     fn capabilities(&self) -> Capabilities {
//! #         Capabilities::empty()
//! #     }
//! #     async fn get(&self, _: &str) -> Result<Option<Entry>> {
//! #         Ok(None)
//! #     }
//! #     async fn set(&self, _: &str, _: Entry) -> Result<()> {
//! #         Ok(())
//! #     }
//! #     async fn delete(&self, _: &str) -> Result<bool> {
//! #         Ok(false)
//! #     }
//! #     async fn clear(&self) -> Result<()> {
//! #         Ok(())
//! #     }
//! # }
//!
//! // tests/conformance.rs of the plugin's crate
//! async fn open(place: Place) -> Result<Arc<dyn Backend>> {
//!     // Built from the plugin's config, in `place.dir()`, with `place.context()`.
//! #   let _ = place;
//! #   Ok(Arc::new(Nothing))
//! }
//!
//! larder_conformance::backend!(open);
//! # fn main() {}
//! ```
//!
//! | macro | for | what it is given |
//! |---|---|---|
//! | [`backend!`] | a [`Backend`] | an `async fn` that opens one in a [`Place`] |
//! | [`policy!`] | a [`Policy`] | a `fn` that makes its factory |
//! | [`serializer!`] | a [`Serializer`] | a `fn` that makes one, and what it carries |
//! | [`wrapper!`] | a [`Wrapper`] | a `fn` that makes one, and its role |
//! | [`plugin!`] | what a plugin says of itself | its [`Descriptor`] |
//!
//! Each contract is a test of its own, named after what must hold. Which ones matter follows from
//! the [`Capabilities`](larder_core::Capabilities) that the plugin declares: what is declared must
//! work, and what is not declared must say so. Where chance is involved the seed is printed, and
//! the variable `LARDER_SEED` runs it again.
//!
//! [`Backend`]: larder_core::Backend
//! [`Descriptor`]: larder_core::Descriptor
//! [`Policy`]: larder_core::Policy
//! [`Serializer`]: larder_core::Serializer
//! [`Wrapper`]: larder_core::Wrapper

#![expect(clippy::missing_panics_doc, reason = "a case panics when the contract is broken")]

pub mod backend;
mod must;
mod place;
pub mod plugin;
pub mod policy;
mod seed;
pub mod serializer;
pub mod wrapper;

pub use place::Place;
