//! [`Chunks`], an array that grows and never moves.
//!
//! The first chunk holds 64 elements, and each further one as many as all before it, so the chunk
//! of a number follows from its highest bit, and readers need no lock while the array grows.

#![expect(unsafe_code, reason = "readers use the array while it grows")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicPtr, Ordering};

/// How many elements the first chunk holds.
const FIRST: u32 = 64;
/// Enough for every 32-bit number.
const CHUNKS: usize = 27;
/// No array has an element of this number or above, so that the last chunk is never there.
pub(crate) const MOST: u32 = 1 << 31;

/// A type of which a run of zeros is a value, and which needs no drop.
///
/// # Safety
///
/// Both must be true.
pub(crate) unsafe trait Zeroed {}

/// Elements with stable addresses, all zero at first.
pub(crate) struct Chunks<T: Zeroed> {
    /// Where element 0 would lie if the chunk began there: an element is found by its number
    /// alone. Null for a chunk that is not there.
    chunks: [AtomicPtr<T>; CHUNKS],
    owns: PhantomData<Box<T>>,
}

/// The chunk of a number.
#[inline(always)]
const fn chunk_of(number: u32) -> usize {
    (26 - (number | (FIRST - 1)).leading_zeros()) as usize
}

/// The number of the first element of a chunk, and how many it has.
const fn extent(chunk: usize) -> (usize, usize) {
    let first = FIRST as usize;
    if chunk == 0 { (0, first) } else { (first << (chunk - 1), first << (chunk - 1)) }
}

fn layout<T>(chunk: usize) -> Layout {
    Layout::array::<T>(extent(chunk).1).expect("a chunk fits into memory")
}

impl<T: Zeroed> Chunks<T> {
    pub(crate) const fn new() -> Self {
        Self { chunks: [const { AtomicPtr::new(std::ptr::null_mut()) }; CHUNKS], owns: PhantomData }
    }

    /// An element, if its chunk is there.
    #[inline(always)]
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        let origin = self.chunks[chunk_of(number)].load(Ordering::Acquire);
        if origin.is_null() {
            return None;
        }
        let element = origin.wrapping_add(number as usize);
        // SAFETY: the number lies in the chunk, so this is within its memory. The elements began
        // as zeros, which is a value of them, and are shared only. Nobody frees a chunk while
        // elements are in use, as `release` demands.
        Some(unsafe { &*element })
    }

    /// Makes room for an element. Only one thread may call this at a time.
    ///
    /// # Panics
    ///
    /// If the number is not below [`MOST`].
    #[inline]
    pub(crate) fn ensure(&self, number: u32) -> &T {
        if let Some(element) = self.get(number) {
            return element;
        }
        self.allocate(number);
        self.get(number).expect("its chunk is there")
    }

    #[cold]
    fn allocate(&self, number: u32) {
        assert!(number < MOST, "an array has no element {number}");
        let chunk = chunk_of(number);
        let layout = layout::<T>(chunk);
        // SAFETY: no `T` here is of size zero, as all hold an atomic.
        let memory = unsafe { alloc_zeroed(layout) };
        if memory.is_null() {
            handle_alloc_error(layout);
        }
        let origin = memory.cast::<T>().wrapping_sub(extent(chunk).0);
        self.chunks[chunk].store(origin, Ordering::Release);
    }

    /// Whether there is memory to [`release`](Self::release).
    pub(crate) fn is_large(&self) -> bool {
        !self.chunks[1].load(Ordering::Relaxed).is_null()
    }

    /// Frees all chunks but the first.
    ///
    /// # Safety
    ///
    /// No element of them is in use, or comes into use before [`ensure`](Self::ensure) was called
    /// for it.
    pub(crate) unsafe fn release(&self) {
        for (chunk, origin) in self.chunks.iter().enumerate().skip(1) {
            let origin = origin.swap(std::ptr::null_mut(), Ordering::AcqRel);
            // SAFETY: as the caller promises; the pointer was taken out.
            unsafe { free(origin, chunk) };
        }
    }
}

/// # Safety
///
/// The pointer is null, or the one that `ensure` stored for this chunk, and in no use any more.
unsafe fn free<T>(origin: *mut T, chunk: usize) {
    if !origin.is_null() {
        let memory = origin.wrapping_add(extent(chunk).0);
        // SAFETY: `ensure` allocated it with the same layout, and the elements need no drop.
        unsafe { dealloc(memory.cast(), layout::<T>(chunk)) };
    }
}

impl<T: Zeroed> Drop for Chunks<T> {
    fn drop(&mut self) {
        for (chunk, origin) in self.chunks.iter_mut().enumerate() {
            // SAFETY: nobody else can use the array now.
            unsafe { free(*origin.get_mut(), chunk) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    // SAFETY: zero is a value of an atomic integer, which needs no drop.
    unsafe impl Zeroed for AtomicU64 {}

    #[test]
    fn elements_stay_where_they_are_and_are_zero_at_first() {
        let chunks = Chunks::<AtomicU64>::new();
        assert!(chunks.get(0).is_none() && chunks.get(u32::MAX).is_none());
        let first = std::ptr::from_ref(chunks.ensure(0));
        for number in 0..1000 {
            let element = chunks.ensure(number);
            assert_eq!(element.swap(u64::from(number) + 1, Ordering::Relaxed), 0);
        }
        assert_eq!(std::ptr::from_ref(chunks.ensure(0)), first);
        for number in 0..1000 {
            let element = chunks.get(number).unwrap();
            assert_eq!(element.load(Ordering::Relaxed), u64::from(number) + 1);
        }
        assert!(chunks.is_large());
        // SAFETY: no element is in use.
        unsafe { chunks.release() };
        assert!(chunks.get(64).is_none() && chunks.get(63).is_some());
        assert_eq!(chunks.ensure(999).load(Ordering::Relaxed), 0);
    }
}
