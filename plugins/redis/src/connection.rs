//! [`RedisConnection`], which caches share: it sends commands and hides where the servers are.

use std::fmt;
use std::sync::Arc;

use larder_core::{CacheError, ErrorKind, Result};
use redis::aio::MultiplexedConnection;
use tokio::sync::OnceCell;

use crate::config::{Address, Servers, Settings};
use crate::error;

/// A connection that a config declares: one pool, shared by all caches that name it.
///
/// It is lazy: nothing happens before the first command.
#[derive(Clone)]
pub struct RedisConnection {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    lanes: [OnceCell<MultiplexedConnection>; 3],
}

/// Which sockets commands go over, so that few large ones never hold up many small ones.
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
    Any,
    /// The one with this key; the keys of all commands are in its slot.
    Key(&'a str),
    /// The primary of this number, below [`RedisConnection::primaries`].
    Primary(usize),
}

impl RedisConnection {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { inner: Arc::new(Inner { settings, lanes: Default::default() }) }
    }

    /// Sends commands in one go and returns their answers in order; the error of one command is a
    /// [`redis::Value::ServerError`] in its place.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] or [`ErrorKind::Timeout`] when the server could not be asked.
    pub(crate) async fn send(
        &self,
        lane: Lane,
        route: Route<'_>,
        commands: redis::Pipeline,
    ) -> Result<Vec<redis::Value>> {
        let _ = route;
        let name = &self.inner.settings.name;
        let connection = self.inner.lanes[lane as usize].get_or_try_init(|| self.connect()).await?;
        let limit = self.inner.settings.timeout;
        let count = commands.len();
        let mut connection = connection.clone();
        match tokio::time::timeout(limit, connection.send_packed_commands(&commands, 0, count))
            .await
        {
            Ok(answers) => answers.map_err(|cause| error::unreachable(name, cause)),
            Err(_) => Err(CacheError::new(ErrorKind::Timeout, "the server did not answer in time")),
        }
    }

    /// Whether the keys are spread over several servers.
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.inner.settings.servers, Servers::Cluster(_))
    }

    /// How many servers there are that take writes.
    ///
    /// # Errors
    ///
    /// The kinds of [`send`](Self::send).
    pub(crate) async fn primaries(&self) -> Result<usize> {
        std::future::ready(Ok(1)).await
    }

    /// The slot of a key in a cluster.
    pub(crate) fn slot(key: &str) -> u16 {
        let hashed = key
            .split_once('{')
            .and_then(|(_, rest)| rest.split_once('}'))
            .map(|(tag, _)| tag)
            .filter(|tag| !tag.is_empty())
            .unwrap_or(key);
        crc16(hashed.as_bytes()) % 16384
    }

    async fn connect(&self) -> Result<MultiplexedConnection> {
        let settings = &self.inner.settings;
        let Servers::Single(address) = &settings.servers else {
            return Err(CacheError::new(ErrorKind::Unsupported, "clusters are not served"));
        };
        let url = match address {
            Address::Tcp { host, port } => format!("redis://{host}:{port}/{}", settings.db),
            Address::Unix(path) => format!("unix://{}?db={}", path.display(), settings.db),
        };
        let client = redis::Client::open(url);
        let client = client.map_err(|cause| error::unreachable(&settings.name, cause))?;
        let connection = client.get_multiplexed_async_connection().await;
        connection.map_err(|cause| error::unreachable(&settings.name, cause))
    }
}

/// CRC-16/XMODEM, which clusters hash keys with.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

impl fmt::Debug for RedisConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConnection")
            .field("name", &self.inner.settings.name)
            .field("servers", &self.inner.settings.servers)
            .finish_non_exhaustive()
    }
}
