//! [`Link`], questions to a runner, and who waits for the answers.

use std::collections::HashMap;
use std::future::Future;
use std::io::{BufReader, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

use larder_core::{CacheError, Clock, ErrorKind, Moment, Result, Timestamp};
use tokio::sync::oneshot;

use super::child::{self, Child, Pipe};
use super::silence::Silence;
use super::wire::{Ask, FrameError, Greeting, Outbox, Question, Reply, Tell, Unsent, frame};

mod said;

/// How long a runner that was told to end may take for it.
const ENDING: Duration = Duration::from_secs(5);

/// A runner takes in what it is told whatever its plugin does. One that takes in nothing for so
/// long never will.
const STALLED: Duration = Duration::from_secs(5);

/// What is done with the answer to a question.
type Waiter = Box<dyn FnOnce(Result<Reply>) + Send>;

/// A connection to a runner, as long as both live.
#[derive(Debug)]
pub(super) struct Link {
    /// Tells it from those before and after it.
    pub(super) number: u64,
    plugin: Arc<str>,
    outbox: Outbox,
    waiters: Mutex<Waiters>,
    next: AtomicU64,
    child: Child,
    clock: Arc<dyn Clock>,
    silence: Mutex<Silence>,
    is_over: Mutex<bool>,
    over: Condvar,
}

/// Who waits, by the number of the question.
#[derive(Default)]
struct Waiters {
    by_id: HashMap<u64, Waiter>,
    /// Why there is nobody any more, once the runner has ended.
    ended: Option<String>,
    /// Why it was killed, if it was.
    killed: Option<&'static str>,
}

impl std::fmt::Debug for Waiters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} waiters, {:?}", self.by_id.len(), self.ended)
    }
}

/// What a question is asked with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    /// The time of the caller.
    pub(super) now: Timestamp,
    /// How long the caller waits.
    pub(super) within: Duration,
}

