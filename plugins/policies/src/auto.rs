//! `auto`: tries several policies on a sample of the keys and uses the one that answers most.
//!
//! The store runs a miniature of itself for each candidate, after Waldspurger, Saemundsson, Ahmad
//! and Park, "Cache modeling and optimization using miniature simulations" (ATC 2017), and goes on
//! with another candidate when that one would answer clearly more. The entries stay. Until the
//! store is full for the first time nothing is tried, and a hit costs what it costs with `s3-fifo`.
//!
//! Not for stores whose deadlines or weights decide what an entry is worth: `ttl` and `gdsf` know
//! them, and are no candidates.

use std::sync::Arc;

use larder_core::policy::{Capacity, PolicyFactory};
use larder_core::{Descriptor, KeyPath, PolicyConfig, Problem, Problems, descriptor, register};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::lirs::LirsConfig;
use crate::lru::LruConfig;
use crate::s3_fifo::{S3Fifo, S3FifoConfig};
use crate::w_tinylfu::WTinyLfuConfig;

/// Options of `auto`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct AutoConfig {
    /// The policies to choose from, with their default options. The first one is used from when the
    /// cache is full until more is known; with more than 1,024 entries the first one that does not
    /// have to hear of every hit. Default: `lirs`, `clock-pro`, `w-tinylfu`, `lru`.
    pub candidates: Vec<Candidate>,
}

/// A policy that `auto` can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Candidate {
    /// [`arc`](crate::arc)
    Arc,
    /// [`clock`](crate::clock)
    Clock,
    /// [`clock-pro`](crate::clock_pro)
    ClockPro,
    /// [`fifo`](crate::fifo)
    Fifo,
    /// [`lfu`](crate::lfu)
    Lfu,
    /// [`lirs`](crate::lirs)
    Lirs,
    /// [`lru`](crate::lru)
    Lru,
    /// [`s3-fifo`](crate::s3_fifo)
    S3Fifo,
    /// [`sieve`](crate::sieve)
    Sieve,
    /// [`slru`](crate::slru)
    Slru,
    /// [`tinylfu`](crate::tinylfu)
    #[serde(rename = "tinylfu")]
    TinyLfu,
    /// [`2q`](crate::two_q)
    #[serde(rename = "2q")]
    TwoQ,
    /// [`w-tinylfu`](crate::w_tinylfu)
    #[serde(rename = "w-tinylfu")]
    WTinyLfu,
}

impl Candidate {
    fn factory(self) -> Arc<dyn PolicyFactory> {
        match self {
            Self::Arc => crate::ArcConfig::default().into_factory(),
            Self::Clock => crate::ClockConfig::default().into_factory(),
            Self::ClockPro => crate::ClockProConfig::default().into_factory(),
            Self::Fifo => crate::FifoConfig::default().into_factory(),
            Self::Lfu => crate::LfuConfig::default().into_factory(),
            Self::Lirs => LirsConfig::default().into_factory(),
            Self::Lru => LruConfig::default().into_factory(),
            Self::S3Fifo => S3FifoConfig::default().into_factory(),
            Self::Sieve => crate::SieveConfig::default().into_factory(),
            Self::Slru => crate::SlruConfig::default().into_factory(),
            Self::TinyLfu => crate::TinyLfuConfig::default().into_factory(),
            Self::TwoQ => crate::TwoQConfig::default().into_factory(),
            Self::WTinyLfu => WTinyLfuConfig::default().into_factory(),
        }
    }
}

/// The most candidates: each is run on the sample.
const MOST: usize = 8;

impl Default for AutoConfig {
    fn default() -> Self {
        use Candidate::{ClockPro, Lirs, Lru, WTinyLfu};
        Self { candidates: vec![Lirs, ClockPro, WTinyLfu, Lru] }
    }
}

impl PolicyConfig for AutoConfig {
    const KIND: &'static str = "auto";
    const SUMMARY: &'static str = "finds out which policy answers most and uses that one";
    type Policy = S3Fifo;

    fn validate(&self, at: &KeyPath) -> Result<(), Problems> {
        if (1..=MOST).contains(&self.candidates.len()) {
            return Ok(());
        }
        let message = format!("`{}` policies are not from 1 to {MOST}", self.candidates.len());
        let problem = Problem::new(at.join("candidates"), message);
        Err(problem.help("leave it out for a choice that suits most caches").into())
    }

    fn build(&self, capacity: Capacity) -> S3Fifo {
        S3FifoConfig::default().build(capacity)
    }

    fn candidates(&self) -> Vec<Arc<dyn PolicyFactory>> {
        self.candidates.iter().map(|candidate| candidate.factory()).collect()
    }
}

/// `auto` for explicit registration.
pub const AUTO: Descriptor = descriptor!(policy: AutoConfig);

register!(policy: AutoConfig);

#[cfg(test)]
mod tests {
    use larder_core::plugin::Factory;
    use larder_core::serde_json::json;

    use super::*;

    #[test]
    fn every_candidate_is_the_policy_of_its_name() {
        let names = [
            "2q",
            "arc",
            "clock",
            "clock-pro",
            "fifo",
            "lfu",
            "lirs",
            "lru",
            "s3-fifo",
            "sieve",
            "slru",
            "tinylfu",
            "w-tinylfu",
        ];
        let Factory::Policy(auto) = AUTO.factory else {
            panic!("`auto` is not a policy");
        };
        let auto = auto.build(json!({ "candidates": names })).expect("all are there");
        let kinds: Vec<_> = auto.candidates().iter().map(|one| one.kind()).collect();
        assert_eq!(kinds, names);
        assert_eq!(auto.kind(), "auto");
        let unknown = json!({ "candidates": ["ttl"] });
        assert!(AUTO.factory.config().check(&unknown, &KeyPath::root()).is_err());
    }

    #[test]
    fn a_choice_of_none_and_one_of_too_many_are_problems() {
        for (count, is_good) in [(0, false), (1, true), (8, true), (9, false)] {
            let config = AutoConfig { candidates: vec![Candidate::Lru; count] };
            assert_eq!(config.validate(&KeyPath::root()).is_ok(), is_good, "{count}");
        }
    }
}
