//! [`Keep`], how a slot keeps a value: as it is ([`Whole`]), or as one of two kinds of which the
//! common one takes no more room than itself ([`Split`]).

#![expect(unsafe_code, reason = "which of two values lies in a slot is told by a flag elsewhere")]

use std::fmt;
use std::mem::ManuallyDrop;

/// How a [`Store`](crate::Store) keeps values of type `V` in its slots.
///
/// Each slot has one spare bit. A way to keep values may use it instead of a tag of its own, which
/// would take as much room as the alignment of the value.
///
/// Sealed: the ways are [`Whole`] and [`Split`].
pub trait Keep<V>: sealed::Sealed + 'static {
    /// What lies in a slot.
    type Kept;
    /// What a look-up is shown.
    type Seen<'a>: Copy
    where
        V: 'a;

    /// Whether a value without the spare bit has to be dropped.
    const NEEDS_DROP: bool;

    /// Makes of a value what lies in a slot, and the spare bit.
    fn keep(value: V) -> (Self::Kept, bool);

    /// Shows what lies in a slot.
    ///
    /// # Safety
    ///
    /// [`keep`](Self::keep) made it, with this bit.
    unsafe fn see<'a>(kept: &'a Self::Kept, bit: bool) -> Self::Seen<'a>
    where
        V: 'a;

    /// Shows a value that lies in no slot.
    fn show(value: &V) -> Self::Seen<'_>;

    /// Makes the value again.
    ///
    /// # Safety
    ///
    /// As for [`see`](Self::see).
    unsafe fn take(kept: Self::Kept, bit: bool) -> V;

    /// A clone of the value that is seen.
    fn to_value(seen: Self::Seen<'_>) -> V
    where
        V: Clone;
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for super::Whole {}
    impl Sealed for super::Split {}
}

/// Values are kept as they are.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Whole;

impl<V> Keep<V> for Whole {
    type Kept = V;
    type Seen<'a>
        = &'a V
    where
        V: 'a;

    const NEEDS_DROP: bool = std::mem::needs_drop::<V>();

    #[inline(always)]
    fn keep(value: V) -> (V, bool) {
        (value, false)
    }

    #[inline(always)]
    unsafe fn see<'a>(kept: &'a V, _: bool) -> &'a V
    where
        V: 'a,
    {
        kept
    }

    fn show(value: &V) -> &V {
        value
    }

    #[inline(always)]
    unsafe fn take(kept: V, _: bool) -> V {
        kept
    }

    #[inline(always)]
    fn to_value(seen: &V) -> V
    where
        V: Clone,
    {
        seen.clone()
    }
}

/// A value of the common kind, or something rare behind a pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a slot has one spare bit")]
pub enum Held<V, X> {
    /// The common kind, kept without a tag.
    Plain(V),
    /// The rare kind.
    Other(Box<X>),
}

/// A [`Held`] value in its slot.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a slot has one spare bit")]
pub enum Seen<'a, V, X> {
    /// The common kind.
    Plain(&'a V),
    /// The rare kind.
    Other(&'a X),
}

impl<V, X> Clone for Seen<'_, V, X> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V, X> Copy for Seen<'_, V, X> {}

impl<V, X> Held<V, X> {
    /// The value as a look-up would see it.
    pub fn seen(&self) -> Seen<'_, V, X> {
        match self {
            Self::Plain(value) => Seen::Plain(value),
            Self::Other(other) => Seen::Other(other),
        }
    }
}

/// [`Held`] values are kept without a tag: one of the common kind takes the room of a `V`, or of a
/// pointer if that is larger.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Split;

/// What [`Split`] keeps. Which of the two it is tells the bit: set for the other.
pub union Untagged<V, X> {
    plain: ManuallyDrop<V>,
    other: ManuallyDrop<Box<X>>,
}

impl<V, X> fmt::Debug for Untagged<V, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Untagged").finish_non_exhaustive()
    }
}

impl<V: Clone, X: Clone> Keep<Held<V, X>> for Split {
    type Kept = Untagged<V, X>;
    type Seen<'a>
        = Seen<'a, V, X>
    where
        Held<V, X>: 'a;

    const NEEDS_DROP: bool = std::mem::needs_drop::<V>();

    #[inline(always)]
    fn keep(value: Held<V, X>) -> (Untagged<V, X>, bool) {
        match value {
            Held::Plain(value) => (Untagged { plain: ManuallyDrop::new(value) }, false),
            Held::Other(other) => (Untagged { other: ManuallyDrop::new(other) }, true),
        }
    }

    #[inline(always)]
    unsafe fn see<'a>(kept: &'a Untagged<V, X>, bit: bool) -> Seen<'a, V, X>
    where
        Held<V, X>: 'a,
    {
        if bit {
            // SAFETY: the caller's bit says that this is the other kind.
            Seen::Other(unsafe { &kept.other })
        } else {
            // SAFETY: the caller's bit says that this is the common kind.
            Seen::Plain(unsafe { &kept.plain })
        }
    }

    fn show(value: &Held<V, X>) -> Seen<'_, V, X> {
        value.seen()
    }

    #[inline(always)]
    unsafe fn take(kept: Untagged<V, X>, bit: bool) -> Held<V, X> {
        if bit {
            // SAFETY: the caller's bit says that this is the other kind.
            Held::Other(ManuallyDrop::into_inner(unsafe { kept.other }))
        } else {
            // SAFETY: the caller's bit says that this is the common kind.
            Held::Plain(ManuallyDrop::into_inner(unsafe { kept.plain }))
        }
    }

    #[inline(always)]
    fn to_value(seen: Seen<'_, V, X>) -> Held<V, X> {
        match seen {
            Seen::Plain(value) => Held::Plain(value.clone()),
            Seen::Other(other) => Held::Other(Box::new(other.clone())),
        }
    }
}
