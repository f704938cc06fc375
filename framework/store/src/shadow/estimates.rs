//! [`Estimates`], what a store would have answered under other policies and with other capacities.

use larder_core::serde::Serialize;

/// What a store would answer under other policies and with other capacities, as a part of the
/// requests that ended with an entry: hits, and look-ups after which the key came in.
///
/// Estimated by small caches without values that see a sample of the keys (Waldspurger and others,
/// "Efficient MRC construction with SHARDS", FAST 2015, and "Cache modeling and optimization using
/// miniature simulations", ATC 2017). They know nothing of deadlines and removals.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(crate = "larder_core::serde")]
#[non_exhaustive]
pub struct Estimates {
    /// The part of the keys that is looked at.
    pub sampling: f64,
    /// How many requests were looked at so far.
    pub requests: u64,
    /// The policy in use.
    pub policy: String,
    /// The candidates at the present capacity.
    pub policies: Vec<PolicyEstimate>,
    /// The present policy at other capacities, smallest first.
    pub sizes: Vec<SizeEstimate>,
}

/// What a store would answer under a policy.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(crate = "larder_core::serde")]
#[non_exhaustive]
pub struct PolicyEstimate {
    /// The kind of the policy.
    pub policy: String,
    /// The part of the requests that it would answer.
    pub hit_ratio: f64,
}

/// What a store would answer with a capacity.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(crate = "larder_core::serde")]
#[non_exhaustive]
pub struct SizeEstimate {
    /// How many times the present capacity.
    pub factor: f64,
    /// Most entries then; `None` is no limit.
    pub entries: Option<u64>,
    /// Greatest sum of weights then; `None` is no limit.
    pub weight: Option<u64>,
    /// The part of the requests that it would answer.
    pub hit_ratio: f64,
}
