//! [`Chunks`], an array that grows and never moves.
//!
//! Chunk `n` holds `64 << n` elements, so their addresses follow from the number alone and readers
//! need no lock while it grows.

#![expect(unsafe_code, reason = "readers use the array while it grows")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, Ordering};

/// How many elements the first chunk holds.
pub(crate) const FIRST: usize = 64;
/// Enough for every number below `u32::MAX - 64`; the last one is never there, so that no number
/// leads out of the array.
const CHUNKS: usize = 27;

/// A type of which a run of zeros is a value, and which needs no drop.
///
/// # Safety
///
/// Both must be true.
pub(crate) unsafe trait Zeroed {}

/// Elements with stable addresses, all zero at first.
pub(crate) struct Chunks<T: Zeroed> {
    chunks: [AtomicPtr<T>; CHUNKS],
    owns: PhantomData<Box<T>>,
}

/// The chunk of a number, and its place there.
#[inline(always)]
const fn place(number: u32) -> (usize, usize) {
    let number = number as usize + FIRST;
    let chunk = (number.ilog2() - FIRST.ilog2()) as usize;
    (chunk, number - (FIRST << chunk))
}

fn layout<T>(chunk: usize) -> Layout {
    Layout::array::<T>(FIRST << chunk).expect("a chunk fits into memory")
}

impl<T: Zeroed> Chunks<T> {
    pub(crate) const fn new() -> Self {
        Self { chunks: [const { AtomicPtr::new(std::ptr::null_mut()) }; CHUNKS], owns: PhantomData }
    }

    /// An element, if its chunk is there.
    #[inline(always)]
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        let (chunk, place) = place(number);
        let first = NonNull::new(self.chunks[chunk].load(Ordering::Acquire))?;
        // SAFETY: the chunk has `FIRST << chunk` elements, and the place is below that.
        let element = unsafe { first.add(place) };
        // SAFETY: the elements began as zeros, which is a value of them, and are shared only.
        // Nobody frees a chunk while elements are in use, as `release` demands.
        Some(unsafe { element.as_ref() })
    }

    /// Makes room for an element. Only one thread may call this at a time.
    pub(crate) fn ensure(&self, number: u32) -> &T {
        let (chunk, _) = place(number);
        if self.chunks[chunk].load(Ordering::Relaxed).is_null() {
            let layout = layout::<T>(chunk);
            // SAFETY: no `T` here is of size zero, as all hold an atomic.
            let first = unsafe { alloc_zeroed(layout) };
            if first.is_null() {
                handle_alloc_error(layout);
            }
            self.chunks[chunk].store(first.cast(), Ordering::Release);
        }
        self.get(number).expect("its chunk is there")
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
        for (chunk, first) in self.chunks.iter().enumerate().skip(1) {
            let first = first.swap(std::ptr::null_mut(), Ordering::AcqRel);
            // SAFETY: as the caller promises; the pointer was taken out.
            unsafe { free(first, chunk) };
        }
    }
}

/// # Safety
///
/// The pointer is null, or one that `ensure` got for this chunk, and in no use any more.
unsafe fn free<T>(first: *mut T, chunk: usize) {
    if !first.is_null() {
        // SAFETY: `ensure` allocated it with the same layout, and the elements need no drop.
        unsafe { dealloc(first.cast(), layout::<T>(chunk)) };
    }
}

impl<T: Zeroed> Drop for Chunks<T> {
    fn drop(&mut self) {
        for (chunk, first) in self.chunks.iter_mut().enumerate() {
            // SAFETY: nobody else can use the array now.
            unsafe { free(*first.get_mut(), chunk) };
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
