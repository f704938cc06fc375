//! [`Bucket`], one cache line of the index.

#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "tags are compared with vector instructions")
)]

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Places in a bucket.
pub(super) const LANES: usize = 12;
/// The number of no slot.
pub(super) const NOWHERE: u32 = u32::MAX;
/// The tag of an empty place.
pub(super) const EMPTY: u8 = 0;

#[repr(align(64))]
pub(super) struct Bucket {
    /// Tags of places 0 to 7, one byte each.
    low: AtomicU64,
    /// Tags of places 8 to 11 below, and above them how many entries passed this bucket because
    /// it was full. One word, so that a reader gets both at the same moment.
    high: AtomicU64,
    tokens: [AtomicU32; LANES],
}

/// Places of a bucket, as the bits of a word.
pub(super) struct Places(u32);

impl Iterator for Places {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let place = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(place)
    }
}

/// The places with a tag in the two words of a bucket.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn matching(low: u64, high: u64, tag: u8) -> Places {
    // SAFETY: every processor of this architecture has SSE2.
    unsafe { matching_sse2(low, high, tag) }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn matching_sse2(low: u64, high: u64, tag: u8) -> Places {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};

    let tags = _mm_set_epi64x(high.cast_signed(), low.cast_signed());
    let equal = _mm_cmpeq_epi8(tags, _mm_set1_epi8(tag.cast_signed()));
    Places(_mm_movemask_epi8(equal).cast_unsigned() & ALL)
}

/// The places with a tag in the two words of a bucket.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(super) fn matching(low: u64, high: u64, tag: u8) -> Places {
    let pattern = u64::from_ne_bytes([tag; 8]);
    Places((zero_bytes(low ^ pattern) | zero_bytes(high ^ pattern) << 8) & ALL)
}

/// All places of a bucket.
const ALL: u32 = (1 << LANES) - 1;

/// A bit for every byte that is 0.
#[cfg(any(test, not(target_arch = "x86_64")))]
const fn zero_bytes(word: u64) -> u32 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    // Bit 7 of each byte that is 0; no carry leaves a byte, so there are no others.
    let zeros = !(((word & LOW) + LOW) | word | LOW);
    // Gathers those bits in the highest byte.
    ((zeros >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
}

/// How many entries passed the bucket with this second word.
#[inline(always)]
pub(super) const fn overflow(high: u64) -> u32 {
    (high >> 32) as u32
}

impl Bucket {
    pub(super) const fn new() -> Self {
        Self {
            low: AtomicU64::new(0),
            high: AtomicU64::new(0),
            tokens: [const { AtomicU32::new(NOWHERE) }; LANES],
        }
    }

    /// Both words with tags. Acquire: a tag tells of the number that was written before it.
    #[inline(always)]
    pub(super) fn words(&self) -> (u64, u64) {
        (self.low.load(Ordering::Acquire), self.high.load(Ordering::Acquire))
    }

    #[inline]
    pub(super) fn places(&self, tag: u8) -> Places {
        let (low, high) = self.words();
        matching(low, high, tag)
    }

    /// Acquire: a number tells of the slot that was filled before it.
    #[inline(always)]
    pub(super) fn token(&self, place: usize) -> u32 {
        self.tokens[place].load(Ordering::Acquire)
    }

    pub(super) fn overflow(&self) -> u32 {
        overflow(self.high.load(Ordering::Relaxed))
    }

    #[inline]
    pub(super) fn count_overflow(&self, change: i32) {
        let high = self.high.load(Ordering::Relaxed);
        let count = (high >> 32) as u32;
        let count = count.wrapping_add_signed(change);
        self.high.store(high & 0xffff_ffff | u64::from(count) << 32, Ordering::Release);
    }

    /// The tag of a place.
    #[inline]
    pub(super) fn tag(&self, place: usize) -> u8 {
        let (word, shift) = self.word(place);
        (word.load(Ordering::Relaxed) >> shift) as u8
    }

    /// The word that holds the tag of a place, and where in it.
    #[inline]
    const fn word(&self, place: usize) -> (&AtomicU64, usize) {
        if place < 8 { (&self.low, place * 8) } else { (&self.high, (place - 8) * 8) }
    }

    #[inline]
    fn set_tag(&self, place: usize, tag: u8) {
        let (word, shift) = self.word(place);
        let others = word.load(Ordering::Relaxed) & !(0xff << shift);
        word.store(others | u64::from(tag) << shift, Ordering::Release);
    }

    /// Whoever sees the tag must see the number, and whoever sees the number must see the slot.
    #[inline]
    pub(super) fn fill(&self, place: usize, tag: u8, token: u32) {
        self.tokens[place].store(token, Ordering::Release);
        self.set_tag(place, tag);
    }

    /// Puts another slot of the same key into a place.
    #[inline]
    pub(super) fn exchange(&self, place: usize, token: u32) {
        self.tokens[place].store(token, Ordering::Release);
    }

    /// The number goes too, so that one that is in a bucket always leads to an entry.
    #[inline]
    pub(super) fn empty(&self, place: usize) {
        self.set_tag(place, EMPTY);
        self.tokens[place].store(NOWHERE, Ordering::Release);
    }
}

/// Eight bits of the hash that take no part in the choice of the bucket; never [`EMPTY`].
#[inline(always)]
pub(super) const fn tag_of(hash: u32) -> u8 {
    let tag = hash as u8;
    if tag == EMPTY { 1 } else { tag }
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
        let bucket = Bucket::new();
        for (place, tag) in (0..LANES).zip(100..) {
            assert_eq!(bucket.places(EMPTY).count(), LANES - place);
            bucket.fill(place, tag, 7);
        }
        bucket.count_overflow(3);
        for (place, tag) in (0..LANES).zip(100..) {
            assert_eq!(bucket.places(tag).next(), Some(place));
        }
        assert_eq!(bucket.places(99).next(), None);
        bucket.empty(9);
        assert_eq!(bucket.places(EMPTY).next(), Some(9));
        bucket.count_overflow(-1);
        assert_eq!((bucket.overflow(), bucket.tag(11)), (2, 111));
    }

    #[test]
    fn tags_are_matched_alike_with_and_without_vector_instructions() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..if cfg!(miri) { 50 } else { 10_000 } {
            let bytes: [u8; 16] = std::array::from_fn(|_| random.u8(..3));
            let word = |at: usize| {
                let bytes: [u8; 8] = std::array::from_fn(|byte| bytes[at * 8 + byte]);
                u64::from_le_bytes(bytes)
            };
            for tag in 0..3 {
                let expected: Vec<usize> = (0..LANES).filter(|at| bytes[*at] == tag).collect();
                assert!(matching(word(0), word(1), tag).eq(expected));
                let zeros = zero_bytes(word(0) ^ u64::from_ne_bytes([tag; 8]));
                assert!((0..8).all(|at| (zeros >> at & 1 == 1) == (bytes[at] == tag)));
            }
        }
    }
}
