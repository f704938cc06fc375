//! A tier of a cache, and when it is left alone.

use larder_core::{HumanDuration, Life};
use schemars::JsonSchema;
use serde::Deserialize;

use super::nodes::{BackendNode, PolicyNode, SerializerNode};

/// A tier of a cache.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TierSection {
    /// Where the entries are kept.
    #[schemars(extend("x-reload" = "rebuild"))]
    pub(crate) backend: Option<BackendNode>,
    /// Another named cache that serves as this tier, instead of a backend.
    pub(crate) cache: Option<String>,
    /// Which entry has to go when the tier is full.
    #[schemars(extend("x-reload" = "migrate", "x-aliases" = ["eviction", "eviction_policy"]))]
    pub(crate) policy: Option<PolicyNode>,
    /// How values become bytes in this tier; that of the cache when absent. What wraps the one of
    /// the cache wraps this one too, unless it names another wrapper or has it in `unset`.
    #[schemars(extend("x-reload" = "migrate"))]
    pub(crate) serializer: Option<SerializerNode>,
    /// How long entries live in this tier at most; as long as in the cache when absent.
    #[schemars(extend("x-reload" = "live"))]
    pub(crate) ttl: Option<Life>,
    /// The longest wait for one call of the tier, be it a read or a write. A tier that keeps bytes
    /// is skipped when it takes longer; the work on everything at once, such as clearing, has two
    /// seconds at least. Memory in front never waits.
    #[schemars(extend(
        "x-default" = "1s",
        "x-reload" = "live",
        "x-aliases" = ["call_timeout", "command_timeout", "hard_timeout"]
    ))]
    pub(crate) timeout: Option<HumanDuration>,
    /// The longest wait for a read while a stale value is at hand that can be served instead; the
    /// `timeout` when absent.
    #[schemars(extend("x-reload" = "live"))]
    pub(crate) soft_timeout: Option<HumanDuration>,
    /// When a tier that fails is left alone, so that nobody waits for it; `false` asks it every
    /// time.
    #[schemars(extend("x-default" = true, "x-reload" = "live", "x-aliases" = ["circuit_breaker"]))]
    pub(crate) breaker: Option<BreakerNode>,
    /// Inherited keys that are removed.
    pub(crate) unset: Vec<String>,
}

/// Whether there is a breaker, or when it opens.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum BreakerNode {
    /// `false` for none, `true` for the usual one.
    Is(bool),
    /// One with other limits.
    With(BreakerSection),
}

/// When a tier that fails is left alone. Failures and timeouts count alike.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BreakerSection {
    /// How many calls in a row have to fail. Half of the calls of ten seconds do as well, if there
    /// are twenty or more.
    #[schemars(extend("x-default" = 5, "minimum" = 1))]
    pub(crate) failures: Option<u32>,
    /// How long the tier is left alone at first; twice as long each time it still fails then.
    #[schemars(extend("x-default" = "1s"))]
    pub(crate) open_for: Option<HumanDuration>,
    /// How long it is left alone at most.
    #[schemars(extend("x-default" = "30s"))]
    pub(crate) max_open_for: Option<HumanDuration>,
}
