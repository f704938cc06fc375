//! [`Sketch`], how often keys were asked for lately, in eight bytes for each entry.
//!
//! A count-min sketch (Cormode and Muthukrishnan, 2005) of four-bit counters with the aging of
//! Einziger, Friedman and Manes, "TinyLFU: a highly efficient cache admission policy" (ACM
//! Transactions on Storage 13(4), 2017): after ten uses per entry all counters are halved. The
//! counters of a key lie in one block, so that asking costs one cache line.

/// How many uses per entry make the counters age.
const AGING_PERIOD: u64 = 10;
/// Words of a block: two for each row.
const BLOCK: usize = 8;
/// The four counters of a key, by their place in `words` and the number of bits to the right.
type Counters = [(usize, u32); 4];

/// Estimates of the uses of keys, from 0 to 15.
#[derive(Debug, Default)]
pub(crate) struct Sketch {
    /// Sixteen counters each.
    words: Vec<u64>,
    /// How many entries it is made for.
    entries: usize,
    /// Uses since the counters were halved.
    uses: u64,
}

impl Sketch {
    /// Makes room for a cache of so many entries. What is known stays.
    pub(crate) fn fit(&mut self, entries: usize) {
        if entries <= self.entries {
            return;
        }
        self.entries = entries;
        let wanted = entries.next_power_of_two().max(BLOCK);
        if self.words.is_empty() {
            self.words = vec![0; wanted];
        }
        // A key's block in a table of twice the size is the same one, or its copy.
        while self.words.len() < wanted {
            self.words.extend_from_within(..);
        }
    }

    /// Counts a use of a key.
    pub(crate) fn add(&mut self, hash: u64) {
        let mut counted = false;
        for (word, shift) in self.counters(hash) {
            if let Some(word) = self.words.get_mut(word)
                && (*word >> shift) & 15 < 15
            {
                *word += 1 << shift;
                counted = true;
            }
        }
        self.uses += u64::from(counted);
        if self.uses >= AGING_PERIOD * self.entries as u64 {
            self.age();
        }
    }

    /// How often a key was used lately; 15 is "or more often".
    pub(crate) fn estimate(&self, hash: u64) -> u8 {
        let counts = self.counters(hash).map(|(word, shift)| {
            // Four bits.
            self.words.get(word).map_or(0, |word| (word >> shift & 15) as u8)
        });
        counts.into_iter().min().unwrap_or(0)
    }

    /// Halves all counters. Costs a step per entry, after ten uses per entry.
    fn age(&mut self) {
        let mut odd = 0;
        for word in &mut self.words {
            odd += u64::from((*word & 0x1111_1111_1111_1111).count_ones());
            *word = *word >> 1 & 0x7777_7777_7777_7777;
        }
        // A use has raised four counters, and an odd counter has lost half of what it should keep.
        self.uses = (self.uses / 2).saturating_sub(odd / 8);
    }

    fn counters(&self, hash: u64) -> Counters {
        // The store has chosen the shard by some bits of the hash; mixing makes all bits matter.
        let mixed = (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = mixed ^ mixed >> 29;
        let blocks = self.words.len() / BLOCK;
        let block = (mixed as usize & blocks.saturating_sub(1)) * BLOCK;
        let mut bits = mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32;
        std::array::from_fn(|row| {
            let word = block + 2 * row + (bits & 1) as usize;
            let shift = (bits >> 1 & 15) as u32 * 4;
            bits >>= 8;
            (word, shift)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: u64) -> u64 {
        key.wrapping_mul(0xd6e8_feb8_6659_fd93)
    }

    #[test]
    fn estimates_are_never_too_low_and_seldom_too_high() {
        let mut sketch = Sketch::default();
        sketch.fit(1024);
        for key in 0..512 {
            for _ in 0..key % 12 {
                sketch.add(hash(key));
            }
        }
        let estimates = (0..512).map(|key| (u64::from(sketch.estimate(hash(key))), key % 12));
        let (low, high): (Vec<_>, Vec<_>) =
            estimates.clone().partition(|(estimate, uses)| estimate < uses);
        assert!(low.is_empty(), "{low:?}");
        let wrong = high.iter().filter(|(estimate, uses)| estimate > uses).count();
        assert!(wrong < 51, "{wrong} of 512 are too high");
    }

    #[test]
    fn counters_stop_and_age() {
        let mut sketch = Sketch::default();
        sketch.fit(8);
        for _ in 0..100 {
            sketch.add(hash(1));
        }
        assert_eq!(sketch.estimate(hash(1)), 15);
        for key in 2..70 {
            sketch.add(hash(key));
        }
        assert!(sketch.estimate(hash(1)) < 15);
    }

    #[test]
    fn a_sketch_that_grows_forgets_nothing() {
        let mut sketch = Sketch::default();
        sketch.fit(4);
        for _ in 0..5 {
            sketch.add(hash(1));
        }
        sketch.fit(100_000);
        assert_eq!(sketch.estimate(hash(1)), 5);
        assert_eq!(sketch.words.len(), 131_072);
    }
}
