//! [`Index`], from the hash of a key to the number of its slot.
//!
//! A bucket is one cache line with twelve one-byte tags and twelve slot numbers, so a look-up
//! touches one line here and one in the slab; tables with control bytes apart touch two here. An
//! entry that finds its bucket full goes to the next one, and every bucket it passed counts it, so
//! that a look-up knows where to stop and removals leave nothing behind. This is the idea of
//! Folly's F14 ("Open-sourcing F14 for faster, more memory-efficient hash tables", 2019).

/// Places in a bucket.
const LANES: usize = 12;
/// How many buckets an empty table keeps.
const KEPT_EMPTY: usize = 8;
/// The number of no slot.
const NOWHERE: u32 = u32::MAX;
/// The tag of an empty place.
const EMPTY: u8 = 0;

#[derive(Clone)]
#[repr(align(64))]
struct Bucket {
    /// Tags of places 0 to 7, one byte each.
    low: u64,
    /// Tags of places 8 to 11.
    high: u32,
    /// How many entries passed this bucket because it was full.
    overflow: u32,
    tokens: [u32; LANES],
}

/// A one in every byte.
const ONES: u64 = 0x0101_0101_0101_0101;

/// The places of a bucket whose tag was found: bit 7 of byte `n` is place `n`, bit 3 of byte `n`
/// is place `8 + n`. Keeping both in one word saves a branch that nobody can predict.
///
/// A place above a true one may be there by mistake (the borrow of the subtraction), so whoever
/// takes any but the first must compare.
struct Places(u64);

impl Iterator for Places {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some((bit >> 3) + (((bit & 4) ^ 4) << 1))
    }
}

/// Bit 7 of every byte that is 0.
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & (ONES << 7)
}

impl Bucket {
    const NEW: Self = Self { low: 0, high: 0, overflow: 0, tokens: [NOWHERE; LANES] };

    #[inline]
    fn places(&self, tag: u8) -> Places {
        let pattern = ONES * u64::from(tag);
        let low = zero_bytes(self.low ^ pattern);
        // The upper half is filled with bytes that match nothing, not even after a borrow.
        let high = zero_bytes((u64::from(self.high) ^ (pattern >> 32)) | (!0 << 32));
        Places(low | (high >> 4))
    }

    /// The tag of a place.
    const fn tag(&self, place: usize) -> u8 {
        if place < 8 {
            (self.low >> (place * 8)) as u8
        } else {
            (self.high >> ((place - 8) * 8)) as u8
        }
    }

    fn set(&mut self, place: usize, tag: u8, token: u32) {
        if place < 8 {
            let shift = place * 8;
            self.low = self.low & !(0xff << shift) | u64::from(tag) << shift;
        } else {
            let shift = (place - 8) * 8;
            self.high = self.high & !(0xff << shift) | u32::from(tag) << shift;
        }
        self.tokens[place] = token;
    }
}

/// Eight bits of the hash that take no part in the choice of the bucket; never [`EMPTY`].
#[inline]
const fn tag_of(hash: u64) -> u8 {
    let tag = hash as u8;
    if tag == EMPTY { 1 } else { tag }
}

pub(crate) struct Index {
    /// Always a power of two of them.
    buckets: Box<[Bucket]>,
    len: usize,
}

impl Index {
    pub(crate) fn new() -> Self {
        Self::with_buckets(1)
    }

