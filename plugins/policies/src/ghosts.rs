//! [`Ghosts`], a memory of keys that were evicted.
//!
//! A ghost is a fingerprint with its age, in a table of small sets that is overwritten in place:
//! five bytes a ghost, and no list. The price is that a set may forget a ghost a little early, that
//! ages are rounded, and that once in some thousand times a key is taken for another one.

/// Places of a set, and the bits of each.
const WAYS: usize = 8;
const BITS: u32 = u128::BITS / WAYS as u32;
/// The lowest bit of each place.
const LOWEST: u128 = u128::MAX / u16::MAX as u128;
/// Ages are rounded to about this part of what is remembered.
const PRECISION: usize = 1024;
/// The keys do not spread evenly over the sets, so there are more places than ghosts, by this part.
const SLACK: usize = 4;

/// Some ghosts, the newest in the lowest bits. So one that comes in pushes the oldest out, and all
/// are compared at once.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(32))]
struct Set {
    /// Fingerprints, 0 for none.
    prints: u128,
    /// When they were born, rounded.
    born: u128,
}

impl Set {
    const fn push(&mut self, print: u16, born: u16) {
        self.prints = self.prints << BITS | print as u128;
        self.born = self.born << BITS | born as u128;
    }

    /// Takes the newest ghost of a fingerprint out; when it was born.
    fn take(&mut self, print: u16) -> Option<u16> {
        let differences = self.prints ^ (LOWEST * u128::from(print));
        // The highest bit of the lowest place that is 0 stays; above it there may be mistakes.
        let zeros = differences.wrapping_sub(LOWEST) & !differences & LOWEST << (BITS - 1);
        if zeros == 0 {
            return None;
        }
        let shift = zeros.trailing_zeros() / BITS * BITS;
        let born = (self.born >> shift) as u16;
        let newer = (1 << shift) - 1;
        let close = |all: u128| all & newer | all >> BITS & !newer;
        (self.prints, self.born) = (close(self.prints), close(self.born));
        Some(born)
    }
}

/// The last so many evicted keys, each with a time of birth that its owner chooses.
#[derive(Debug, Default)]
pub(crate) struct Ghosts {
    sets: Box<[Set]>,
    /// How many keys the sets were made for.
    count: usize,
    /// How many of the last bits of a time are rounded away.
    rounding: u32,
    /// The time, which the owner makes pass.
    now: u32,
}

impl Ghosts {
    /// Makes room for the last `count` evictions. What is known is forgotten when the table must
    /// grow, which it does by an eighth at least, or is four times as large as it has to be.
    pub(crate) fn remember_last(&mut self, count: usize) {
        let count = count.max(1);
        if count > self.count || count < self.count / 4 {
            let grown = if count > self.count { self.count * 9 / 8 } else { 0 };
            self.count = count.max(grown);
            self.rounding = (self.count / PRECISION).checked_ilog2().unwrap_or(0).min(16);
            let places = self.count + self.count / SLACK;
            self.sets = vec![Set::default(); places.div_ceil(WAYS)].into();
        }
    }

    /// A key was evicted, and a unit of time passes. The last `count` such keys are remembered.
    pub(crate) fn remember(&mut self, hash: u64, count: usize) {
        self.remember_last(count);
        let born = self.tick();
        self.add(hash, born);
    }

    /// Whether a key was among the last that were evicted. Asking forgets it.
    pub(crate) fn recall(&mut self, hash: u64) -> bool {
        self.take(hash).is_some_and(|age| (age as usize) < self.count)
    }

    /// What time it is. Differences count, as the clock goes round.
    pub(crate) const fn now(&self) -> u32 {
        self.now
    }

    /// A unit of time passes. Returns the time it is then.
    pub(crate) const fn tick(&mut self) -> u32 {
        self.now = self.now.wrapping_add(1);
        self.now
    }

    /// A key was evicted that counts as born then.
    pub(crate) fn add(&mut self, hash: u64, born: u32) {
        let born = self.rounded(born);
        let (print, set) = self.find(hash);
        if let Some(set) = set {
            set.push(print, born);
        }
    }

    /// How old a key is that was evicted lately. Asking forgets it, for the key is about to come
    /// back.
    pub(crate) fn take(&mut self, hash: u64) -> Option<u32> {
        let (now, rounding) = (self.rounded(self.now), self.rounding);
        let (print, set) = self.find(hash);
        let born = set?.take(print)?;
        Some(u32::from(now.wrapping_sub(born)) << rounding)
    }

    /// A time without the bits that are rounded away and without those that do not fit.
    const fn rounded(&self, time: u32) -> u16 {
        (time >> self.rounding) as u16
    }

    /// The fingerprint of a key and its set, if there is a table.
    fn find(&mut self, hash: u64) -> (u16, Option<&mut Set>) {
        // The store has chosen the shard by some bits of the hash; mixing makes all bits matter.
        let mixed = (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let print = (mixed >> 16) as u16;
        let at = ((mixed >> 32) * self.sets.len() as u64) >> 32;
        (print.max(1), self.sets.get_mut(at as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: u64) -> u64 {
        key.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(20)
    }

    #[test]
    fn a_ghost_is_known_once_with_its_age() {
        let mut ghosts = Ghosts::default();
        ghosts.add(hash(1), 0);
        assert_eq!(ghosts.take(hash(1)), None, "there is no room yet");
        ghosts.remember_last(8);
        ghosts.add(hash(1), ghosts.now());
        ghosts.tick();
        ghosts.tick();
        assert_eq!(ghosts.take(hash(1)), Some(2));
        assert_eq!(ghosts.take(hash(1)), None);
    }

    #[test]
    fn nearly_all_of_the_last_ghosts_are_known_and_hardly_any_older_ones() {
        let mut ghosts = Ghosts::default();
        ghosts.remember_last(10_000);
        for key in 0..50_000 {
            let born = ghosts.tick();
            ghosts.add(hash(key), born);
        }
        let mut known = |keys: std::ops::Range<u64>| {
            keys.filter(|key| ghosts.take(hash(*key)).is_some()).count()
        };
        let last = known(40_000..50_000);
        assert!(last > 9_000, "{last} of 10000");
        let older = known(0..25_000);
        assert!(older < 500, "{older} of 25000");
    }

    #[test]
    fn ages_are_right_after_the_clock_went_round() {
        let mut ghosts = Ghosts { now: u32::MAX, ..Ghosts::default() };
        ghosts.remember_last(8);
        ghosts.add(hash(1), ghosts.now());
        ghosts.tick();
        ghosts.tick();
        assert_eq!(ghosts.take(hash(1)), Some(2));
    }

    #[test]
    fn a_set_keeps_the_last_ghosts_in_their_order() {
        let mut set = Set::default();
        for print in 1..=10 {
            set.push(print, 100 + print);
        }
        assert_eq!((set.take(2), set.take(11)), (None, None));
        assert_eq!((set.take(5), set.take(10), set.take(3)), (Some(105), Some(110), Some(103)));
        for print in 11..=14 {
            set.push(print, 100 + print);
        }
        let known: Vec<u16> = (1..20).filter_map(|print| set.take(print)).collect();
        assert_eq!(known, [106, 107, 108, 109, 111, 112, 113, 114]);
        assert_eq!(set.prints, 0);
    }

    #[test]
    fn a_table_takes_five_bytes_for_each_ghost() {
        let mut ghosts = Ghosts::default();
        ghosts.remember_last(100_000);
        assert_eq!(size_of_val(&*ghosts.sets), 500_000);
        ghosts.remember_last(20_000);
        assert_eq!(size_of_val(&*ghosts.sets), 100_000);
    }
}
