//! Redis and Valkey for Larder: connections that come back, alone, with Sentinel or as a cluster.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | the options of the connections, and their registration |
//! | [`connection`] | [`RedisConnection`], which sends commands and says how the servers are |
//! | `supervisor` | one server, and the task that keeps a connection to it |
//! | `topology` | where the servers are: fixed, named by Sentinels, or a cluster |
//! | `tls` | encrypted connections |
//! | `error` | from errors of servers, sockets and TLS to errors of ours |
//!
//! When *not* to use it: for a cache that one process has to itself. Memory is a thousand times
//! nearer than the nearest server, and the backend `file` survives a restart as well.

pub mod config;
pub mod connection;
mod error;
mod supervisor;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "tls_disabled.rs"]
mod tls;
mod topology;

pub use config::{REDIS_CLUSTER_CONNECTION, REDIS_CONNECTION};
pub use config::{RedisClusterConfig, RedisConnectionConfig};
pub use connection::RedisConnection;
