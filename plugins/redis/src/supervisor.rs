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

use larder_core::{CacheError, ErrorKind, Result};
use redis::{Pipeline, Value};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use crate::config::{Address, Settings};
use crate::connection::greeting::{Expect, Facts};
use crate::connection::line::{Landed, Read};
use crate::connection::link::{Lost, Missed, Task};
use crate::connection::{Lane, State};
use crate::error::{self, Failure, Reason};
use crate::topology::Source;

mod breaker;
mod life;
mod replicas;
mod report;
mod session;

use breaker::Permit;
use replicas::Replicas;
use session::Session;

/// One server, and the task that keeps a connection to it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    core: Arc<Core>,
    replicas: Replicas,
    task: Mutex<Option<Task>>,
}

/// What callers and the task share.
#[derive(Debug)]
struct Core {
    settings: Arc<Settings>,
    source: Source,
    expect: Expect,
    session: RwLock<Option<Arc<Session>>>,
    status: watch::Sender<Status>,
    /// The task has something to look at.
    wake: Notify,
    /// Somebody wants the server while it is down.
    asked: Notify,
    /// Rung with each change of the state.
    bell: Arc<Notify>,
}

/// How a server is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Status {
    pub(crate) state: State,
    pub(crate) address: Option<Address>,
    pub(crate) facts: Option<Facts>,
    /// Why it is down.
    pub(crate) error: Option<CacheError>,
    /// What has to happen before it is not any more.
    pub(crate) reason: Option<Reason>,
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
        let status = Status { address, ..Status::default() };
        let core = Core {
            settings,
            source,
            expect,
            session: RwLock::new(None),
            status: watch::Sender::new(status),
            wake: Notify::new(),
            asked: Notify::new(),
            bell,
        };
        Self { core: Arc::new(core), replicas: Replicas::default(), task: Mutex::new(None) }
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
        let session = match self.core.session() {
            Some(session) => session,
            None => self.connected(deadline).await?,
        };
        let core = &*self.core;
        let permit = session.admit(lane).ok_or_else(|| core.told(error::left_alone()))?;
        let link = session.lanes.link(lane, affinity, deadline).await;
        let link = link.map_err(|failure| core.told(failure.error))?;
        match link.send(commands, deadline).await {
            Ok(answers) => {
                if permit.succeeded() | session.heed(&answers, core.expect) {
                    core.wake.notify_one();
                }
                Ok(answers)
            }
            Err(lost) => {
                if lost == Lost::Broken && self.is_abandoned() {
                    core.leave(&session);
                }
                Err(self.lost(lost, link.fault(), Some(permit)))
            }
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
        let session = match core.session() {
            Some(session) => session,
            // In boxes, so that those who need not wait need no room for it.
            None => Box::pin(self.connected(deadline)).await?,
        };
        let permit = session.admit(Lane::Small).ok_or_else(|| core.told(error::left_alone()))?;
        let link = match session.lanes.ready(affinity) {
            Some(link) => link,
            None => {
                let link = Box::pin(session.lanes.link(Lane::Small, affinity, deadline)).await;
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
                if lost == Lost::Broken && self.is_abandoned() {
                    core.leave(&session);
                }
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
        core.told(error)
    }

    /// Waits for the connection, as long as there is hope.
    async fn connected(&self, deadline: Instant) -> Result<Arc<Session>> {
        self.run()?;
        let core = &*self.core;
        core.asked.notify_one();
        let mut status = core.status.subscribe();
        loop {
            let known = status.borrow_and_update().clone();
            if let Some(error) = known.error.filter(|_| known.state == State::Down) {
                return Err(error);
            }
            if let Some(session) = core.session() {
                return Ok(session);
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
        self.core.set_session(None);
        self.core.enter(State::Connecting);
        *task = Some(Task::new(runtime.spawn(life::live(Arc::clone(&self.core)))));
        Ok(())
    }

    /// Whether the task is gone together with the runtime it was on.
    fn is_abandoned(&self) -> bool {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        task.as_ref().is_none_or(Task::is_over)
    }

    /// Commands are sent again because of what the server said about itself.
    pub(crate) fn note_retry(&self) {
        self.core.settings.tally.note_retry();
    }

    /// How the server is.
    pub(crate) fn status(&self) -> Status {
        self.core.status.borrow().clone()
    }
}

impl Core {
    fn session(&self) -> Option<Arc<Session>> {
        self.session.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_session(&self, session: Option<Arc<Session>>) {
        *self.session.write().unwrap_or_else(PoisonError::into_inner) = session;
    }

    /// Lets go of a connection, unless another one has taken its place.
    fn leave(&self, session: &Arc<Session>) {
        let mut current = self.session.write().unwrap_or_else(PoisonError::into_inner);
        current.take_if(|current| Arc::ptr_eq(current, session));
    }

    /// Says in an error which connection it is about.
    fn told(&self, error: CacheError) -> CacheError {
        let error = error.with("connection", &self.settings.name);
        match &self.status.borrow().address {
            Some(address) => error.with("server", address),
            None => error,
        }
    }
}
