//! [`Panel`], the miniatures of a store and what they have shown.

use std::sync::Arc;

use larder_core::policy::{Capacity, PolicyFactory};

use super::contest::{self, Contest};
use super::estimates::{Estimates, PolicyEstimate};
use super::miniature::Miniature;
use super::notes::{Note, Use};
use super::scaled;
use super::sizes::Sizes;

/// The most entries of the sample.
const MOST: u64 = 1024;
/// The most bits by which the sample is thinned.
const MOST_BITS: u32 = 12;
/// How many requests for each entry the miniatures see before they rest.
const AWAKE: u64 = 32;
/// How many requests for each entry they see before they are believed.
const WARM_UP: u64 = 2;
/// One request in so many may be looked at for long.
const THIN: u64 = 384;

/// Miniatures of a store: each candidate at its capacity, and the present policy at others.
#[derive(Debug)]
pub(crate) struct Panel {
    candidates: Arc<[Arc<dyn PolicyFactory>]>,
    bits: u32,
    /// Entries of a miniature.
    entries: u64,
    rivals: Vec<Miniature>,
    contest: Contest,
    sizes: Sizes,
    /// Requests that were looked at.
    seen: u64,
    /// Requests that are still to be looked at before the miniatures are believed.
    warm_up: u64,
    awake: Awake,
    reality: Reality,
    average_weight: Average,
}

/// The average of what was seen lately.
#[derive(Debug, Default)]
struct Average {
    seen: u32,
    value: f64,
}

/// A store that is full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Full {
    pub(crate) capacity: Capacity,
    /// How many entries there are.
    pub(crate) entries: u64,
    /// How many hits there were so far.
    pub(crate) hits: u64,
}

/// How long the miniatures go on, and rest after that.
#[derive(Debug)]
struct Awake {
    /// Requests that are left.
    left: u64,
    /// How many times longer than this the next rest is.
    rest: u64,
}

/// How many requests the whole store had, in units of the sample.
#[derive(Debug, Default)]
struct Reality {
    /// Hits of the store when the round began.
    hits_before: u64,
    /// Sampled inserts of the round.
    inserts: u64,
    /// Sampled values of the round that were replaced. To ask only for those that the store does
    /// not have would favour the policies that it does not use.
    replaced: u64,
    /// Sampled requests of the round that were seen, and those that got lost.
    noted: u64,
    lost: u64,
    /// Requests that are remembered.
    requests: f64,
    /// Inserts that are remembered.
    misses: f64,
}

impl Panel {
    /// By how many bits of a hash the keys of a store with so many entries are sampled.
    pub(crate) fn bits_for(entries: u64) -> u32 {
        (0..MOST_BITS).find(|bits| entries >> bits <= MOST).unwrap_or(MOST_BITS)
    }

    /// Miniatures of a store that uses the candidate of the number `chosen`, or, if there is none
    /// yet, begins with one of them.
    pub(crate) fn new(
        candidates: Arc<[Arc<dyn PolicyFactory>]>,
        chosen: Option<usize>,
        Full { capacity, entries, hits }: Full,
        seed: u64,
    ) -> Self {
        let bits = Self::bits_for(entries);
        let entries = (entries >> bits).max(1);
        let small = scaled(capacity, 0.5_f64.powi(bits.cast_signed()));
        let rivals = candidates.iter().take(contest::MOST);
        let rivals = rivals.map(|one| Miniature::new(one.policy(small), small, seed));
        let rivals: Vec<_> = rivals.collect();
        let is_dear: Vec<bool> = rivals.iter().map(Miniature::is_dear).collect();
        let chosen = chosen.unwrap_or_else(|| first_choice(&is_dear, bits));
        let sizes = Sizes::new(&*candidates[chosen], capacity, bits, entries, seed);
        Self {
            contest: Contest::new(is_dear, chosen, entries),
            candidates,
            bits,
            entries,
            rivals,
            sizes,
            seen: 0,
            warm_up: 0,
            awake: Awake { left: AWAKE * entries, rest: 1 },
            reality: Reality { hits_before: hits, ..Reality::default() },
            average_weight: Average::default(),
        }
    }

    /// By how many bits of a hash the keys are sampled.
    pub(crate) const fn bits(&self) -> u32 {
        self.bits
    }

    /// The number of the candidate that the store should use.
    pub(crate) const fn choice(&self) -> usize {
        self.contest.chosen()
    }

    /// Shows an entry that was in the store when it became full.
    pub(crate) fn show(&mut self, hash: u64, weight: u32, was_hit: bool) {
        let hash = mixed(hash as u32);
        self.average_weight.note(weight);
        for _ in 0..=u8::from(was_hit) {
            self.sizes.access(hash, weight, false);
            for rival in &mut self.rivals {
                rival.access(hash, weight);
            }
        }
    }

