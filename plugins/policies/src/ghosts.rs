//! [`Ghosts`], a memory of keys that were evicted.
//!
//! A ghost is a fingerprint with its age, in a table of small sets that is overwritten in place:
//! four bytes a ghost, and no list. The price is that a set may forget a ghost a little early, that
//! ages are rounded, and that once in some thousand times a key is taken for another one.

/// Places of a set: as many as fit into half a cache line.
const WAYS: usize = 8;
/// Ages are rounded to about this part of what is remembered.
const PRECISION: usize = 256;
/// The keys do not spread evenly over the sets, so there are more places than ghosts, by this part.
const SLACK: usize = 4;

#[derive(Clone, Copy, Debug, Default)]
struct Ghost {
    /// 0 for none.
    print: u16,
    /// When it was born, rounded.
    born: u16,
}

#[derive(Clone, Copy, Debug, Default)]
#[repr(align(32))]
struct Set([Ghost; WAYS]);

/// The last so many evicted keys, each with a time of birth that its owner chooses.
#[derive(Debug, Default)]
pub(crate) struct Ghosts {
    sets: Box<[Set]>,
    /// How many keys the sets were made for.
    count: usize,
    /// The time, which the owner makes pass.
    now: u32,
}

impl Ghosts {
    /// Makes room for the last `count` evictions. What is known is forgotten when the table must
    /// grow, which it does by an eighth at least.
    pub(crate) fn remember_last(&mut self, count: usize) {
        let count = count.max(1);
        if count > self.count {
            self.count = if self.count == 0 { count } else { count.max(self.count * 9 / 8) };
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
        let now = self.rounded(self.now);
        let born = self.rounded(born);
        let (print, set) = self.find(hash);
        let Some(set) = set else {
            return;
        };
        let age = |ghost: &Ghost| match ghost.print {
            0 => u32::MAX,
            _ => u32::from(now.wrapping_sub(ghost.born)),
        };
        let same = set.iter().position(|ghost| ghost.print == print);
        let oldest = || (0..WAYS).max_by_key(|way| age(&set[*way])).unwrap_or(0);
        let way = same.unwrap_or_else(oldest);
        set[way] = Ghost { print, born };
    }

    /// How old a key is that was evicted lately. Asking forgets it, for the key is about to come
    /// back.
    pub(crate) fn take(&mut self, hash: u64) -> Option<u32> {
        let (now, rounding) = (self.rounded(self.now), self.rounding());
        let (print, set) = self.find(hash);
        let ghost = set?.iter_mut().find(|ghost| ghost.print == print)?;
        let ghost = std::mem::take(ghost);
        Some(u32::from(now.wrapping_sub(ghost.born)) << rounding)
    }

    /// How many of the last bits of a time are rounded away.
    fn rounding(&self) -> u32 {
        (self.count / PRECISION).checked_ilog2().unwrap_or(0).min(16)
    }

    /// A time without the bits that are rounded away and without those that do not fit.
    fn rounded(&self, time: u32) -> u16 {
        (time >> self.rounding()) as u16
    }

    /// The fingerprint of a key and its set, if there is a table.
    fn find(&mut self, hash: u64) -> (u16, Option<&mut [Ghost; WAYS]>) {
        // The store has chosen the shard by some bits of the hash; mixing makes all bits matter.
        let mixed = (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let print = (mixed >> 16) as u16;
        let at = ((mixed >> 32) * self.sets.len() as u64) >> 32;
        (print.max(1), self.sets.get_mut(at as usize).map(|set| &mut set.0))
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
    fn a_table_takes_five_bytes_for_each_ghost() {
        let mut ghosts = Ghosts::default();
        ghosts.remember_last(100_000);
        assert_eq!(size_of_val(&*ghosts.sets), 500_000);
    }
}
