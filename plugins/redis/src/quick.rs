//! [`Get`], the future of a get.
//!
//! Nearly all gets are of small entries, on one server that is connected to and well. Those take a
//! seat in a flight as they begin, and what comes back is mostly an entry of the generation that
//! is known. All others go the long way, [`Space::get`], and so does a get whose answer turns out
//! to be anything else.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use larder_core::{Bytes, Entry, ErrorKind, Result, envelope};

use crate::connection::line::Read;
use crate::connection::{Lane, Route};
use crate::keys::Generation;
use crate::read::Company;
use crate::space::Space;
use crate::supervisor::Boarded;

/// A get, which begins when it is first polled.
pub(crate) struct Get<'a> {
    space: &'a Space,
    key: &'a str,
    way: Way<'a>,
}

enum Way<'a> {
    Undecided,
    Quick(Quick<'a>),
    Long(BoxFuture<'a, Result<Option<Entry>>>),
}

/// A seat, and what it was taken for.
struct Quick<'a> {
    seat: Boarded<'a>,
    generation: Generation,
    weight: usize,
}

impl Space {
    /// Reads an entry that nobody else is read along with.
    pub(crate) const fn get_alone<'a>(&'a self, key: &'a str) -> Get<'a> {
        Get { space: self, key, way: Way::Undecided }
    }

    /// Takes a seat, if the key may be read that way.
    fn board(&self, key: &str) -> Option<Quick<'_>> {
        let generation = self.known();
        let is_known = generation != Generation::default();
        if !is_known || self.recent.is_some() || self.sizes.lane(key) != Lane::Small {
            return None;
        }
        let weight = self.sizes.weight();
        let name = |out: &mut Vec<u8>| self.keys.write_entry(out, generation, key);
        let read = Read { name: &name, head: Some(&self.keys.control), weight, is_alone: true };
        let seat = self.connection.board(Route::Key(&self.keys.control), &read)?;
        Some(Quick { seat, generation, weight })
    }

    /// What was read, if it is an entry or nothing, and of the current generation.
    fn take(&self, key: &str, landed: Option<(Option<Bytes>, bool)>) -> Option<Option<Entry>> {
        let (value, is_latest) = landed?;
        self.batched_keys.fetch_add(1, Ordering::Relaxed);
        if !is_latest {
            return None;
        }
        let Some(mut bytes) = value else { return Some(None) };
        self.sizes.note(key, bytes.len());
        let entry = envelope::decode_owned(&mut bytes).ok()?;
        // Whoever lives for ever need not ask for the time.
        let is_over = entry.meta.hard_deadline.is_some() && entry.meta.is_dead(self.now());
        Some((!is_over).then_some(entry))
    }
}

impl Quick<'_> {
    /// `None` is something that has to be asked for the long way.
    fn poll(
        &mut self,
        space: &Space,
        key: &str,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Option<Entry>>>> {
        let generation = self.generation;
        let outcome = ready!(self.seat.poll_with(context, |value, head| {
            (value, space.is_latest(generation, head.map(AsRef::as_ref)))
        }));
        let outcome = outcome.inspect_err(|error| {
            if error.kind() == ErrorKind::Timeout {
                space.sizes.was_late(self.weight);
            }
        });
        space.batches.fetch_add(u64::from(self.seat.leads() && outcome.is_ok()), Ordering::Relaxed);
        Poll::Ready(outcome.map(|landed| space.take(key, landed)))
    }
}

impl Future for Get<'_> {
    type Output = Result<Option<Entry>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { space, key, way } = &mut *self;
        let long = || Way::Long(Box::pin(space.get(key, Company::Alone)));
        loop {
            match way {
                Way::Undecided => *way = space.board(key).map_or_else(long, Way::Quick),
                Way::Quick(quick) => match ready!(quick.poll(space, key, context)).transpose() {
                    Some(outcome) => return Poll::Ready(outcome),
                    None => *way = long(),
                },
                Way::Long(get) => return get.as_mut().poll(context),
            }
        }
    }
}
