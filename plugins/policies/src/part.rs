//! [`Part`], a share of the entries as a number of them.

/// A share of a number of entries. The number is kept until there are more or fewer entries, as it
/// is asked for with every eviction, when their number stays the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    share: f64,
    entries: usize,
    /// What the share of `entries` is, rounded to the number that the owner wants.
    part: usize,
}

impl Part {
    /// A share, of which nothing is worked out yet.
    pub(crate) const fn new(share: f64) -> Self {
        Self { share, entries: 0, part: 0 }
    }

    pub(crate) const fn share(&self) -> f64 {
        self.share
    }

    pub(crate) const fn set_share(&mut self, share: f64) {
        *self = Self::new(share);
    }

    /// The part of so many entries, as `round` makes it of their number and the share. None of no
    /// entries. `round` must be the same in every call.
    #[inline]
    pub(crate) fn of(&mut self, entries: usize, round: impl FnOnce(f64, f64) -> f64) -> usize {
        if entries != self.entries {
            self.entries = entries;
            self.part = round(entries as f64, self.share) as usize;
        }
        self.part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_follows_the_entries_and_the_share() {
        let mut part = Part::new(0.25);
        let of = |part: &mut Part, entries| part.of(entries, |entries, share| entries * share);
        assert_eq!([0, 8, 8, 20].map(|entries| of(&mut part, entries)), [0, 2, 2, 5]);
        part.set_share(0.5);
        assert_eq!((part.share(), of(&mut part, 20)), (0.5, 10));
    }
}
