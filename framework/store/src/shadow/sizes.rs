//! [`Sizes`], miniatures of other capacities.

use larder_core::policy::{Capacity, PolicyFactory};

use super::estimates::SizeEstimate;
use super::miniature::Miniature;
use super::scaled;

/// What the present capacity is multiplied by.
const FACTORS: [f64; 4] = [0.25, 0.5, 2.0, 4.0];
/// The most entries that stand for the present capacity.
const MOST: u64 = 256;

/// One policy at some capacities.
#[derive(Debug)]
pub(crate) struct Sizes {
    capacity: Capacity,
    /// One key in `1 << bits` of those that the store samples is looked at.
    bits: u32,
    all: Vec<Size>,
}

#[derive(Debug)]
struct Size {
    factor: f64,
    miniature: Miniature,
    /// Misses of the present round.
    round: u32,
    /// Misses that are remembered.
    misses: f64,
}

impl Sizes {
    /// Miniatures of a store of this capacity, `entries` of which are in the sample.
    pub(crate) fn new(
        factory: &dyn PolicyFactory,
        capacity: Capacity,
        sampled_bits: u32,
        entries: u64,
        seed: u64,
    ) -> Self {
        let bits = (0..8).find(|bits| entries >> bits <= MOST).unwrap_or(8);
        let part = 0.5_f64.powi((sampled_bits + bits).cast_signed());
        let all = FACTORS.map(|factor| {
            let capacity = scaled(capacity, factor * part);
            let miniature = Miniature::new(factory.policy(capacity), capacity, seed);
            Size { factor, miniature, round: 0, misses: 0.0 }
        });
        Self { capacity, bits, all: all.into() }
    }

    /// Goes on with another policy.
    pub(crate) fn change(&mut self, factory: &dyn PolicyFactory) {
        for size in &mut self.all {
            size.miniature.change(factory.policy(size.miniature.capacity()));
        }
    }

    /// Shows a use of a key of the sample of the store. It is a request if it `counts`.
    pub(crate) fn access(&mut self, hash: u64, weight: u32, counts: bool) {
        if hash & ((1 << self.bits) - 1) != 0 {
            return;
        }
        for size in &mut self.all {
            let is_miss = !size.miniature.access(hash, weight);
            size.round += u32::from(is_miss && counts);
        }
    }

    /// Ends a round: `retention` is what remains of what was remembered before; `None` voids the
    /// round.
    pub(crate) fn end_round(&mut self, retention: Option<f64>) {
        for size in &mut self.all {
            if let Some(retention) = retention {
                size.misses = size.misses * retention + f64::from(size.round);
            }
            size.round = 0;
        }
    }

    /// The estimates, given how many requests of the sample of the store are remembered.
    pub(crate) fn estimates(&self, requests: f64) -> Vec<SizeEstimate> {
        let seen = requests * 0.5_f64.powi(self.bits.cast_signed());
        let all = self.all.iter().map(|size| {
            let Capacity { entries, weight } = scaled(self.capacity, size.factor);
            let hit_ratio = (1.0 - size.misses / seen.max(1.0)).clamp(0.0, 1.0);
            SizeEstimate { factor: size.factor, entries, weight, hit_ratio }
        });
        all.collect()
    }
}
