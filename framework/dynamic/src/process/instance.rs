//! [`Instance`], an instance of a component in the process of its library: made once more in
//! every process that takes the place of one that ended.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use larder_core::{BuildContext, CacheError, Clock, ErrorKind, Result};
use serde_json::Value;

use super::child;
use super::link::{Due, Link, overdue};
use super::pause::Pause;
use super::supervisor::Supervisor;
use super::wire::{Call, Make, Question, Reply};
use crate::adapt::keeper::{before, on_a_blocking_thread};

/// How long a call may take; a tier gives up earlier if its own time is shorter.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long a call may take that holds up the thread of its caller. That of a process which does
/// answer takes microseconds; a machine that is busy with other things must not look like one that
/// hangs.
const AT_ONCE: Duration = Duration::from_secs(5);

/// An instance, wherever it is now.
#[derive(Debug)]
pub(super) struct Instance {
    supervisor: &'static Supervisor,
    make: Make,
    clock: Arc<dyn Clock>,
    is_started: AtomicBool,
    /// How often it could be called again after it could not.
    comebacks: AtomicU64,
    made: Mutex<Made>,
}

/// Where it was made.
#[derive(Debug)]
struct Made {
    /// In which process, by the number of its link.
    on: Option<u64>,
    is_running: bool,
    pause: Pause,
    /// Why it could not be made there.
    error: Option<CacheError>,
}

impl Instance {
    /// Makes it for the first time.
    pub(super) async fn new(
        supervisor: &'static Supervisor,
        (slot, kind): (&str, &str),
        options: &Value,
        context: &BuildContext,
    ) -> Result<Arc<Self>> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let make = Make {
            instance: NUMBER.fetch_add(1, Ordering::Relaxed),
            slot: slot.to_owned(),
            kind: kind.to_owned(),
            options: options.to_string(),
            cache: context.cache.clone(),
            max_value_bytes: context.max_value_bytes,
        };
        let pause = Pause::new(fastrand::Rng::new());
        let made = Mutex::new(Made { on: None, is_running: true, pause, error: None });
        let (clock, is_started) = (Arc::clone(&context.clock), AtomicBool::new(false));
        let comebacks = AtomicU64::new(0);
        let instance = Arc::new(Self { supervisor, make, clock, is_started, comebacks, made });
        supervisor.join(&instance);
        let maker = Arc::clone(&instance);
        let made = on_a_blocking_thread(move || maker.make_first()).await;
        let made = made.unwrap_or_else(|failure| {
            Err(CacheError::new(ErrorKind::Plugin, failure.message_or_status()))
        });
        instance.made().is_running = false;
        made.map_err(|error| instance.named(error, "create"))?;
        Ok(instance)
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn kind(&self) -> &str {
        &self.make.kind
    }

