//! [`Boarded`]: a read that took its seat at once, for the server is connected to and well.
//!
//! That is nearly every read. It needs none of the futures in which others wait for a connection,
//! a socket or the right to try.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use larder_core::{Bytes, Result};
use tokio::time::Instant;

use super::Endpoint;
use super::session::Session;
use crate::connection::line::{Read, Seat};
use crate::connection::link::Link;

/// A read under way.
#[derive(Debug)]
pub(crate) struct Boarded<'a> {
    endpoint: &'a Endpoint,
    session: Arc<Session>,
    link: Arc<Link>,
    seat: Seat,
}

impl Endpoint {
    /// Takes a seat for a read; `None` where that has to be waited for, or cannot be.
    pub(crate) fn board(
        &self,
        affinity: usize,
        read: &Read<'_>,
        deadline: Instant,
    ) -> Option<Boarded<'_>> {
        let session = self.core.session().filter(|session| session.breaker.is_closed())?;
        let link = session.lanes.ready(affinity)?;
        let seat = link.board(read, deadline).ok()??;
        Some(Boarded { endpoint: self, session, link, seat })
    }
}

impl Boarded<'_> {
    /// Whether it is the first of its flight.
    pub(crate) const fn leads(&self) -> bool {
        self.seat.leads
    }

    /// Waits for the answer; see [`Seat::poll_with`].
    ///
    /// # Errors
    ///
    /// Those of [`Endpoint::read`].
    pub(crate) fn poll_with<R>(
        &mut self,
        context: &mut Context<'_>,
        make: impl FnOnce(Option<Bytes>, Option<&Bytes>) -> R,
    ) -> Poll<Result<Option<R>>> {
        let outcome = ready!(self.seat.poll_with(context, make));
        let permit = self.seat.leads.then(|| self.session.breaker.of_any());
        Poll::Ready(match (outcome, permit) {
            (Ok(made), None) => Ok(made),
            (Ok(made), Some(permit)) => {
                permit.succeeded();
                Ok(made)
            }
            (Err(lost), permit) => {
                self.link.note_lost(lost);
                Err(self.endpoint.missed(&self.session, &self.link, lost, permit))
            }
        })
    }
}
