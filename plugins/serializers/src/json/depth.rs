//! [`Limited`], which keeps JSON from being written deeper than it can be read.

use std::io;

use serde_json::ser::Formatter;

use crate::MAX_DEPTH;

/// A formatter that refuses to open more than [`MAX_DEPTH`] arrays and objects at a time.
///
/// The reader has a limit of its own. Without the same limit here a deep value could be stored
/// but never be read, so every call would load it again.
pub(super) struct Limited<F> {
    inner: F,
    open: usize,
}

impl<F> Limited<F> {
    pub(super) const fn new(inner: F) -> Self {
        Self { inner, open: 0 }
    }

    fn enter(&mut self) -> io::Result<()> {
        self.open += 1;
        if self.open > MAX_DEPTH {
            let message = format!("the value is nested deeper than `{MAX_DEPTH}` levels");
            return Err(io::Error::other(message));
        }
        Ok(())
    }
}

/// Passes a call on to the inner formatter.
macro_rules! forward {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {$(
        fn $name<W: ?Sized + io::Write>(
            &mut self,
            writer: &mut W,
            $($argument: $type),*
        ) -> io::Result<()> {
            self.inner.$name(writer, $($argument),*)
        }
    )*};
}

/// Only what the two formatters of `serde_json` override is passed on: punctuation. Scalars are
/// written the same way by both.
impl<F: Formatter> Formatter for Limited<F> {
    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.enter()?;
        self.inner.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open -= 1;
        self.inner.end_array(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.enter()?;
        self.inner.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open -= 1;
        self.inner.end_object(writer)
    }

    forward! {
        begin_array_value(first: bool);
        end_array_value();
        begin_object_key(first: bool);
        end_object_key();
        begin_object_value();
        end_object_value();
    }
}
