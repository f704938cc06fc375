//! [`Endpoint`]: one server, and the task that keeps a connection to it.
//!
//! ```text
//!            first command           greeted
//!  (nothing) ────────────► Connecting ─────► Verifying ─────► Healthy ◄──► Suspect
//!                           ▲  │ failed         │ refused        │ lost      │
//!                      lost │  ▼                ▼                │           │
//!                           │ Down ◄────────────┘                │           │
//!                           └────────────────────────────────────┴───────────┘
//! ```
//!
//! Callers wait for the first attempt after a loss. Once that failed the server is down, and they
//! are told at once; attempts go on for ever.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use larder_core::{CacheError, ErrorKind, Result};
use redis::{Pipeline, Value};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::{Address, Settings};
use crate::connection::greeting::{Expect, Facts};
use crate::connection::lanes::Lanes;
use crate::connection::line::{Landed, Read};
use crate::connection::link::{Lost, Missed, Task};
use crate::connection::{Lane, State};
use crate::error::{self, Failure};
use crate::topology::Source;

mod backoff;
mod breaker;
mod life;
mod report;

use breaker::{Breaker, Permit};

/// One server, and the task that keeps a connection to it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    core: Arc<Core>,
    task: Mutex<Option<Task>>,
}

/// What callers and the task share.
#[derive(Debug)]
struct Core {
    settings: Arc<Settings>,
    source: Source,
    expect: Expect,
    lanes: RwLock<Option<Arc<Lanes>>>,
    status: watch::Sender<Status>,
    breaker: Breaker,
    /// The one for large values: a line that is too thin for them says nothing about small ones.
    bulk_breaker: Breaker,
    /// The task has something to look at.
    wake: Notify,
    /// Somebody wants the server while it is down.
    asked: Notify,
    /// The connection has to be made anew, and why.
    renewal: Mutex<Option<&'static str>>,
    /// Rung with each change of the state.
    bell: Arc<Notify>,
}

/// How a server is.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    pub(crate) state: State,
    pub(crate) address: Option<Address>,
    pub(crate) facts: Option<Facts>,
    /// Why it is down.
    pub(crate) error: Option<CacheError>,
}

impl Endpoint {
    /// A server that is connected to with the first command. `bell` rings with each change of its
    /// state.
    pub(crate) fn new(
        settings: Arc<Settings>,
        source: Source,
        expect: Expect,
        bell: Arc<Notify>,
    ) -> Self {
        let address = source.known().cloned();
        let status = Status { state: State::Connecting, address, facts: None, error: None };
        let core = Core {
            settings,
            source,
            expect,
            lanes: RwLock::new(None),
            status: watch::Sender::new(status),
            breaker: Breaker::new(),
            bulk_breaker: Breaker::new(),
            wake: Notify::new(),
            asked: Notify::new(),
            renewal: Mutex::new(None),
            bell,
        };
        Self { core: Arc::new(core), task: Mutex::new(None) }
    }

    /// Sends commands in one go and returns their answers in order. Commands of equal `affinity`
    /// stay in order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] at once while the server is down or leaves others waiting, and
    /// when the connection breaks; [`ErrorKind::Timeout`] when the answers did not come in time.
    pub(crate) async fn send(
        &self,
        lane: Lane,
        affinity: usize,
        commands: &Pipeline,
        deadline: Instant,
    ) -> Result<Vec<Value>> {
        let lanes = match self.core.lanes() {
            Some(lanes) => lanes,
            None => self.connected(deadline).await?,
        };
        let core = &*self.core;
        let permit = core.admit(lane)?;
        let link = lanes.link(lane, affinity, deadline).await;
        let link = link.map_err(|failure| core.told(failure.error))?;
        match link.send(commands, deadline).await {
            Ok(answers) => {
                if permit.succeeded() {
                    core.wake.notify_one();
                }
                Ok(answers)
            }
            Err(lost) => Err(self.lost(lost, link.fault(), Some(permit))),
        }
    }

