//! [`Reading`]: a read that has to be waited for, of a tier that is well.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use larder_core::clock::Sleep;
use larder_core::{Entry, Result};
use tokio::runtime::Handle;

use super::{ByteTier, Watch};
use crate::breaker::{Breaker, End};

/// A read under way. It is limited, counted and reported as any [`call`](ByteTier::call), in one
/// future instead of several, which is most of what such a call costs in this process.
pub(crate) struct Reading<'a> {
    call: BoxFuture<'a, Result<Option<Entry>>>,
    timer: Timer,
    tier: &'a ByteTier,
    watch: Watch<'a>,
}

/// What ends a read that takes too long.
enum Timer {
    /// There is none yet: nothing was waited for.
    Unset,
    Set(Sleep),
    /// Outside of a runtime there is none, and the read takes as long as it takes.
    None,
}

impl ByteTier {
    /// Reads a key, if every call is let through and no invalidation waits. `None` means that
    /// nothing was done and the tier has to be [called](Self::call).
    pub(crate) fn read<'a>(&'a self, key: &'a str) -> Option<Reading<'a>> {
        let is_closed = self.breaker.as_ref().is_none_or(Breaker::is_closed);
        (is_closed && self.recovery.is_empty()).then(|| Reading {
            call: self.backend.get(key),
            timer: Timer::Unset,
            tier: self,
            watch: Watch::free(self, End::Unknown),
        })
    }
}

impl Future for Reading<'_> {
    type Output = Result<Option<Entry>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let tier = this.tier;
        let outcome = match this.call.as_mut().poll(context) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => {
                ready!(this.timer.poll(tier, context));
                Err(tier.late(tier.timeout))
            }
        };
        let outcome = outcome.map_err(|error| tier.failed(error, "get"));
        this.watch.end = tier.end_of(&outcome, false);
        Poll::Ready(outcome)
    }
}

impl Timer {
    /// Whether the time is over, which begins with the first time that this is asked.
    fn poll(&mut self, tier: &ByteTier, context: &mut Context<'_>) -> Poll<()> {
        if let Self::Unset = self {
            *self = match Handle::try_current() {
                Ok(_) => Self::Set(tier.clock.sleep(tier.timeout)),
                Err(_) => Self::None,
            };
        }
        match self {
            Self::Set(timer) => timer.as_mut().poll(context),
            Self::Unset | Self::None => Poll::Pending,
        }
    }
}