    /// Learns from a use of a sampled key. `hits` are all hits of the store so far.
    pub(crate) fn note(&mut self, note: Note, hits: u64) {
        let hash = mixed(note.hash as u32);
        let weight = self.weight_of(note);
        self.sizes.access(hash, weight, true);
        let mut answered = 0_u8;
        for (number, rival) in self.rivals.iter_mut().enumerate() {
            answered |= u8::from(rival.access(hash, weight)) << number;
        }
        self.seen += 1;
        self.awake.left = self.awake.left.saturating_sub(1);
        self.reality.noted += 1;
        self.reality.inserts += u64::from(note.what == Use::Insert);
        self.reality.replaced += u64::from(note.what == Use::Replace);
        if self.warm_up > 0 {
            self.warm_up -= 1;
            if self.warm_up == 0 {
                self.reality.begin(hits);
                self.sizes.end_round(None);
            }
            return;
        }
        let before = self.choice();
        if let Some(retention) = self.contest.note(answered) {
            self.sizes.end_round(Some(retention));
            self.reality.end_round(hits, self.bits, retention);
            if self.choice() != before {
                self.awake.rest = (self.awake.rest / 4).max(1);
                self.sizes.change(&*self.candidates[self.choice()]);
            }
        }
    }

    /// The weight of an entry; the average one if it is not known.
    fn weight_of(&mut self, note: Note) -> u32 {
        if note.weight == 0 {
            return self.average_weight.value.round() as u32;
        }
        self.average_weight.note(note.weight);
        note.weight
    }

    /// So many sampled uses were not noted.
    pub(crate) fn lose(&mut self, count: u64) {
        self.reality.lost += count;
    }

    /// For how many sampled inserts the miniatures should rest, if it is time to. The rests become
    /// longer until only one request in some dozens is looked at on the average.
    pub(crate) fn rest(&mut self) -> Option<u64> {
        let longest = (THIN >> self.bits.min(63)).saturating_sub(1);
        if self.awake.left > 0 || longest == 0 {
            return None;
        }
        let requests = (self.awake.rest.min(longest) * AWAKE * self.entries) as f64;
        self.awake.rest = (2 * self.awake.rest).min(THIN);
        self.awake.left = AWAKE * self.entries;
        self.warm_up = WARM_UP * self.entries;
        self.contest.void_round();
        Some((requests * self.reality.miss_ratio()).ceil().max(1.0) as u64)
    }

    /// What the miniatures have shown so far.
    pub(crate) fn estimates(&self) -> Estimates {
        let requests = self.reality.requests;
        let misses = |number| self.contest.requests() - self.contest.hits(number);
        let ratio = |number| (1.0 - misses(number) / requests.max(1.0)).clamp(0.0, 1.0);
        let policies = self.candidates.iter().take(self.rivals.len()).enumerate();
        Estimates {
            sampling: 0.5_f64.powi(self.bits.cast_signed()),
            requests: self.seen,
            policy: self.candidates[self.choice()].kind().to_owned(),
            policies: policies
                .map(|(number, one)| PolicyEstimate {
                    policy: one.kind().to_owned(),
                    hit_ratio: ratio(number),
                })
                .collect(),
            sizes: self.sizes.estimates(requests),
        }
    }
}

/// The candidate to begin with. A store that is so large that not all keys are of the sample asks
/// those that make hits dear to prove first that they are worth it: it takes long to find out, and
/// until then every hit would pay.
fn first_choice(is_dear: &[bool], bits: u32) -> usize {
    let cheap = (bits > 0).then(|| is_dear.iter().position(|is_dear| !is_dear));
    cheap.flatten().unwrap_or(0)
}

impl Average {
    fn note(&mut self, value: u32) {
        self.seen = (self.seen + 1).min(256);
        self.value += (f64::from(value) - self.value) / f64::from(self.seen);
    }
}

impl Reality {
    fn begin(&mut self, hits: u64) {
        (self.hits_before, self.inserts, self.replaced) = (hits, 0, 0);
        (self.noted, self.lost) = (0, 0);
    }

    /// A sample of keys may lack the most popular ones, or have too many of them. They are hits
    /// with any policy; so hits are counted by the store, and only misses by the sample.
    fn end_round(&mut self, hits: u64, bits: u32, retention: f64) {
        let part = 0.5_f64.powi(bits.cast_signed());
        let kept = self.noted as f64 / (self.noted + self.lost).max(1) as f64;
        let hits_of_sample = hits.saturating_sub(self.hits_before) as f64 * part * kept;
        let requests = hits_of_sample + (self.inserts + self.replaced) as f64;
        self.requests = self.requests * retention + requests;
        self.misses = self.misses * retention + self.inserts as f64;
        self.begin(hits);
    }

    fn miss_ratio(&self) -> f64 {
        (self.misses / self.requests.max(1.0)).clamp(0.0, 1.0)
    }
}

/// A hash whose bits have nothing to do with those by which keys are sampled.
const fn mixed(hash: u32) -> u64 {
    let hash = (hash as u64 ^ 0x5851_f42d).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let hash = (hash ^ hash >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ hash >> 32
}
