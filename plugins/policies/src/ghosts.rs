//! [`Ghosts`], a memory of keys that were evicted.
//!
//! A ghost is a fingerprint with its age, in a table of small sets that is overwritten in place:
//! eight bytes a ghost, and no list. The price is that a set may forget a ghost a little early,
//! and that once in a great while a key is taken for another one.

/// Places of a set.
const WAYS: usize = 4;

#[derive(Clone, Copy, Debug, Default)]
struct Ghost {
    /// 0 for none.
    print: u32,
    /// The number of the eviction.
    born: u32,
}

/// The last so many evicted keys.
#[derive(Debug, Default)]
pub(crate) struct Ghosts {
    sets: Vec<[Ghost; WAYS]>,
    /// How many evictions ago a ghost is forgotten.
    life: u32,
    evictions: u32,
}

impl Ghosts {
    /// Makes room for the last `count` evictions. What is known is forgotten when the table must
    /// grow, which happens as often as a vector that doubles.
    pub(crate) fn remember_last(&mut self, count: usize) {
        let count = count.max(1);
        self.life = u32::try_from(count).unwrap_or(u32::MAX / 2);
        let wanted = count.div_ceil(WAYS).next_power_of_two();
        if wanted > self.sets.len() {
            self.sets = vec![[Ghost::default(); WAYS]; wanted];
        }
    }

    /// A key was evicted.
    pub(crate) fn add(&mut self, hash: u64) {
        if self.sets.is_empty() {
            return;
        }
        self.evictions = self.evictions.wrapping_add(1);
        let now = self.evictions;
        let set = self.set(hash);
        let age = |ghost: &Ghost| {
            if ghost.print == 0 { u32::MAX } else { now.wrapping_sub(ghost.born) }
        };
        let print = print_of(hash);
        let same = set.iter().position(|ghost| ghost.print == print);
        let oldest = || (0..WAYS).max_by_key(|way| age(&set[*way])).unwrap_or(0);
        let way = same.unwrap_or_else(oldest);
        set[way] = Ghost { print, born: now };
    }

    /// Whether a key was evicted lately. Asking forgets it, for the key is about to come back.
    pub(crate) fn take(&mut self, hash: u64) -> bool {
        if self.sets.is_empty() {
            return false;
        }
        let (now, life) = (self.evictions, self.life);
        let set = self.set(hash);
        let Some(ghost) = set.iter_mut().find(|ghost| ghost.print == print_of(hash)) else {
            return false;
        };
        let ghost = std::mem::take(ghost);
        now.wrapping_sub(ghost.born) < life
    }

    fn set(&mut self, hash: u64) -> &mut [Ghost; WAYS] {
        let at = (hash >> 8) as usize & (self.sets.len() - 1);
        &mut self.sets[at]
    }
}

/// Bits that do not choose the set of all but enormous tables.
const fn print_of(hash: u64) -> u32 {
    (hash >> 32) as u32 | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ghost_is_known_once_and_for_a_while() {
        let hash = |key: u64| key.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(20);
        let mut ghosts = Ghosts::default();
        assert!(!ghosts.take(hash(1)));
        ghosts.remember_last(8);
        ghosts.add(hash(1));
        assert!(ghosts.take(hash(1)));
        assert!(!ghosts.take(hash(1)));
        ghosts.add(hash(2));
        for key in 3..11 {
            ghosts.add(hash(key));
        }
        assert!(!ghosts.take(hash(2)), "older than the last eight");
        assert!(ghosts.take(hash(10)));
    }
}
