//! [`Transfer`], a reader or writer that shows on the terminal how much went through it.

use std::fmt;
use std::io::{self, Read, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Counts the bytes that pass, on a bar on stderr which goes away in the end.
pub(crate) struct Transfer<T> {
    inner: T,
    bar: ProgressBar,
}

impl<T> Transfer<T> {
    /// A bar if anybody sees it, with an end if that is known.
    pub(crate) fn new(inner: T, message: String, length: Option<u64>, is_shown: bool) -> Self {
        let target =
            if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(length, target);
        let template = match length {
            Some(_) => " {msg}  {bar:26} {percent:>3}%  {bytes}  {elapsed}",
            None => " {msg}  {bytes}  {elapsed}",
        };
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.expect("the templates here are valid"));
        bar.set_message(message);
        Self { inner, bar }
    }

    /// What was read or written.
    pub(crate) fn into_inner(self) -> T {
        self.bar.finish_and_clear();
        self.inner
    }
}

impl<T: Read> Read for Transfer<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bar.inc(read as u64);
        Ok(read)
    }
}

impl<T: Write> Write for Transfer<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bar.inc(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T> fmt::Debug for Transfer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transfer({})", self.bar.position())
    }
}
