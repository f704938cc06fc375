//! [`RedisConnection`], which caches share: it sends commands, and hides where the servers are and
//! what happens to them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use larder_core::{CacheError, Result};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::{Servers, Settings};
use crate::supervisor::{Endpoint, Status};
use crate::topology::cluster::Cluster;
use crate::topology::sentinel::Sentinels;
use crate::topology::{Source, single, slots};

pub(crate) mod greeting;
pub(crate) mod lanes;
pub(crate) mod line;
pub(crate) mod link;
mod resp;
mod stream;
pub(crate) mod tally;

use greeting::Expect;
pub use greeting::Facts;
use line::{Landed, Read};

/// How much longer commands may take that wait at the server on purpose.
const BLOCKING: Duration = Duration::from_secs(30);

/// A connection that a config declares: one pool, shared by all caches that name it.
///
/// It is lazy: nothing happens before the first command. From then on it is kept, and made anew
/// whenever it is lost. Clones are the same connection; it ends with the last of them.
#[derive(Clone)]
pub struct RedisConnection {
    settings: Arc<Settings>,
    topology: Topology,
}

#[derive(Clone)]
enum Topology {
    Cluster(Arc<Cluster>),
    Single(Arc<Endpoint>),
}

/// Which sockets commands go over, so that a few large ones never hold up many small ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Commands whose values are below 64 KiB, and whose answers are as well.
    Small,
    /// All others.
    Bulk,
    /// Commands that wait at the server, such as `XREAD BLOCK`.
    Blocking,
}

/// Which server commands go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// Whichever, for commands without keys.
    #[cfg_attr(not(test), expect(dead_code, reason = "a cache has keys; a backplane has not"))]
    Any,
    /// The one with this key; the keys of all commands are in its slot.
    Key(&'a str),
    /// A replica of the one with this key, or that one itself, for commands that read.
    Replica(&'a str),
    /// The primary of this number, below [`Layout::servers`].
    Primary(usize),
}

/// The servers that take writes, and which of them have which keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// How many there are.
    pub(crate) servers: usize,
    /// Another one when there are others, or when they have other keys. The same in all processes.
    pub(crate) mark: u64,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It is being made; callers wait.
    #[default]
    Connecting,
    /// It could not be made, and is tried again; callers are told at once.
    Down,
    /// Commands are answered.
    Healthy,
    /// The server leaves questions unanswered.
    Suspect,
    /// There is a connection, and the server is asked what it is; callers wait.
    Verifying,
}

/// How a connection is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionHealth {
    /// What it is doing. Of a cluster: what the node does that is worst off.
    pub state: State,
    /// The server, as `host:port`; of a cluster the node that is worst off. None when it has not
    /// been found yet.
    pub server: Option<String>,
    /// What the server says about itself, once it was connected to.
    pub facts: Option<Facts>,
    /// Why it is down.
    pub error: Option<CacheError>,
    /// How many servers are in use, and how many of them can be.
    pub servers: (usize, usize),
    /// How often a server was connected to again since the start.
    pub reconnects: u64,
    /// How often commands were sent again since the start, because a server said that it is not
    /// the one to ask, or not ready.
    pub retries: u64,
}

impl RedisConnection {
    pub(crate) fn new(settings: Settings) -> Self {
        let settings = Arc::new(settings);
        let source = match &settings.servers {
            Servers::Cluster(seeds) => {
                let cluster = Cluster::new(Arc::clone(&settings), seeds.clone());
                return Self { settings, topology: Topology::Cluster(cluster) };
            }
            Servers::Sentinel { sentinels, master, login } => {
                Source::Sentinels(Arc::new(Sentinels::new(
                    Arc::clone(&settings),
                    sentinels.clone(),
                    master.clone(),
                    login.clone(),
                )))
            }
            Servers::Single(address) => Source::Fixed(address.clone()),
        };
        let bell = Arc::new(Notify::new());
        let endpoint = Endpoint::new(Arc::clone(&settings), source, Expect::Primary, bell);
        Self { settings, topology: Topology::Single(Arc::new(endpoint)) }
    }