    pub(super) fn cache(&self) -> &str {
        &self.make.cache
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// How often it could be called again. Who wants to know would call it, so another process is
    /// begun if that is due.
    pub(super) fn comebacks(self: &Arc<Self>) -> u64 {
        // Why it cannot be called is told to those who call.
        drop(self.link());
        self.comebacks.load(Ordering::Acquire)
    }

    /// Says in an error whose it is.
    pub(super) fn named(&self, error: CacheError, operation: &'static str) -> CacheError {
        let error = error.during(operation).with("plugin", &self.supervisor.plugin);
        error.with("backend", self.kind()).with("cache", self.cache())
    }

    /// The error about an answer to another question.
    pub(super) fn odd(&self, operation: &'static str) -> CacheError {
        let message = "the process of the plugin gives an answer that makes no sense";
        self.named(CacheError::new(ErrorKind::Plugin, message), operation)
    }

    /// The process may have been about to end for want of instances, so there is a second try.
    fn make_first(&self) -> Result<()> {
        let first = self.make_now();
        match &first {
            Err(error) if error.kind() == ErrorKind::Connection => self.make_now(),
            _ => first,
        }
    }

    fn make_now(&self) -> Result<()> {
        let link = self.supervisor.ensure();
        let link = link.map_err(|refusal| CacheError::transparent(ErrorKind::Plugin, *refusal))?;
        self.make_on(&link)
    }

    fn make_on(&self, link: &Link) -> Result<()> {
        let Make { instance, .. } = self.make;
        let due = Due { now: self.clock.wall(), ..self.supervisor.due() };
        let made = link.ask_here(due, Question::Make(self.make.clone()));
        let started = made.and_then(|_| match self.is_started.load(Ordering::Acquire) {
            true => link.ask_here(due, Question::Call(instance, Call::Start)).map(drop),
            false => Ok(()),
        });
        let now = self.supervisor.clock().now();
        let mut made = self.made();
        match &started {
            Ok(()) => {
                (made.on, made.error) = (Some(link.number), None);
                made.pause.works(now);
            }
            Err(error) => {
                made.error = Some(error.clone());
                made.pause.failed(now);
                drop(made);
                // What came too late, or did not start, is of no use to anybody.
                link.tell(Question::End(instance));
            }
        }
        started
    }

    /// Makes it in another process, unless somebody does that already.
    pub(super) fn make_again(&self, link: &Link) -> Result<()> {
        let mut made = self.made();
        if made.is_running || made.on == Some(link.number) {
            return Ok(());
        }
        made.is_running = true;
        drop(made);
        let _running = Running(self);
        self.make_on(link)?;
        self.comebacks.fetch_add(1, Ordering::Release);
        self.supervisor.say_up(self);
        Ok(())
    }

    /// The process that it is in. If it could not be made there, the first caller after a pause
    /// begins another try, and none waits for it.
    fn link(self: &Arc<Self>) -> Result<Arc<Link>> {
        let link = self.supervisor.link()?;
        let made = self.made();
        if made.on == Some(link.number) {
            return Ok(link);
        }
        let error = made.error.clone().unwrap_or_else(|| {
            let message = "the plugin is being made again in another process";
            CacheError::new(ErrorKind::Connection, message)
        });
        let is_due = !made.is_running && made.pause.is_over(self.supervisor.clock().now());
        drop(made);
        if is_due {
            let maker = Arc::clone(self);
            // Without a thread the next caller tries.
            drop(child::thread("make").spawn(move || maker.make_again(&link)));
        }
        Err(error)
    }

    /// Calls it, and waits for the answer.
    ///
    /// # Cancellation
    ///
    /// The runner is told that nobody waits any more.
    pub(super) async fn call(
        self: &Arc<Self>,
        operation: &'static str,
        call: Call,
    ) -> Result<Reply> {
        let called = self.call_unnamed(call).await;
        called.map_err(|error| self.named(error, operation))
    }

    async fn call_unnamed(self: &Arc<Self>, call: Call) -> Result<Reply> {
        let link = self.link()?;
        let at = self.clock.now().after(TIMEOUT);
        let due = Due { now: self.clock.wall(), within: TIMEOUT };
        let mut asked = link.ask(due, Question::Call(self.make.instance, call))?;
        let answer = before(&self.clock, at, &mut asked).await;
        answer.unwrap_or_else(|| Err(overdue(TIMEOUT)))
    }

    /// Calls it, and waits for the answer on this thread. A process that has none in time is
    /// killed: whoever waits so holds up others.
    pub(super) fn call_here(
        self: &Arc<Self>,
        operation: &'static str,
        call: Call,
    ) -> Result<Reply> {
        let due = Due { now: self.clock.wall(), within: AT_ONCE };
        let question = Question::Call(self.make.instance, call);
        let called = self.link().and_then(|link| link.ask_or_kill(due, question));
        called.map_err(|error| self.named(error, operation))
    }

    /// Begins background work, here and in all that take its place.
    pub(super) async fn start(self: &Arc<Self>) -> Result<()> {
        self.is_started.store(true, Ordering::Release);
        self.call("start", Call::Start).await.map(drop)
    }
}

/// The process learns that it has one fewer, and ends with the last.
impl Drop for Instance {
    fn drop(&mut self) {
        self.supervisor.leave(self.make.instance);
    }
}

/// Somebody makes it, until this is dropped.
struct Running<'a>(&'a Instance);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.made().is_running = false;
    }
}