    fn with_buckets(count: usize) -> Self {
        Self { buckets: vec![Bucket::NEW; count].into_boxed_slice(), len: 0 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        (hash >> 8) as usize & (self.buckets.len() - 1)
    }

    /// Offers every slot that may belong to the hash to `accept`, until it takes one. Slot numbers
    /// that never were in use may be offered as well.
    #[inline(always)]
    pub(crate) fn find<T>(&self, hash: u64, mut accept: impl FnMut(u32) -> Option<T>) -> Option<T> {
        let tag = tag_of(hash);
        let mut at = self.home(hash);
        for _ in 0..self.buckets.len() {
            let bucket = &self.buckets[at];
            for place in bucket.places(tag) {
                if let Some(found) = accept(bucket.tokens[place]) {
                    return Some(found);
                }
            }
            if bucket.overflow == 0 {
                return None;
            }
            at = (at + 1) & (self.buckets.len() - 1);
        }
        None
    }

    /// Adds a slot. `hash_of` tells the hashes of the slots that are in already, for the case that
    /// the table must grow.
    pub(crate) fn insert(&mut self, hash: u64, token: u32, hash_of: impl Fn(u32) -> u64) {
        // Beyond four fifths too many entries would lie outside their bucket.
        if (self.len + 1) * 5 > self.buckets.len() * LANES * 4 {
            self.grow(hash_of);
        }
        self.put(hash, token);
    }

    fn put(&mut self, hash: u64, token: u32) {
        let mut at = self.home(hash);
        loop {
            let bucket = &mut self.buckets[at];
            if let Some(place) = bucket.places(EMPTY).next() {
                bucket.set(place, tag_of(hash), token);
                self.len += 1;
                return;
            }
            bucket.overflow += 1;
            at = (at + 1) & (self.buckets.len() - 1);
        }
    }

    fn grow(&mut self, hash_of: impl Fn(u32) -> u64) {
        let mut grown = Self::with_buckets(self.buckets.len() * 2);
        for token in self.tokens() {
            grown.put(hash_of(token), token);
        }
        *self = grown;
    }

    fn tokens(&self) -> impl Iterator<Item = u32> {
        let tokens = self.buckets.iter().flat_map(|bucket| bucket.tokens);
        tokens.filter(|token| *token != NOWHERE)
    }

    /// Removes a slot; whether it was there. The last one to go takes the memory along.
    pub(crate) fn remove(&mut self, hash: u64, token: u32) -> bool {
        let tag = tag_of(hash);
        let mut at = self.home(hash);
        for passed in 0..self.buckets.len() {
            let bucket = &mut self.buckets[at];
            let place = bucket.places(tag).find(|place| bucket.tokens[*place] == token);
            if let Some(place) = place {
                bucket.set(place, EMPTY, NOWHERE);
                self.len -= 1;
                for back in 1..=passed {
                    let before = at.wrapping_sub(back) & (self.buckets.len() - 1);
                    self.buckets[before].overflow -= 1;
                }
                if self.len == 0 && self.buckets.len() > KEPT_EMPTY {
                    *self = Self::new();
                }
                return true;
            }
            if bucket.overflow == 0 {
                return false;
            }
            at = (at + 1) & (self.buckets.len() - 1);
        }
        false
    }

    /// Panics unless counts and overflows are right.
    pub(crate) fn check(&self, hash_of: impl Fn(u32) -> u64) {
        assert_eq!(self.tokens().count(), self.len, "the index counts wrongly");
        let mut overflows = vec![0_u32; self.buckets.len()];
        for (at, bucket) in self.buckets.iter().enumerate() {
            for (place, token) in bucket.tokens.into_iter().enumerate() {
                let tag = bucket.tag(place);
                if token == NOWHERE {
                    assert_eq!(tag, EMPTY, "a tag without a slot");
                    continue;
                }
                assert_eq!(tag, tag_of(hash_of(token)), "a slot with a wrong tag");
                let mut passed = self.home(hash_of(token));
                while passed != at {
                    overflows[passed] += 1;
                    passed = (passed + 1) & (self.buckets.len() - 1);
                }
            }
        }
        let counted = self.buckets.iter().map(|bucket| bucket.overflow);
        assert!(counted.eq(overflows), "a bucket counts its overflow wrongly");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_one_cache_line() {
        assert_eq!(size_of::<Bucket>(), 64);
    }

    #[test]
    fn every_place_of_a_bucket_is_found_by_its_tag() {
        let mut bucket = Bucket::NEW;
        for (place, tag) in (0..LANES).zip(100..) {
            assert_eq!(bucket.places(EMPTY).count(), LANES - place);
            bucket.set(place, tag, 7);
        }
        for (place, tag) in (0..LANES).zip(100..) {
            assert_eq!(bucket.places(tag).next(), Some(place));
        }
        assert_eq!(bucket.places(99).next(), None);
        bucket.set(9, EMPTY, NOWHERE);
        assert_eq!(bucket.places(EMPTY).next(), Some(9));
    }

    #[test]
    fn entries_that_share_a_bucket_are_found_and_removed() {
        let hash_of = |token: u32| u64::from(token % 3) | (u64::from(token % 2) << 63);
        let mut index = Index::new();
        for token in 0..200 {
            index.insert(hash_of(token), token, hash_of);
            index.check(hash_of);
        }
        let find = |index: &Index, token: u32| {
            index.find(hash_of(token), |found| (found == token).then_some(()))
        };
        for token in 0..200 {
            assert!(find(&index, token).is_some());
        }
        for token in (0..200).step_by(2) {
            assert!(index.remove(hash_of(token), token));
            assert!(!index.remove(hash_of(token), token));
            index.check(hash_of);
        }
        for token in 0..200 {
            assert_eq!(find(&index, token).is_some(), token % 2 == 1);
        }
        assert_eq!(index.len(), 100);
        for token in (1..200).step_by(2) {
            assert!(index.remove(hash_of(token), token));
        }
        assert_eq!((index.len(), index.buckets.len()), (0, 1), "an empty table is small");
    }
}
