//! [`InProcess`], what a backend says that holds values of the application as they are.

use std::sync::Arc;

use crate::policy::{Capacity, PolicyFactory};

/// What to do with a new entry when there is no room.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    serde::Deserialize,
    serde::Serialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::exhaustive_enums, reason = "there is no third way")]
pub enum OnFull {
    /// Other entries make room, as the policy says.
    #[default]
    Evict,
    /// The new entry is refused with [`ErrorKind::Capacity`](crate::ErrorKind::Capacity).
    Reject,
}

/// Settings of a typed in-process store; see [`Backend::in_process`](super::Backend::in_process).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InProcess {
    /// How much the whole store may hold.
    pub capacity: Capacity,
    /// What happens when it is full.
    pub on_full: OnFull,
    /// Which entry has to go.
    pub policy: Arc<dyn PolicyFactory>,
    /// Number of shards; `None` derives it from the number of cores.
    pub shards: Option<usize>,
}

impl InProcess {
    /// A store of this capacity that evicts by this policy.
    #[must_use]
    pub fn new(capacity: Capacity, policy: Arc<dyn PolicyFactory>) -> Self {
        Self { capacity, on_full: OnFull::Evict, policy, shards: None }
    }

    /// Sets what happens when the store is full.
    #[must_use]
    pub const fn on_full(mut self, on_full: OnFull) -> Self {
        self.on_full = on_full;
        self
    }

    /// Sets the number of shards.
    #[must_use]
    pub const fn shards(mut self, shards: Option<usize>) -> Self {
        self.shards = shards;
        self
    }
}
