//! [`Flight`]: reads that travel together, and [`Seat`], which one of them waits in.

use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use larder_core::Bytes;
use tokio::time::Instant;

use crate::connection::link::Lost;
use crate::connection::resp;

/// How many reads a flight has at most.
const MOST_READS: usize = 128;

/// Writes a name behind what is there.
pub(crate) type Name<'a> = &'a (dyn Fn(&mut Vec<u8>) + Sync);

/// What somebody wants to read.
#[derive(Clone, Copy)]
pub(crate) struct Read<'a> {
    pub(crate) name: Name<'a>,
    /// What is read in the same instant, once for all that share it. Without it the reads of a
    /// flight are commands of their own, as a cluster wants them.
    pub(crate) head: Option<&'a Arc<str>>,
    /// How much of a flight it takes, of [`WHOLE_FLIGHT`].
    pub(crate) weight: usize,
    /// Whether there are none that come along with it, so that there is nobody to wait for.
    pub(crate) is_alone: bool,
}

/// What one flight can take.
pub(crate) const WHOLE_FLIGHT: usize = 256 * 1024;

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Landed {
    pub(crate) value: Option<Bytes>,
    pub(crate) head: Option<Bytes>,
    /// Whether it was the first of its flight.
    pub(crate) leads: bool,
}

/// Reads that travel together.
#[derive(Debug)]
pub(super) struct Flight {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    names: Vec<u8>,
    keys: Vec<Key>,
    heads: Vec<(Arc<str>, usize)>,
    is_one_command: bool,
    weight: usize,
}

#[derive(Debug)]
struct Key {
    /// Where its name ends; it begins where the one before ends.
    end: usize,
    is_sent: bool,
    state: KeyState,
}

#[derive(Debug)]
enum KeyState {
    /// It is read for others.
    Head(Option<Bytes>),
    /// Somebody waits until then at most, and has been seen waiting when there is a waker.
    Waiting(Option<Waker>, Instant),
    Landed(Option<Bytes>),
    /// The server says something else than what there is.
    Odd,
    Lost(Lost),
    /// Nobody waits any more.
    Gone,
}

impl Flight {
    pub(super) fn new(read: &Read<'_>) -> Self {
        let (names, keys) = (Vec::with_capacity(256), Vec::with_capacity(2));
        let is_one_command = read.head.is_some();
        let inner = Inner { names, keys, heads: Vec::new(), is_one_command, weight: 0 };
        Self { inner: Mutex::new(inner) }
    }

    /// Takes a read along, if there is room.
    pub(super) fn board(self: &Arc<Self>, read: &Read<'_>, deadline: Instant) -> Option<Seat> {
        let mut inner = self.lock();
        let is_first = inner.keys.is_empty();
        let has_room = inner.weight + read.weight <= WHOLE_FLIGHT && inner.keys.len() < MOST_READS;
        if !(is_first || has_room && inner.is_one_command == read.head.is_some()) {
            return None;
        }
        inner.weight += read.weight;
        let head = read.head.map(|head| inner.place_of(head));
        (read.name)(&mut inner.names);
        let at = inner.push(KeyState::Waiting(None, deadline));
        Some(Seat { flight: Arc::clone(self), at, head, leads: is_first, is_over: false })
    }

    /// Writes the commands of those who still wait; how many answers there will be.
    pub(super) fn depart(&self, out: &mut Vec<u8>) -> usize {
        let mut inner = self.lock();
        let waiting = inner.keys.iter().filter(|key| key.is_waited_for()).count();
        if waiting == 0 {
            return 0;
        }
        let Inner { names, keys, heads, is_one_command, .. } = &mut *inner;
        if *is_one_command {
            resp::write_command(out, 1 + heads.len() + waiting);
            resp::write_word(out, "MGET");
        }
        let mut start = 0;
        for key in keys {
            let name = &names[mem::replace(&mut start, key.end)..key.end];
            key.is_sent = key.is_waited_for() || matches!(key.state, KeyState::Head(_));
            if !key.is_sent {
                continue;
            }
            if !*is_one_command {
                resp::write_command(out, 2);
                resp::write_word(out, "GET");
            }
            resp::write_word(out, name);
        }
        if *is_one_command { 1 } else { waiting }
    }

