//! [`Grace`], things that are out of reach and wait until nobody can see them any more.

use crate::threads;

/// Things in the order in which they were taken out of reach, under one lock.
pub(crate) struct Grace<T> {
    /// Out of reach, in a period that is still open.
    open: Vec<T>,
    /// Out of reach since before `stamp`.
    closed: Vec<T>,
    stamp: u64,
}

impl<T> Grace<T> {
    pub(crate) const fn new() -> Self {
        Self { open: Vec::new(), closed: Vec::new(), stamp: 0 }
    }

    /// Takes a thing that nobody can find any more.
    #[inline]
    pub(crate) fn push(&mut self, thing: T) {
        self.open.push(thing);
    }

    /// How many wait in the open period.
    #[inline]
    pub(crate) const fn open(&self) -> usize {
        self.open.len()
    }

    pub(crate) const fn len(&self) -> usize {
        self.open.len() + self.closed.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.closed.iter().chain(&self.open)
    }

    /// Hands over what nobody can see any more. The caller holds the lock under which everything
    /// was taken out of reach.
    ///
    /// Cost: about a microsecond, mostly the barrier, if there is anything in the open period.
    pub(crate) fn reclaim(&mut self, mut take: impl FnMut(T)) {
        if !self.closed.is_empty() && threads::is_over(self.stamp) {
            self.closed.drain(..).for_each(&mut take);
        }
        if !self.closed.is_empty() || self.open.is_empty() {
            return;
        }
        let Some(stamp) = threads::close_period() else { return };
        self.stamp = stamp;
        std::mem::swap(&mut self.open, &mut self.closed);
        if threads::is_over(stamp) {
            self.closed.drain(..).for_each(&mut take);
        }
    }
}
