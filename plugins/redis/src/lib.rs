//! Redis and Valkey for Larder: connections that come back, alone, with Sentinel or as a cluster.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | the options of the connections, and their registration |
//! | [`connection`] | [`RedisConnection`], which sends commands and says how the servers are |
//! | [`backend`] | [`RedisBackend`], which keeps the entries of a cache |
//! | `space` | the part of the servers that a cache has; every command under its generation |
//! | `keys`, `scripts` | how things are named there, and what the server does in one step |
//! | `sizes`, `changes` | small entries apart from large ones, without one overtaking the other |
//! | `read`, `write`, `lease`, `scan` | the operations |
//! | `walk` | going through all keys of all servers, whatever becomes of them meanwhile |
//! | `sweep` | removing what a clear has left behind |
//! | `health`, `unreadable`, `answer` | how the servers are; what was found that is no entry |
//! | `backoff` | how long to wait before another attempt |
//! | `supervisor` | one server, and the task that keeps a connection to it |
//! | `topology` | where the servers are: fixed, named by Sentinels, or a cluster |
//! | `tls` | encrypted connections |
//! | `error` | from errors of servers, sockets and TLS to errors of ours |
//!
//! When *not* to use it: for a cache that one process has to itself. Memory is a thousand times
//! nearer than the nearest server, and the backend `file` survives a restart as well.

mod answer;
pub mod backend;
mod backoff;
mod changes;
pub mod config;
pub mod connection;
mod error;
mod health;
mod keys;
mod lease;
mod read;
mod scan;
mod scripts;
mod sizes;
mod space;
mod supervisor;
mod sweep;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "tls_disabled.rs"]
mod tls;
mod topology;
mod unreadable;
mod walk;
mod write;

pub use backend::{REDIS, ReadFrom, RedisBackend, RedisConfig};
pub use config::{REDIS_CLUSTER_CONNECTION, REDIS_CONNECTION};
pub use config::{RedisClusterConfig, RedisConnectionConfig};
pub use connection::RedisConnection;