    /// Reads what is stored under a name, together with others who read at the same time. Nothing
    /// where the server said something that has to be asked for in another way.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub(crate) async fn read(
        &self,
        affinity: usize,
        read: &Read<'_>,
        deadline: Instant,
    ) -> Result<Option<Landed>> {
        let core = &*self.core;
        let lanes = match core.lanes() {
            Some(lanes) => lanes,
            // In boxes, so that those who need not wait need no room for it.
            None => Box::pin(self.connected(deadline)).await?,
        };
        let permit = core.admit(Lane::Small)?;
        let link = match lanes.ready(affinity) {
            Some(link) => link,
            None => {
                let link = Box::pin(lanes.link(Lane::Small, affinity, deadline)).await;
                link.map_err(|failure| core.told(failure.error))?
            }
        };
        match link.read(read, deadline).await {
            Ok((landed, counts)) => {
                if (counts || permit.is_trial()) && permit.succeeded() {
                    core.wake.notify_one();
                }
                Ok(landed)
            }
            Err(Missed { lost, counts }) => {
                let permit = (counts || permit.is_trial()).then_some(permit);
                Err(self.lost(lost, link.fault(), permit))
            }
        }
    }

    /// Counts and names a failure. Without a permit it is counted by somebody else.
    fn lost(&self, lost: Lost, fault: Option<Failure>, permit: Option<Permit<'_>>) -> CacheError {
        let core = &*self.core;
        let error = match lost {
            Lost::Broken => fault.map_or_else(error::lost, |fault| fault.error),
            Lost::Full => {
                CacheError::new(ErrorKind::Connection, "too many commands wait for their answers")
            }
            Lost::Late => error::timed_out(core.settings.timeout),
        };
        // A broken connection is found by the task; this is about servers that do not answer.
        if lost == Lost::Late && permit.is_some_and(Permit::failed) {
            core.wake.notify_one();
        }
        if lost == Lost::Broken && self.is_abandoned() {
            core.set_lanes(None);
        }
        core.told(error)
    }

    /// Waits for the connection, as long as there is hope.
    async fn connected(&self, deadline: Instant) -> Result<Arc<Lanes>> {
        self.run()?;
        let core = &*self.core;
        core.asked.notify_one();
        let mut status = core.status.subscribe();
        loop {
            let known = status.borrow_and_update().clone();
            if let Some(error) = known.error.filter(|_| known.state == State::Down) {
                return Err(error);
            }
            if let Some(lanes) = core.lanes() {
                return Ok(lanes);
            }
            if timeout_at(deadline, status.changed()).await.is_err() {
                return Err(core.told(Failure::slow("connecting").error));
            }
        }
    }

    /// Sees to it that the task runs.
    fn run(&self) -> Result<()> {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_some_and(|task| !task.is_over()) {
            return Ok(());
        }
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| {
            let error = CacheError::new(ErrorKind::Connection, "there is no tokio runtime");
            self.core.told(error.hint("call this from a task, or within `Runtime::enter`"))
        })?;
        self.core.set_lanes(None);
        self.core.enter(State::Connecting);
        *task = Some(Task::new(runtime.spawn(life::live(Arc::clone(&self.core)))));
        Ok(())
    }

    /// Whether the task is gone together with the runtime it was on.
    fn is_abandoned(&self) -> bool {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        task.as_ref().is_none_or(Task::is_over)
    }

    /// How the server is.
    pub(crate) fn status(&self) -> Status {
        self.core.status.borrow().clone()
    }

    /// An answer said that the connection is of no use any more: it is made anew.
    pub(crate) fn renew(&self, why: &'static str) {
        *self.core.renewal.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        self.core.wake.notify_one();
    }
}

impl Core {
    /// The right to make a call.
    fn admit(&self, lane: Lane) -> Result<Permit<'_>> {
        let breaker = if lane == Lane::Bulk { &self.bulk_breaker } else { &self.breaker };
        breaker.admit().ok_or_else(|| {
            let message = "the server has left others waiting, and is not asked for a while";
            self.told(CacheError::new(ErrorKind::Connection, message))
        })
    }

    fn lanes(&self) -> Option<Arc<Lanes>> {
        self.lanes.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_lanes(&self, lanes: Option<Arc<Lanes>>) {
        *self.lanes.write().unwrap_or_else(PoisonError::into_inner) = lanes;
    }

    /// Says in an error which connection it is about.
    fn told(&self, error: CacheError) -> CacheError {
        let error = error.with("connection", &self.settings.name);
        match &self.status.borrow().address {
            Some(address) => error.with("server", address),
            None => error,
        }
    }

    fn take_renewal(&self) -> Option<&'static str> {
        self.renewal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits before the next attempt: not longer than `short` when somebody asks.
    async fn pause(&self, wait: Duration, short: Duration) {
        tokio::time::sleep(wait.min(short)).await;
        if wait > short {
            // Whether the time is over or somebody asks makes no difference.
            timeout(wait - short, self.asked.notified()).await.ok();
        }
    }
}
