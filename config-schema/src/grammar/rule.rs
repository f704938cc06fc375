//! A rule: other values of a cache for some of its keys.

use larder_core::{ByteSize, HumanDuration, Life, RefreshAhead, Share};
use schemars::JsonSchema;

use super::ResilienceSection;
use super::nodes::Globs;

/// Other values for some keys of a cache.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "laid over the options of the cache before those are decoded")]
pub(crate) struct RuleSection {
    /// Which keys: a glob of their text, or several. `*` is any number of characters, `?` exactly
    /// one, every other character itself.
    #[schemars(extend("x-aliases" = ["glob", "key", "keys", "pattern", "patterns"]))]
    r#match: Globs,
    /// How long these entries live from the time they are written.
    #[schemars(extend("x-reload" = "live"))]
    ttl: Option<Life>,
    /// How long one of these entries lives that nobody reads.
    #[schemars(extend("x-reload" = "live"))]
    idle_ttl: Option<Life>,
    /// By how much of the ttl expiry is spread, up and down.
    #[schemars(extend("x-reload" = "live"))]
    ttl_jitter: Option<Share>,
    /// How long it is remembered that a load found nothing; with `0s` not at all.
    #[schemars(extend("x-reload" = "live"))]
    negative_ttl: Option<HumanDuration>,
    /// After which share of its ttl an entry that `get_or_load` finds is loaded again in the
    /// background.
    #[schemars(extend("x-reload" = "live"))]
    refresh_ahead: Option<RefreshAhead>,
    /// The greatest serialized value that is taken.
    #[schemars(extend("x-reload" = "live"))]
    max_value_size: Option<ByteSize>,
    /// What to do when loading is slow or fails; what is left out is as in the cache.
    resilience: Option<ResilienceSection>,
}
