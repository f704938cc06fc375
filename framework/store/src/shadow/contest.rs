//! [`Contest`], which decides from hits and misses of the candidates which one the store should
//! use.
//!
//! What happened is forgotten exponentially, over a span that grows with the age of the contest:
//! young contests decide soon, old ones are not led astray by an hour that is unlike all others. A
//! challenger must lead by a margin that makes a change worth its price, and by more than chance
//! explains: requests that both or neither of two candidates could answer say nothing, and of the
//! others each would answer about half if they were equally good, so that the lead would be within
//! a few times the square root of their number (a sign test).

/// The most candidates: what one request shows fits in a byte.
pub(crate) const MOST: usize = 8;
/// How many requests for each entry are remembered at least.
const SHORTEST: f64 = 8.0;
/// How many at most.
const LONGEST: f64 = 128.0;
/// Which part of all requests is remembered, as a divisor.
const PART: f64 = 4.0;
/// By what part of all requests a challenger must lead.
const MARGIN: f64 = 0.01;
/// By what part of all requests a candidate must lead that makes hits dearer, besides, when the
/// contest is old.
const PRICE: f64 = 0.01;
/// By how many standard deviations.
const CERTAINTY: f64 = 3.0;
/// How many requests a round has at least. Otherwise it has half as many as there are entries.
const SHORTEST_ROUND: f64 = 16.0;
/// For how many requests an entry nothing changes at first: policies that remember what is gone
/// have not learnt to know it yet.
const YOUTH: f64 = 6.0;
/// For how many requests an entry nothing changes after a change, at first.
const STAY: f64 = 2.0;
/// How much longer that is after each change.
const STUBBORNNESS: f64 = 1.5;
/// How much longer it can become.
const MOST_STUBBORN: f64 = 64.0;
/// How many requests an entry make good for one more `STAY` in full.
const CALM: f64 = 100.0;

/// Hits and misses of some candidates.
#[derive(Debug)]
pub(crate) struct Contest {
    /// Entries of a miniature: what spans are measured in.
    entries: f64,
    /// Whether a candidate wants to hear of each hit, which makes hits dearer.
    is_dear: Vec<bool>,
    chosen: usize,
    /// How often which candidates answered in the present round.
    round: [u32; 1 << MOST],
    in_round: u32,
    /// The same over all that is remembered.
    memory: Box<[f64; 1 << MOST]>,
    age: f64,
    /// Requests since the last change.
    unchanged: f64,
    stubbornness: f64,
}

impl Contest {
    /// A contest of candidates, each either dear or not, in miniatures of so many entries.
    pub(crate) fn new(is_dear: Vec<bool>, chosen: usize, entries: u64) -> Self {
        Self {
            entries: entries.max(1) as f64,
            is_dear,
            chosen,
            round: [0; 1 << MOST],
            in_round: 0,
            memory: Box::new([0.0; 1 << MOST]),
            age: 0.0,
            unchanged: f64::INFINITY,
            stubbornness: 1.0,
        }
    }

    /// The number of the candidate that the store should use.
    pub(crate) const fn chosen(&self) -> usize {
        self.chosen
    }

    /// Notes which candidates answered a request; bit `i` stands for candidate `i`. When that ended
    /// a round, by what all that was remembered before has to be multiplied.
    pub(crate) fn note(&mut self, answered: u8) -> Option<f64> {
        self.round[usize::from(answered)] += 1;
        self.in_round += 1;
        let is_over = f64::from(self.in_round) >= (self.entries / 2.0).max(SHORTEST_ROUND);
        is_over.then(|| self.end_round())
    }

    /// Forgets the present round, for example because the miniatures were not ready.
    pub(crate) fn void_round(&mut self) {
        self.round = [0; 1 << MOST];
        self.in_round = 0;
    }

    /// How many requests of those remembered a candidate answered.
    pub(crate) fn hits(&self, candidate: usize) -> f64 {
        self.sum(|answered| answered >> candidate & 1 == 1)
    }

    /// How many requests are remembered.
    pub(crate) fn requests(&self) -> f64 {
        self.sum(|_| true)
    }

    fn sum(&self, counts: impl Fn(usize) -> bool) -> f64 {
        let all = self.memory.iter().enumerate().take(1 << self.is_dear.len());
        all.filter(|(answered, _)| counts(*answered)).map(|(_, times)| times).sum()
    }

    fn end_round(&mut self) -> f64 {
        let length = f64::from(self.in_round);
        self.age += length;
        self.unchanged += length;
        self.stubbornness = (self.stubbornness - length / (CALM * self.entries)).max(1.0);
        let span = (self.age / PART).clamp(SHORTEST * self.entries, LONGEST * self.entries);
        let retention = (-length / span.max(4.0 * SHORTEST_ROUND)).exp();
        for (remembered, times) in self.memory.iter_mut().zip(&self.round) {
            *remembered = *remembered * retention + f64::from(*times);
        }
        self.void_round();
        let is_young = self.age < YOUTH * self.entries;
        if !is_young && self.unchanged > STAY * self.entries * self.stubbornness {
            self.decide();
        }
        retention
    }

    /// Hits, less what dear ones cost. In the beginning there are other cares than that.
    fn worth(&self, candidate: usize) -> f64 {
        if !self.is_dear[candidate] {
            return self.hits(candidate);
        }
        let maturity = (self.age / (LONGEST * self.entries)).min(1.0);
        self.hits(candidate) - PRICE * maturity * self.requests()
    }

    fn decide(&mut self) {
        let by_worth = |a: &usize, b: &usize| self.worth(*a).total_cmp(&self.worth(*b));
        let Some(best) = (0..self.is_dear.len()).max_by(by_worth) else {
            return;
        };
        let gain = self.worth(best) - self.worth(self.chosen);
        let lead = self.hits(best) - self.hits(self.chosen);
        let differ = |answered| (answered >> best ^ answered >> self.chosen) & 1 == 1;
        let chance = CERTAINTY * self.sum(differ).sqrt();
        if gain > MARGIN * self.requests() && lead > chance {
            self.chosen = best;
            self.unchanged = 0.0;
            self.stubbornness = (self.stubbornness * STUBBORNNESS).min(MOST_STUBBORN);
        }
    }
}
