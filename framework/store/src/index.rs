//! [`Index`], from the hash of a key to the number of its slot.
//!
//! A bucket is one cache line with twelve one-byte tags and twelve slot numbers, so a look-up
//! touches one line here and one in the slab; tables with control bytes apart touch two here. An
//! entry that finds its bucket full goes to the next one, and every bucket it passed counts it, so
//! that a look-up knows where to stop and removals leave nothing behind. This is the idea of
//! Folly's F14 ("Open-sourcing F14 for faster, more memory-efficient hash tables", 2019).
//!
//! Readers take no lock. Nothing ever moves within a table, so an entry that is in it from the
//! beginning to the end of a look-up is found; a table that has to grow is copied and left to its
//! readers until their [grace period](crate::epoch) is over.

#![expect(unsafe_code, reason = "readers follow a pointer that writers exchange")]

use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use crate::grace::Grace;

/// Places in a bucket.
const LANES: usize = 12;
/// How many buckets an empty table keeps.
const KEPT_EMPTY: usize = 8;
/// The number of no slot.
pub(crate) const NOWHERE: u32 = u32::MAX;
/// The tag of an empty place.
const EMPTY: u8 = 0;
/// The low bits of the pointer to a table, which is aligned to 64, hold the logarithm of its size.
const SIZE_BITS: usize = 63;

#[repr(align(64))]
struct Bucket {
    /// Tags of places 0 to 7, one byte each.
    low: AtomicU64,
    /// Tags of places 8 to 11 below, and above them how many entries passed this bucket because
    /// it was full. One word, so that a reader gets both at the same moment.
    high: AtomicU64,
    tokens: [AtomicU32; LANES],
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

    #[inline(always)]
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
#[inline(always)]
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & (ONES << 7)
}

/// The places with a tag in the two words of a bucket.
#[inline(always)]
const fn places(low: u64, high: u64, tag: u8) -> Places {
    let pattern = ONES * tag as u64;
    let low = zero_bytes(low ^ pattern);
    // The upper half is filled with bytes that match nothing, not even after a borrow.
    let high = zero_bytes((high ^ pattern) | (!0 << 32));
    Places(low | (high >> 4))
}

impl Bucket {
    const fn new() -> Self {
        Self {
            low: AtomicU64::new(0),
            high: AtomicU64::new(0),
            tokens: [const { AtomicU32::new(NOWHERE) }; LANES],
        }
    }

    /// Both words with tags. Acquire: a tag tells of the number that was written before it.
    #[inline(always)]
    fn words(&self) -> (u64, u64) {
        (self.low.load(Ordering::Acquire), self.high.load(Ordering::Acquire))
    }

    fn places(&self, tag: u8) -> Places {
        let (low, high) = self.words();
        places(low, high, tag)
    }

    /// Acquire: a number tells of the slot that was filled before it.
    #[inline(always)]
    fn token(&self, place: usize) -> u32 {
        self.tokens[place].load(Ordering::Acquire)
    }

    fn overflow(&self) -> u32 {
        (self.high.load(Ordering::Relaxed) >> 32) as u32
    }

    fn count_overflow(&self, change: i32) {
        let high = self.high.load(Ordering::Relaxed);
        let count = (high >> 32) as u32;
        let count = count.wrapping_add_signed(change);
        self.high.store(high & 0xffff_ffff | u64::from(count) << 32, Ordering::Release);
    }

    /// The tag of a place.
    fn tag(&self, place: usize) -> u8 {
        let (word, shift) = self.word(place);
        (word.load(Ordering::Relaxed) >> shift) as u8
    }

    /// The word that holds the tag of a place, and where in it.
    const fn word(&self, place: usize) -> (&AtomicU64, usize) {
        if place < 8 { (&self.low, place * 8) } else { (&self.high, (place - 8) * 8) }
    }

    fn set_tag(&self, place: usize, tag: u8) {
        let (word, shift) = self.word(place);
        let others = word.load(Ordering::Relaxed) & !(0xff << shift);
        word.store(others | u64::from(tag) << shift, Ordering::Release);
    }

    /// Whoever sees the tag must see the number, and whoever sees the number must see the slot.
    fn fill(&self, place: usize, tag: u8, token: u32) {
        self.tokens[place].store(token, Ordering::Release);
        self.set_tag(place, tag);
    }

    /// The number goes too: a reader may take it by a mistaken match, and then must not be led to
    /// a slot that is nobody's.
    fn empty(&self, place: usize) {
        self.set_tag(place, EMPTY);
        self.tokens[place].store(NOWHERE, Ordering::Release);
    }
}

/// Eight bits of the hash that take no part in the choice of the bucket; never [`EMPTY`].
#[inline(always)]
const fn tag_of(hash: u32) -> u8 {
    let tag = hash as u8;
    if tag == EMPTY { 1 } else { tag }
}

/// A table of buckets: always a power of two of them.
type Table = Box<[Bucket]>;

fn table(buckets: usize) -> Table {
    (0..buckets).map(|_| Bucket::new()).collect()
}

