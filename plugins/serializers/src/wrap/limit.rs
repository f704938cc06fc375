//! How large what a wrapper undoes may be.

use larder_core::{ByteSize, Result, WrapContext};

use super::{not_undone, not_wrapped};

/// The greatest value that is undone if nobody says.
const DEFAULT_MAX_SIZE: ByteSize = ByteSize(256 << 20);

pub(super) const fn default_max_size() -> ByteSize {
    DEFAULT_MAX_SIZE
}

/// A wrapper of a kind, and how large what it undoes may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) kind: &'static str,
    pub(super) max_size: ByteSize,
}

impl Limit {
    /// Refuses to wrap what could not be undone again.
    pub(super) fn check_wrap(self, size: usize) -> Result<()> {
        if size as u64 <= self.max_size.0 {
            return Ok(());
        }
        Err(not_wrapped(self.kind, "it is too large")
            .with("current_size", size)
            .with("max_size", self.max_size)
            .hint("raise `max_size` of the wrapper, or set `max_value_size` of the cache"))
    }

    /// The size as which wrapped bytes say that they will come out, if it may be.
    ///
    /// `growth` is how many bytes one can stand for at most, so that a wrong size in a few bytes
    /// never takes memory.
    pub(super) fn check_undo(
        self,
        size: u64,
        wrapped: usize,
        growth: usize,
        context: &WrapContext<'_>,
    ) -> Result<usize> {
        let most = self.max_size.0.min(context.max_size as u64);
        if size > most {
            return Err(not_undone(self.kind, "they stand for more than is allowed")
                .with("current_size", size)
                .with("max_size", most)
                .hint("if the entry is meant to be so large, raise `max_size` of the wrapper"));
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > wrapped.saturating_mul(growth) {
            return Err(
                not_undone(self.kind, "so few cannot stand for so many").with("current_size", size)
            );
        }
        Ok(size)
    }
}
