//! [`Session`]: one connection to a server, and what was found out over it.

use std::sync::{Mutex, PoisonError};

use redis::Value;

use super::breaker::{Breaker, Permit};
use crate::connection::Lane;
use crate::connection::greeting::Expect;
use crate::connection::lanes::Lanes;
use crate::topology::answers::{self, Trouble};

/// One connection to the server, and what its callers have found out over it.
///
/// Each connection has one of its own. Callers who still wait for the answers of the connection
/// before can thereby say nothing about the one that took its place: neither that its server does
/// not answer, nor that it does, nor that it should be replaced as well.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) lanes: Lanes,
    pub(super) breaker: Breaker,
    /// The one for large values: a line that is too thin for them says nothing about small ones.
    pub(super) bulk_breaker: Breaker,
    /// Why it has to be made anew, once that is known.
    renewal: Mutex<Option<&'static str>>,
}

impl Session {
    pub(super) fn new(lanes: Lanes) -> Self {
        let (breaker, bulk_breaker) = (Breaker::new(), Breaker::new());
        Self { lanes, breaker, bulk_breaker, renewal: Mutex::new(None) }
    }

    /// The right to send something over a lane, unless it has left others waiting.
    pub(super) fn admit(&self, lane: Lane) -> Option<Permit<'_>> {
        match lane {
            Lane::Bulk => self.bulk_breaker.admit(),
            Lane::Small | Lane::Blocking => self.breaker.admit(),
        }
    }

    /// Takes notice of answers that say that the connection is of no use any more; whether any did.
    pub(super) fn heed(&self, answers: &[Value], expect: Expect) -> bool {
        if !answers::has_trouble(answers) {
            return false;
        }
        let troubles = answers.iter().filter_map(|answer| Trouble::of(answer, None));
        let Some(why) = troubles.filter_map(|trouble| trouble.ends_connection(expect)).next()
        else {
            return false;
        };
        *self.renewal.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        true
    }

    /// Why it has to be made anew, if it has.
    pub(super) fn renewal(&self) -> Option<&'static str> {
        *self.renewal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
