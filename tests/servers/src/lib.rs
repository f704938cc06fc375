//! Real Redis servers, a network that fails and processes that die, for the tests of Larder.
//!
//! ```no_run
//! use larder_servers::{Direction, Fault, Proxy, Redis};
//!
//! let redis = Redis::start();
//! let proxy = Proxy::start(redis.port());
//! println!("connect to {}", proxy.url());
//! proxy.set(Direction::ToClient, Fault::Blackhole);
//! redis.cli(&["SET", "key", "value"]);
//! ```
//!
//! | type | what it is |
//! |---|---|
//! | [`Redis`] | one `redis-server` on a free port of the loopback, in a directory of its own |
//! | [`Sentinels`] | a primary, its replicas, and three sentinels that watch them |
//! | [`Cluster`] | primaries with their slots, and replicas |
//! | [`Proxy`] | a TCP proxy that delays, cuts, swallows and corrupts what passes |
//! | [`Certificates`] | what TLS needs: good, expired, for another name, of another authority |
//! | [`Node`] | another process that is asked line by line, and can be killed or stopped |
//!
//! Nothing here knows Larder. The functions block, so that they serve any runtime: the proxy runs
//! on a thread of its own. Everything ends when it is dropped; servers end even when the test
//! process is killed (see [`Redis`]). What cannot work panics with the log of the server, for a
//! test could not go on.
//!
//! The variable `LARDER_REDIS_SERVER` names another program than `redis-server`, such as that of
//! another version or `valkey-server`.

#![cfg(unix)]
#![expect(clippy::missing_panics_doc, reason = "a server that cannot run ends the test")]

mod certificates;
mod cluster;
mod node;
mod ports;
mod process;
mod proxy;
mod redis;
mod resp;
mod sentinels;
mod wait;

pub use certificates::{Certificates, Identity};
pub use cluster::{Cluster, ClusterOptions, Migration};
pub use node::Node;
pub use proxy::{Direction, Fault, Proxy};
pub use redis::{Redis, RedisOptions};
pub use resp::Reply;
pub use sentinels::{Sentinels, SentinelsOptions};
pub use wait::{eventually, until};

/// The address all servers listen on.
const LOOPBACK: &str = "127.0.0.1";