/// The index of a shard.
pub(crate) struct Index {
    /// The first bucket, and in its low bits the logarithm of how many there are: one load gets
    /// both, and both fit together.
    table: AtomicPtr<Bucket>,
}

/// What only the holder of the shard's lock has of its index. Whoever can show it may change the
/// index, and finds the present table in place for as long.
pub(crate) struct IndexBooks {
    len: usize,
    /// Tables that readers may still be in.
    left: Grace<Table>,
}

impl IndexBooks {
    pub(crate) const fn new() -> Self {
        Self { len: 0, left: Grace::new() }
    }

    /// How many slots are in.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Frees tables that nobody is in any more.
    pub(crate) fn reclaim(&mut self) {
        self.left.reclaim(drop);
    }
}

impl Index {
    pub(crate) fn new() -> Self {
        Self { table: AtomicPtr::new(into_tagged(table(1))) }
    }

    /// Offers every slot that may belong to the hash to `accept`, until it takes one; [`NOWHERE`]
    /// may be offered as well.
    ///
    /// # Safety
    ///
    /// While it runs the caller holds the lock of the shard or is in a read
    /// ([`Guard`](crate::threads::Guard)).
    #[inline(always)]
    pub(crate) unsafe fn find<T>(
        &self,
        hash: u32,
        mut accept: impl FnMut(u32) -> Option<T>,
    ) -> Option<T> {
        // SAFETY: as the caller promises, nobody frees the table meanwhile.
        let buckets = unsafe { self.buckets() };
        let tag = tag_of(hash);
        let mut at = home(hash, buckets);
        for _ in 0..buckets.len() {
            let bucket = &buckets[at];
            let (low, high) = bucket.words();
            for place in places(low, high, tag) {
                if let Some(found) = accept(bucket.token(place)) {
                    return Some(found);
                }
            }
            if high >> 32 == 0 {
                return None;
            }
            at = (at + 1) & (buckets.len() - 1);
        }
        None
    }

    /// Asks the processor to fetch the bucket of a hash.
    ///
    /// # Safety
    ///
    /// As for [`find`](Self::find).
    #[inline(always)]
    pub(crate) unsafe fn prefetch(&self, hash: u32) {
        // SAFETY: as the caller promises, nobody frees the table meanwhile.
        let buckets = unsafe { self.buckets() };
        crate::prefetch::line(&raw const buckets[home(hash, buckets)]);
    }

    /// The present table.
    ///
    /// # Safety
    ///
    /// The caller holds the lock of the shard, or is in a read, for as long as it uses the table.
    #[inline(always)]
    unsafe fn buckets(&self) -> &[Bucket] {
        let tagged = self.table.load(Ordering::Acquire);
        let (first, count) = from_tagged(tagged);
        // SAFETY: the pointer comes from a boxed slice of that many buckets, which is freed only
        // after a grace period; the caller is in one, or keeps the table from being exchanged.
        unsafe { std::slice::from_raw_parts(first, count) }
    }

    /// The present table, for the holder of the lock.
    fn held<'a>(&'a self, _books: &'a IndexBooks) -> &'a [Bucket] {
        // SAFETY: tables are exchanged only by those who hold the books, as the caller does.
        unsafe { self.buckets() }
    }

    /// Adds a slot. `hash_of` tells the hashes of those that are in, in case the table must grow.
    pub(crate) fn insert(
        &self,
        books: &mut IndexBooks,
        hash: u32,
        token: u32,
        hash_of: impl Fn(u32) -> u32,
    ) {
        let buckets = self.held(books);
        // Beyond four fifths too many entries would lie outside their bucket.
        if (books.len + 1) * 5 > buckets.len() * LANES * 4 {
            let grown = table(buckets.len() * 2);
            for token in tokens(buckets) {
                put(&grown, hash_of(token), token);
            }
            self.exchange(books, grown);
        }
        put(self.held(books), hash, token);
        books.len += 1;
    }

    /// Puts another slot of the same key in the place of one that is there.
    pub(crate) fn replace(&self, books: &IndexBooks, hash: u32, before: u32, after: u32) {
        let buckets = self.held(books);
        if let Some((at, place, _)) = locate(buckets, hash, before) {
            buckets[at].tokens[place].store(after, Ordering::Release);
        }
    }

    /// Removes a slot; whether it was there.
    pub(crate) fn remove(&self, books: &mut IndexBooks, hash: u32, token: u32) -> bool {
        let buckets = self.held(books);
        let Some((at, place, passed)) = locate(buckets, hash, token) else {
            return false;
        };
        buckets[at].empty(place);
        for back in 1..=passed {
            let before = at.wrapping_sub(back) & (buckets.len() - 1);
            buckets[before].count_overflow(-1);
        }
        books.len -= 1;
        true
    }

    /// Removes everything in constant time, and with it the memory that much took.
    pub(crate) fn clear(&self, books: &mut IndexBooks) {
        if books.len > 0 || self.held(books).len() > KEPT_EMPTY {
            self.exchange(books, table(1));
            books.len = 0;
        }
    }