impl Link {
    /// Starts a runner. When it has ended, `on_end` is called with the reason, after all who wait
    /// got an error.
    pub(super) fn open(
        runner: &Path,
        plugin: &Arc<str>,
        clock: Arc<dyn Clock>,
        on_end: impl FnOnce(&Arc<Self>, &str) + Send + 'static,
    ) -> Result<Arc<Self>, Greeting> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let (child, stream) = child::start(runner, plugin)?;
        let link = Arc::new(Self {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            plugin: Arc::clone(plugin),
            outbox: Outbox::default(),
            waiters: Mutex::default(),
            next: AtomicU64::new(1),
            child,
            clock,
            silence: Mutex::default(),
            is_over: Mutex::new(false),
            over: Condvar::new(),
        });
        let begun = stream.try_clone().and_then(|writes| {
            let writer = Arc::clone(&link);
            child::thread("write").spawn(move || writer.write(&writes))?;
            let (waiter, ends) = (Arc::clone(&link), stream.try_clone()?);
            child::thread("wait").spawn(move || waiter.wait(&ends))?;
            let reader = Arc::clone(&link);
            child::thread("read").spawn(move || reader.read(stream, on_end))
        });
        if let Err(error) = begun {
            link.outbox.close();
            link.child.end();
            return Err(Greeting::Io(error));
        }
        Ok(link)
    }

    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn silence(&self) -> MutexGuard<'_, Silence> {
        self.silence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it can be asked.
    pub(super) fn is_alive(&self) -> bool {
        self.waiters().ended.is_none()
    }

    /// Why it cannot be asked any more.
    pub(super) fn why(&self) -> Option<String> {
        self.waiters().ended.clone()
    }

    /// Ends the runner at once.
    pub(super) fn kill(&self) {
        self.child.kill();
    }

    /// Asks, and waits on this thread.
    pub(super) fn ask_here(&self, due: Due, what: Question) -> Result<Reply> {
        self.wait_here(due, what).unwrap_or_else(|| Err(overdue(due.within)))
    }

    /// Asks, and waits on this thread. A runner that does not answer in time is ended.
    ///
    /// When it ends before it has answered, asking again is not said to help: the question may be
    /// what ended it.
    pub(super) fn ask_or_kill(&self, due: Due, what: Question) -> Result<Reply> {
        let Some(answer) = self.wait_here(due, what) else {
            self.kill_because("it did not answer in time, and was killed");
            return Err(overdue(due.within).retryable(false));
        };
        answer.map_err(|error| if self.is_alive() { error } else { error.retryable(false) })
    }

    /// What is answered in time.
    fn wait_here(&self, due: Due, what: Question) -> Option<Result<Reply>> {
        let (sender, receiver) = mpsc::channel();
        let asked = self.clock.now();
        let sent = self.send(due, what, Box::new(move |reply| drop(sender.send(reply))));
        let id = match sent {
            Ok(id) => id,
            Err(error) => return Some(Err(error)),
        };
        let answer = receiver.recv_timeout(due.within).ok();
        if answer.is_none() {
            self.give_up(id, asked);
        }
        answer
    }

    /// Asks; the future is the answer.
    pub(super) fn ask(self: &Arc<Self>, due: Due, what: Question) -> Result<Asked> {
        let (sender, receiver) = oneshot::channel();
        let asked = self.clock.now();
        let id = self.send(due, what, Box::new(move |reply| drop(sender.send(reply))))?;
        Ok(Asked { receiver, link: Arc::clone(self), id, asked })
    }

    /// Says something that has no answer.
    pub(super) fn tell(&self, what: Question) {
        let ask = self.message(0, Due { now: Timestamp::default(), within: Duration::ZERO }, what);
        // A runner that cannot be told has ended, and everything in it with it; or it hangs.
        drop(self.outbox.push(&ask));
    }

    /// Has the runner end after all that it was told.
    pub(super) fn close(&self) {
        self.outbox.close();
    }

    fn message(&self, id: u64, due: Due, what: Question) -> Ask {
        let within_us = u64::try_from(due.within.as_micros()).unwrap_or(u64::MAX);
        Ask { id, now_us: due.now.as_micros(), within_us, level: said::wanted(), what }
    }

    fn send(&self, due: Due, what: Question, waiter: Waiter) -> Result<u64> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut waiters = self.waiters();
        if let Some(why) = &waiters.ended {
            return Err(ended(why));
        }
        waiters.by_id.insert(id, waiter);
        drop(waiters);
        let Err(unsent) = self.outbox.push(&self.message(id, due, what)) else { return Ok(id) };
        self.waiters().by_id.remove(&id);
        Err(match unsent {
            Unsent::Closed => ended("it was closed"),
            Unsent::Full => CacheError::new(
                ErrorKind::Connection,
                "the process of the plugin does not take in what it is told",
            ),
            Unsent::Unfit(error @ FrameError::TooLong(_)) => {
                CacheError::transparent(ErrorKind::Capacity, error)
            }
            Unsent::Unfit(error) => CacheError::transparent(ErrorKind::Plugin, error),
        })
    }

    /// Nobody waits for the answer any more.
    fn give_up(&self, id: u64, asked: Moment) {
        if self.waiters().by_id.remove(&id).is_none() {
            return;
        }
        self.tell(Question::Cancel(id));
        let is_hung = self.silence().given_up(asked, self.clock.now());
        if is_hung {
            self.kill_because("it did not answer any more, and was killed");
        }
    }

    fn kill_because(&self, why: &'static str) {
        self.waiters().killed.get_or_insert(why);
        self.child.kill();
    }

    fn write(&self, stream: &UnixStream) {
        // Without it a runner that stands still would keep this thread, and never be ended.
        drop(stream.set_write_timeout(Some(STALLED)));
        while let Some(bytes) = self.outbox.take() {
            if Pipe(stream).write_all(&bytes).is_err() {
                break;
            }
        }
        self.outbox.close();
        // To a runner that has ended this is nothing.
        drop(stream.shutdown(Shutdown::Write));
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.over.wait_timeout_while(is_over, ENDING, |is_over| !*is_over);
        let (is_over, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if !*is_over {
            drop(is_over);
            self.child.kill();
        }
    }

    /// Ends the connection with the runner, also when something that it forked keeps it open. What
    /// the runner said before its end is still read.
    fn wait(&self, stream: &UnixStream) {
        if self.child.wait().is_ok() {
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    fn read(self: &Arc<Self>, stream: UnixStream, on_end: impl FnOnce(&Arc<Self>, &str)) {
        let mut from = BufReader::with_capacity(64 * 1024, stream);
        let wrong = loop {
            match frame::read::<Tell>(&mut from) {
                Ok(Some(Tell::Answer { id, reply })) => {
                    self.silence().broken();
                    // Somebody who gave up has taken it out.
                    let waiter = self.waiters().by_id.remove(&id);
                    if let Some(waiter) = waiter {
                        waiter(reply.map_err(super::wire::Trouble::into_error));
                    }
                }
                Ok(Some(Tell::Log(log))) => said::say(&self.plugin, &log),
                // One that ends before it has read all resets the connection: its status says more.
                Ok(None) | Err(FrameError::Io(_)) => break None,
                Err(error) => break Some(error.to_string()),
            }
        };
        let status = self.child.end();
        self.outbox.close();
        let (why, left) = {
            let mut waiters = self.waiters();
            let killed = waiters.killed.map(str::to_owned);
            let status = || status.map_or_else(|| "it is gone".to_owned(), |how| how.to_string());
            let why = killed.or(wrong).unwrap_or_else(status);
            waiters.ended = Some(why.clone());
            (why, std::mem::take(&mut waiters.by_id))
        };
        *self.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.over.notify_all();
        for (_, waiter) in left {
            waiter(Err(ended(&why)));
        }
        on_end(self, &why);
    }
}

/// The answer to a question, once it is there. Dropped before that, the runner is told.
#[derive(Debug)]
pub(super) struct Asked {
    receiver: oneshot::Receiver<Result<Reply>>,
    link: Arc<Link>,
    id: u64,
    asked: Moment,
}

impl Future for Asked {
    type Output = Result<Reply>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = Pin::new(&mut self.receiver).poll(context);
        answer.map(|answer| answer.unwrap_or_else(|_| Err(ended("it was closed"))))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.link.give_up(self.id, self.asked);
    }
}

/// The error of everybody who waits for a runner that ended.
pub(super) fn ended(why: &str) -> CacheError {
    CacheError::new(ErrorKind::Connection, format!("the process of the plugin ended: {why}"))
        .hint("it is started again after a pause; the log has what it said before it ended")
}

/// The error of a caller who waited long enough.
pub(super) fn overdue(limit: Duration) -> CacheError {
    CacheError::new(ErrorKind::Timeout, format!("the plugin did not answer within `{limit:?}`"))
}
