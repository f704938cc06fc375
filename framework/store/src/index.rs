//! [`Index`], from the hash of a key to the number of its slot.
//!
//! A bucket is one cache line with twelve one-byte tags and twelve slot numbers, so a look-up
//! touches one line here and one of the slot; tables with control bytes apart touch two here. An
//! entry that finds its bucket full goes to the next one, and every bucket it passed counts it, so
//! that a look-up knows where to stop and removals leave nothing behind. This is the idea of
//! Folly's F14 ("Open-sourcing F14 for faster, more memory-efficient hash tables", 2019).
//!
//! Readers take no lock. Nothing ever moves within a table, so an entry that is in it from the
//! beginning to the end of a look-up is found; a table that has to grow is copied and left to its
//! readers until their [grace period](crate::epoch) is over.

#![expect(unsafe_code, reason = "readers follow a pointer that writers exchange")]

use std::sync::atomic::{AtomicPtr, Ordering};

use self::bucket::{Bucket, EMPTY, LANES, NOWHERE, matching, tag_of};
use crate::grace::Grace;

mod bucket;

/// How many buckets an empty table keeps.
const KEPT_EMPTY: usize = 8;
/// How much larger a table becomes that is not as large yet as it is expected to be.
const GREAT_STEP: usize = 4;
/// The low bits of the pointer to a table, which is aligned to 64, hold the logarithm of its size.
const SIZE_BITS: usize = 63;

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
    /// How many buckets are enough for as many slots as are expected.
    enough: usize,
    /// Tables that readers may still be in.
    left: Grace<Left>,
}

impl IndexBooks {
    /// The books of an index that grows to about `expected` slots, or any number if that is 0.
    pub(crate) fn new(expected: u64) -> Self {
        let expected = usize::try_from(expected).unwrap_or(usize::MAX / 8);
        let enough = (expected.min(usize::MAX / 8) * 5).div_ceil(LANES * 4).next_power_of_two();
        Self { len: 0, enough, left: Grace::new() }
    }

    /// How many slots are in.
    #[inline]
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
        let mut at = home(hash, buckets.len());
        for _ in 0..buckets.len() {
            let bucket = &buckets[at];
            let (low, high) = bucket.words();
            for place in matching(low, high, tag) {
                if let Some(found) = accept(bucket.token(place)) {
                    return Some(found);
                }
            }
            if bucket::overflow(high) == 0 {
                return None;
            }
            at = (at + 1) & (buckets.len() - 1);
        }
        None
    }

    /// Asks the processor to fetch the bucket of a hash. Looks at nothing, so anybody may ask.
    #[inline(always)]
    pub(crate) fn prefetch(&self, hash: u32) {
        let (first, count) = from_tagged(self.table.load(Ordering::Relaxed));
        crate::prefetch::line(first.wrapping_add(home(hash, count)));
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
    #[inline]
    fn held<'a>(&'a self, _books: &'a IndexBooks) -> &'a [Bucket] {
        // SAFETY: tables are exchanged only by those who hold the books, as the caller does.
        unsafe { self.buckets() }
    }

    /// Adds a slot. `hash_of` tells the hashes of those that are in, in case the table must grow.
    #[inline]
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
            self.grow(books, hash_of);
        }
        put(self.held(books), hash, token);
        books.len += 1;
    }

    /// Copies what is in a table to a larger one. Steps are great as long as the larger one will be
    /// needed anyway.
    #[cold]
    fn grow(&self, books: &mut IndexBooks, hash_of: impl Fn(u32) -> u32) {
        let buckets = self.held(books);
        let count = buckets.len();
        let grown = table((count * GREAT_STEP).min(books.enough).max(count * 2));
        for token in tokens(buckets) {
            put(&grown, hash_of(token), token);
        }
        self.exchange(books, grown);
    }

    /// Puts another slot of the same key in the place of one that is there.
    #[inline]
    pub(crate) fn replace(&self, books: &IndexBooks, hash: u32, before: u32, after: u32) {
        let buckets = self.held(books);
        if let Some((at, place, _)) = locate(buckets, hash, before) {
            buckets[at].exchange(place, after);
        }
    }

    /// Removes a slot; whether it was there.
    #[inline]
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
        books.left.push(Left(before));
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
                let mut passed = home(hash_of(token), buckets.len());
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

/// A table that is published no more, and that readers may still be in. It is not owned as a box
/// before they have left, as a box is nobody else's.
struct Left(*mut Bucket);

// SAFETY: it stands for a table, which may be freed by any thread.
unsafe impl Send for Left {}

impl Drop for Left {
    fn drop(&mut self) {
        // SAFETY: `into_tagged` made the pointer, only one writer got it back, and [`Grace`] lets
        // go of it when nobody can be in the table.
        drop(unsafe { from_published(self.0) });
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
const fn home(hash: u32, buckets: usize) -> usize {
    (hash >> 8) as usize & (buckets - 1)
}

fn tokens(buckets: &[Bucket]) -> impl Iterator<Item = u32> {
    let tokens = buckets.iter().flat_map(|bucket| (0..LANES).map(|place| bucket.token(place)));
    tokens.filter(|token| *token != NOWHERE)
}

#[inline]
fn put(buckets: &[Bucket], hash: u32, token: u32) {
    let mut at = home(hash, buckets.len());
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
#[inline]
fn locate(buckets: &[Bucket], hash: u32, token: u32) -> Option<(usize, usize, usize)> {
    let mut at = home(hash, buckets.len());
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
    fn entries_that_share_a_bucket_are_found_and_removed() {
        // Enough to share buckets; Miri is slow.
        const COUNT: u32 = if cfg!(miri) { 40 } else { 200 };
        let hash_of = |token: u32| (token % 3) | ((token % 2) << 31);
        let (index, mut books) = (Index::new(), IndexBooks::new(0));
        for token in 0..COUNT {
            index.insert(&mut books, hash_of(token), token, hash_of);
            index.check(&books, hash_of);
        }
        let find = |token: u32| {
            let _guard = crate::threads::Guard::enter();
            let accept = |found| (found == token).then_some(());
            // SAFETY: this is in a read.
            unsafe { index.find(hash_of(token), accept) }.is_some()
        };
        assert!((0..COUNT).all(find));
        for token in (0..COUNT).step_by(2) {
            assert!(index.remove(&mut books, hash_of(token), token));
            assert!(!index.remove(&mut books, hash_of(token), token));
            index.check(&books, hash_of);
        }
        assert!((0..COUNT).all(|token| find(token) == (token % 2 == 1)));
        index.replace(&books, hash_of(1), 1, 1 + 600);
        assert!(!find(1) && find(601));
        assert_eq!(books.len(), COUNT as usize / 2);
        index.clear(&mut books);
        assert_eq!((books.len(), index.held(&books).len()), (0, 1), "an empty table is small");
        index.check(&books, hash_of);
    }
}