    /// Gives those who wait what the server answered.
    pub(super) fn land<'a>(&self, mut answers: impl Iterator<Item = &'a [u8]>) {
        let mut inner = self.lock();
        let count = inner.keys.iter().filter(|key| key.is_sent).count();
        let mut all = match inner.is_one_command {
            true => answers.next().and_then(|answer| resp::Strings::of_list(answer, count)),
            false => None,
        };
        let mut next = || match &mut all {
            Some(all) => all.next(),
            None => resp::Strings::of_string(answers.next()?).next(),
        };
        let mut wakers = Vec::with_capacity(count);
        for key in inner.keys.iter_mut().filter(|key| key.is_sent) {
            let answer = next();
            match &mut key.state {
                KeyState::Head(head) => *head = answer.flatten(),
                KeyState::Waiting(waker, _) => {
                    wakers.extend(waker.take());
                    key.state = answer.map_or(KeyState::Odd, KeyState::Landed);
                }
                _ => {}
            }
        }
        drop(inner);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Tells those who wait that there will be no answer.
    pub(super) fn lose(&self) {
        self.end_those(Lost::Broken, |_| true);
    }

    /// Tells those whose time is over; when the next one's is, if anybody waits.
    pub(super) fn expire(&self, now: Instant) -> Option<Instant> {
        self.end_those(Lost::Late, |deadline| deadline <= now)
    }

    fn end_those(&self, lost: Lost, is_over: impl Fn(Instant) -> bool) -> Option<Instant> {
        let mut inner = self.lock();
        let (mut wakers, mut next) = (Vec::new(), None::<Instant>);
        for key in &mut inner.keys {
            match &mut key.state {
                KeyState::Waiting(waker, deadline) if is_over(*deadline) => {
                    wakers.extend(waker.take());
                    key.state = KeyState::Lost(lost);
                }
                KeyState::Waiting(_, deadline) => {
                    next = Some(next.map_or(*deadline, |next| next.min(*deadline)));
                }
                _ => {}
            }
        }
        drop(inner);
        wakers.into_iter().for_each(Waker::wake);
        next
    }

    /// How many seats are taken, or were once.
    pub(super) fn seats(&self) -> usize {
        let inner = self.lock();
        inner.keys.len() - inner.heads.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn push(&mut self, state: KeyState) -> usize {
        self.keys.push(Key { end: self.names.len(), is_sent: false, state });
        self.keys.len() - 1
    }

    /// The place of what is read for others.
    fn place_of(&mut self, head: &Arc<str>) -> usize {
        let is_it = |(known, _): &&(Arc<str>, usize)| Arc::ptr_eq(known, head);
        if let Some((_, at)) = self.heads.iter().find(is_it) {
            return *at;
        }
        self.names.extend_from_slice(head.as_bytes());
        let at = self.push(KeyState::Head(None));
        self.heads.push((Arc::clone(head), at));
        at
    }
}

impl Key {
    const fn is_waited_for(&self) -> bool {
        matches!(self.state, KeyState::Waiting(..))
    }
}

/// A place in a flight. Whoever drops it is not asked for any more, if there is still time.
#[derive(Debug)]
pub(crate) struct Seat {
    flight: Arc<Flight>,
    at: usize,
    head: Option<usize>,
    /// Whether it was the first. What happens to a flight happens to its server once, not once for
    /// each seat.
    pub(crate) leads: bool,
    is_over: bool,
}

impl Seat {
    /// Waits for the answer and makes something of it: of the value, and of what was read for all.
    /// Nothing where the server said something that has to be asked for in another way.
    pub(crate) fn poll_with<R>(
        &mut self,
        context: &mut Context<'_>,
        make: impl FnOnce(Option<Bytes>, Option<&Bytes>) -> R,
    ) -> Poll<Result<Option<R>, Lost>> {
        let mut inner = self.flight.lock();
        let output = match &mut inner.keys[self.at].state {
            KeyState::Waiting(waker, _) => {
                match waker {
                    Some(waker) => waker.clone_from(context.waker()),
                    None => *waker = Some(context.waker().clone()),
                }
                return Poll::Pending;
            }
            KeyState::Landed(value) => {
                let value = value.take();
                let head = match self.head.map(|head| &inner.keys[head].state) {
                    Some(KeyState::Head(head)) => head.as_ref(),
                    _ => None,
                };
                Ok(Some(make(value, head)))
            }
            KeyState::Lost(lost) => Err(*lost),
            KeyState::Odd | KeyState::Gone | KeyState::Head(_) => Ok(None),
        };
        drop(inner);
        self.is_over = true;
        Poll::Ready(output)
    }
}

impl Future for Seat {
    /// Nothing where the server said something that has to be asked for in another way.
    type Output = Result<Option<Landed>, Lost>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let leads = self.leads;
        self.poll_with(context, |value, head| Landed { value, head: head.cloned(), leads })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.is_over {
            self.flight.lock().keys[self.at].state = KeyState::Gone;
        }
    }
}