    /// Publishes another table. The one before is freed at once if nobody reads, as that is rare
    /// and tables are large.
    fn exchange(&self, books: &mut IndexBooks, table: Table) {
        let before = self.table.swap(into_tagged(table), Ordering::AcqRel);
        // SAFETY: `into_tagged` made the pointer, and no other writer can have it.
        let before = unsafe { from_published(before) };
        books.left.push(before);
        books.reclaim();
    }

    /// Panics unless counts and overflows are right.
    pub(crate) fn check(&self, books: &IndexBooks, hash_of: impl Fn(u32) -> u32) {
        let buckets = self.held(books);
        assert_eq!(tokens(buckets).count(), books.len, "the index counts wrongly");
        let mut overflows = vec![0_u32; buckets.len()];
        for (at, bucket) in buckets.iter().enumerate() {
            for place in 0..LANES {
                let (tag, token) = (bucket.tag(place), bucket.token(place));
                if token == NOWHERE {
                    assert_eq!(tag, EMPTY, "a tag without a slot");
                    continue;
                }
                assert_eq!(tag, tag_of(hash_of(token)), "a slot with a wrong tag");
                let mut passed = home(hash_of(token), buckets);
                while passed != at {
                    overflows[passed] += 1;
                    passed = (passed + 1) & (buckets.len() - 1);
                }
            }
        }
        let counted = buckets.iter().map(Bucket::overflow);
        assert!(counted.eq(overflows), "a bucket counts its overflow wrongly");
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        // SAFETY: the pointer was published by `into_tagged`, and nobody can use the index now.
        drop(unsafe { from_published(*self.table.get_mut()) });
    }
}

fn into_tagged(table: Table) -> *mut Bucket {
    let log = table.len().ilog2() as usize;
    let first = Box::into_raw(table).cast::<Bucket>();
    first.map_addr(|address| address | log)
}

/// The first bucket and how many there are.
#[inline(always)]
fn from_tagged(tagged: *mut Bucket) -> (*mut Bucket, usize) {
    (tagged.map_addr(|address| address & !SIZE_BITS), 1 << (tagged.addr() & SIZE_BITS))
}

/// # Safety
///
/// The pointer comes from [`into_tagged`] and is used no more.
unsafe fn from_published(tagged: *mut Bucket) -> Table {
    let (first, count) = from_tagged(tagged);
    let slice = std::ptr::slice_from_raw_parts_mut(first, count);
    // SAFETY: this is the boxed slice that `into_tagged` took apart.
    unsafe { Box::from_raw(slice) }
}

#[inline(always)]
const fn home(hash: u32, buckets: &[Bucket]) -> usize {
    (hash >> 8) as usize & (buckets.len() - 1)
}

fn tokens(buckets: &[Bucket]) -> impl Iterator<Item = u32> {
    let tokens = buckets.iter().flat_map(|bucket| (0..LANES).map(|place| bucket.token(place)));
    tokens.filter(|token| *token != NOWHERE)
}

fn put(buckets: &[Bucket], hash: u32, token: u32) {
    let mut at = home(hash, buckets);
    loop {
        let bucket = &buckets[at];
        if let Some(place) = bucket.places(EMPTY).next() {
            bucket.fill(place, tag_of(hash), token);
            return;
        }
        // Before the entry is there, so that nobody stops short of it.
        bucket.count_overflow(1);
        at = (at + 1) & (buckets.len() - 1);
    }
}

/// The bucket and the place of a slot, and how many buckets its search passed.
fn locate(buckets: &[Bucket], hash: u32, token: u32) -> Option<(usize, usize, usize)> {
    let mut at = home(hash, buckets);
    for passed in 0..buckets.len() {
        let bucket = &buckets[at];
        let place = bucket.places(tag_of(hash)).find(|place| bucket.token(*place) == token);
        if let Some(place) = place {
            return Some((at, place, passed));
        }
        if bucket.overflow() == 0 {
            return None;
        }
        at = (at + 1) & (buckets.len() - 1);
    }
    None
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
    fn entries_that_share_a_bucket_are_found_and_removed() {
        let hash_of = |token: u32| (token % 3) | ((token % 2) << 31);
        let (index, mut books) = (Index::new(), IndexBooks::new());
        for token in 0..200 {
            index.insert(&mut books, hash_of(token), token, hash_of);
            index.check(&books, hash_of);
        }
        let find = |token: u32| {
            let _guard = crate::threads::Guard::enter();
            let accept = |found| (found == token).then_some(());
            // SAFETY: this is in a read.
            unsafe { index.find(hash_of(token), accept) }.is_some()
        };
        assert!((0..200).all(find));
        for token in (0..200).step_by(2) {
            assert!(index.remove(&mut books, hash_of(token), token));
            assert!(!index.remove(&mut books, hash_of(token), token));
            index.check(&books, hash_of);
        }
        assert!((0..200).all(|token| find(token) == (token % 2 == 1)));
        index.replace(&books, hash_of(1), 1, 1 + 600);
        assert!(!find(1) && find(601));
        assert_eq!(books.len(), 100);
        index.clear(&mut books);
        assert_eq!((books.len(), index.held(&books).len()), (0, 1), "an empty table is small");
        index.check(&books, hash_of);
    }
}
