//! Reading structs that the other side has in an older or younger version.

use core::mem::MaybeUninit;
use core::ptr;

use crate::call::{Call, Create, Error, Health, Host};
use crate::descriptor::{Component, Plugin};
use crate::table::{
    BackendVt, CodecContext, CodecVt, InvalidatorVt, PolicyVt, ReplicatorVt, Slots, WarmStats,
    WarmerVt,
};

/// No struct of this ABI will ever be larger.
pub const LARGEST: usize = 64 * 1024;

/// A struct that begins with its size and grows by appending.
///
/// # Safety
///
/// It must be `repr(C)`, begin with a `u32` that is its size, and be a valid value when all of its
/// bytes are zero; and [`FIRST`](Self::FIRST) must not be greater than it is.
pub unsafe trait Extensible: Copy {
    /// Its size in the first version that had it: no shorter one was ever released.
    const FIRST: usize;
}

macro_rules! extensible {
    ($($type:ident = $first:literal),* $(,)?) => {
        $(
            // SAFETY: `repr(C)`, first field `struct_size: u32`; integers, raw pointers and
            // `Option`s of function pointers may all be zero.
            unsafe impl Extensible for $type {
                const FIRST: usize = $first;
            }
            #[cfg(target_pointer_width = "64")]
            const _: () = assert!($first <= size_of::<$type>());
        )*
    };
}

extensible! {
    BackendVt = 184,
    Call = 40,
    CodecContext = 64,
    CodecVt = 48,
    Component = 72,
    Create = 96,
    Error = 112,
    Health = 64,
    Host = 128,
    InvalidatorVt = 64,
    Plugin = 96,
    PolicyVt = 88,
    ReplicatorVt = 64,
    Slots = 72,
    WarmStats = 48,
    WarmerVt = 56,
}

/// Why a struct of the other side cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreadable {
    /// There is none.
    Null,
    /// Its address is not one that it can have.
    Misaligned,
    /// It says that it is smaller than any version, or larger than any can be.
    Size(u32),
}

impl core::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Null => f.write_str("it is null"),
            Self::Misaligned => f.write_str("its address is not aligned"),
            Self::Size(size) => write!(f, "it says that it has {size} bytes"),
        }
    }
}

/// A copy of a struct of the other side in the size that it has here: what the other side does not
/// have is zero, what it has more is left out.
///
/// # Errors
///
/// What is wrong with the pointer, or with the size that stands there.
///
/// # Safety
///
/// If it is neither null nor misaligned, the pointer must be to a live struct of this type in any
/// version, as long as its first field says. No reference to it is made, for it may be shorter than
/// `T`.
pub unsafe fn read_extensible<T: Extensible>(theirs: *const T) -> Result<T, Unreadable> {
    if theirs.is_null() {
        return Err(Unreadable::Null);
    }
    if !theirs.is_aligned() {
        return Err(Unreadable::Misaligned);
    }
    // SAFETY: live and aligned, and every version begins with its size.
    let says = unsafe { theirs.cast::<u32>().read() };
    let size = says as usize;
    if size < T::FIRST.min(size_of::<T>()) || size > LARGEST {
        return Err(Unreadable::Size(says));
    }
    let mut ours = MaybeUninit::<T>::zeroed();
    let common = size.min(size_of::<T>());
    // SAFETY: theirs is `size` bytes long, ours is as long as `T`, and `common` is not greater than
    // either; they do not overlap, as ours was just made.
    unsafe { ptr::copy_nonoverlapping(theirs.cast::<u8>(), ours.as_mut_ptr().cast(), common) };
    // SAFETY: zero is a valid value of every field, and the others are copies of valid ones, of the
    // same type since fields never change.
    Ok(unsafe { ours.assume_init() })
}
