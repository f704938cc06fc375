//! [`Bounds`], how deep a value may be and how many elements it may have.
//!
//! Nothing in the bytes says what they are, so they cannot be checked before they are read, and
//! the `postcard` crate has no limits: a byte for each level of a recursive type overflows the
//! stack, and ten bytes can claim 2^64 elements that take no bytes. So what goes in and out is
//! counted while it passes.

use std::cell::Cell;
use std::fmt;

use crate::MAX_DEPTH;

/// What passes, with what is counted.
///
/// Stands around a serializer or deserializer, and around all that serde hands out of it.
pub(super) struct Bounded<'b, T> {
    pub(super) inner: T,
    pub(super) bounds: &'b Bounds,
}

/// Counts levels and elements.
#[derive(Debug)]
pub(super) struct Bounds {
    depth: Cell<usize>,
    elements: Cell<u64>,
    max_elements: u64,
    exceeded: Cell<Option<BoundsError>>,
}

impl Bounds {
    pub(super) const fn new(max_elements: u64) -> Self {
        let (depth, elements, exceeded) = (Cell::new(0), Cell::new(0), Cell::new(None));
        Self { depth, elements, max_elements, exceeded }
    }

    /// How many elements so many bytes may hold: one each, and some that take no bytes.
    pub(super) const fn most_elements(bytes: usize) -> u64 {
        bytes as u64 + 256
    }

    /// Begins a level, which ends with what is returned.
    pub(super) fn enter(&self) -> Result<Level<'_>, BoundsError> {
        if self.depth.get() == MAX_DEPTH {
            return Err(self.exceed(BoundsError::TooDeep));
        }
        self.depth.set(self.depth.get() + 1);
        Ok(Level { depth: &self.depth })
    }

    /// Counts an element of a sequence or map.
    pub(super) fn count(&self) -> Result<(), BoundsError> {
        if self.elements.get() == self.max_elements {
            return Err(self.exceed(BoundsError::TooManyElements));
        }
        self.elements.set(self.elements.get() + 1);
        Ok(())
    }

    /// Notes the error, because `postcard` forgets what errors say.
    fn exceed(&self, error: BoundsError) -> BoundsError {
        self.exceeded.set(Some(error));
        error
    }

    /// Which bound was exceeded, if one was.
    pub(super) fn exceeded(&self) -> Option<BoundsError> {
        self.exceeded.get()
    }

    /// How many elements were counted.
    pub(super) fn elements(&self) -> u64 {
        self.elements.get()
    }

    /// How many elements may still come, for those that make room ahead.
    pub(super) fn elements_left(&self) -> usize {
        usize::try_from(self.max_elements - self.elements.get()).unwrap_or(usize::MAX)
    }
}

/// A level of the nesting while it lasts.
#[derive(Debug)]
pub(super) struct Level<'b> {
    depth: &'b Cell<usize>,
}

impl Drop for Level<'_> {
    fn drop(&mut self) {
        self.depth.set(self.depth.get() - 1);
    }
}

/// What is out of bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BoundsError {
    /// Bytes follow after the end of the value.
    LeftOver,
    /// The value is nested too deep.
    TooDeep,
    /// There are far more elements than bytes.
    TooManyElements,
}

impl fmt::Display for BoundsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeftOver => f.write_str("there are bytes after the end of the value"),
            Self::TooDeep => write!(f, "the value is nested deeper than `{MAX_DEPTH}` levels"),
            Self::TooManyElements => f.write_str("there are far more elements than bytes"),
        }
    }
}

impl std::error::Error for BoundsError {}