    /// Sends commands in one go and returns their answers in order; the error of one command is a
    /// [`redis::Value::ServerError`] in its place. What servers say about themselves (that a slot
    /// has moved, that they became replicas) is dealt with, as long as there is time.
    ///
    /// # Errors
    ///
    /// [`Connection`](larder_core::ErrorKind::Connection) at once while the server is down, and
    /// when the connection breaks; [`Timeout`](larder_core::ErrorKind::Timeout) when it did not
    /// answer in time.
    ///
    /// # Cancellation
    ///
    /// The commands may be carried out all the same.
    pub(crate) async fn send(
        &self,
        lane: Lane,
        route: Route<'_>,
        commands: redis::Pipeline,
    ) -> Result<Vec<redis::Value>> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let deadline = self.deadline(lane);
        let affinity = self.affinity(route);
        match &self.topology {
            Topology::Cluster(cluster) => {
                Box::pin(cluster.send(lane, route, affinity, &commands, deadline)).await
            }
            Topology::Single(endpoint) => {
                single::send(endpoint, lane, affinity, &commands, deadline).await
            }
        }
    }

    /// Reads what is stored under a name, at the server of this route, together with others who
    /// read at the same time. Nothing where the server said something about itself, or about the
    /// key, that has to be asked for with [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    ///
    /// # Cancellation
    ///
    /// Others who read at the same time are not touched.
    pub(crate) async fn read(&self, route: Route<'_>, read: &Read<'_>) -> Result<Option<Landed>> {
        let (deadline, affinity) = (self.deadline(Lane::Small), self.affinity(route));
        match &self.topology {
            Topology::Cluster(cluster) => {
                Box::pin(cluster.read(route, affinity, read, deadline)).await
            }
            Topology::Single(endpoint) => {
                if let Route::Replica(_) = route
                    && let Some(landed) =
                        Box::pin(endpoint.read_at_replica(affinity, read, deadline)).await
                {
                    return Ok(Some(landed));
                }
                endpoint.read(affinity, read, deadline).await
            }
        }
    }

    /// How often a server could be used again, or for the first time.
    pub(crate) fn comebacks(&self) -> u64 {
        self.settings.tally.comebacks()
    }

    /// How long commands may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    /// Whether the keys are spread over several servers.
    pub(crate) const fn is_cluster(&self) -> bool {
        matches!(self.topology, Topology::Cluster(_))
    }

    /// The servers that take writes.
    ///
    /// # Errors
    ///
    /// The kinds of [`send`](Self::send).
    pub(crate) async fn layout(&self) -> Result<Layout> {
        match &self.topology {
            Topology::Cluster(cluster) => cluster.layout(self.deadline(Lane::Small)).await,
            Topology::Single(_) => Ok(Layout { servers: 1, mark: 0 }),
        }
    }

    /// How the connection is. Asks nobody.
    #[must_use]
    pub fn health(&self) -> ConnectionHealth {
        let statuses = self.statuses();
        let well = statuses.iter().filter(|status| status.state == State::Healthy).count();
        let servers = (well, statuses.len());
        let worst = statuses.into_iter().max_by_key(|status| status.state.badness());
        let Status { state, address, facts, error, .. } = worst.unwrap_or_default();
        let server = address.map(|address| address.to_string());
        let (reconnects, retries) =
            (self.settings.tally.reconnects(), self.settings.tally.retries());
        ConnectionHealth { state, server, facts, error, servers, reconnects, retries }
    }

    /// How each server is that is known.
    pub(crate) fn statuses(&self) -> Vec<Status> {
        match &self.topology {
            Topology::Cluster(cluster) => cluster.statuses(),
            Topology::Single(endpoint) => vec![endpoint.status()],
        }
    }

    fn deadline(&self, lane: Lane) -> Instant {
        let more = if lane == Lane::Blocking { BLOCKING } else { Duration::ZERO };
        Instant::now() + self.settings.timeout + more
    }

    /// Commands about one key keep to one socket, so that they stay in order.
    fn affinity(&self, route: Route<'_>) -> usize {
        match route {
            _ if self.settings.pool_size == 1 => 0,
            Route::Key(key) | Route::Replica(key) => usize::from(slots::slot_of(key)),
            Route::Any | Route::Primary(_) => fastrand::usize(..self.settings.pool_size),
        }
    }
}

impl State {
    const fn badness(self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Verifying => 1,
            Self::Connecting => 2,
            Self::Suspect => 3,
            Self::Down => 4,
        }
    }
}

impl fmt::Debug for RedisConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConnection")
            .field("name", &self.settings.name)
            .field("servers", &self.settings.servers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
