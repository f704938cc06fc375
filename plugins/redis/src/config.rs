//! The options of the connections `redis` and `redis-cluster`.

use std::path::PathBuf;
use std::time::Duration;

use larder_core::{
    BuildContext, CacheError, Descriptor, HumanDuration, KeyPath, PluginConfig, Problem, Problems,
    Result, Secret, async_trait, descriptor, register,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::connection::RedisConnection;

mod address;
mod check;
mod probe;
mod settings;
mod url;

pub(crate) use address::Address;
use probe::Places;
pub(crate) use settings::{Credentials, Login, Servers, Settings};
pub use url::ServerUrl;

/// Certificates and names for encrypted connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TlsOptions {
    /// The authorities that may have signed the certificate of the server: a file with one or more
    /// certificates in PEM. Default: the ones that the operating system trusts.
    #[serde(default)]
    #[schemars(extend(
        "x-path" = true,
        "x-aliases" = ["ca_file", "ca_cert", "cacert", "root_cert", "ssl_ca_certs"]
    ))]
    pub ca: Option<PathBuf>,
    /// Our own certificate, for servers that ask for one: a file in PEM, ours first, then those
    /// between ours and the authority. Needs `key`.
    #[serde(default)]
    #[schemars(extend(
        "x-path" = true,
        "x-aliases" = ["cert_file", "client_cert", "certificate", "ssl_certfile"]
    ))]
    pub cert: Option<PathBuf>,
    /// The private key of `cert`: a file in PEM.
    #[serde(default)]
    #[schemars(extend(
        "x-path" = true,
        "x-aliases" = ["key_file", "client_key", "private_key", "ssl_keyfile"]
    ))]
    pub key: Option<PathBuf>,
    /// The name that the certificate of the server must be for. Default: the host that is
    /// connected to.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["sni", "hostname", "domain"]))]
    pub server_name: Option<String>,
}

/// Options of a `redis` connection: one server, or the primary that Sentinels name.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RedisConnectionConfig {
    /// The server: `redis://host:port/db`, `rediss://…` with TLS, or `unix:///run/redis.sock`. With
    /// Sentinels: `redis+sentinel://host1:port,host2:port/master/db`.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["uri", "address", "host", "server", "dsn"]))]
    pub url: Option<ServerUrl>,
    /// The Sentinels, as `host:port`, instead of `url`. They are asked for the address of the
    /// primary, one after another. Needs `master`.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["sentinel", "sentinel_nodes"]))]
    pub sentinels: Vec<ServerUrl>,
    /// The name under which the Sentinels watch the primary.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["master_name", "service_name", "primary"]))]
    pub master: Option<String>,
    /// The user for the Sentinels, where they ask for one.
    #[serde(default)]
    pub sentinel_username: Option<String>,
    /// The password for the Sentinels, where they ask for one.
    #[serde(default)]
    pub sentinel_password: Option<Secret>,
    /// The user, for servers with an access control list. Default: the one of `url`, or the user
    /// `default`.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["user", "login"]))]
    pub username: Option<String>,
    /// The password. Write `"${file:/run/secrets/redis}"` or `"${env:REDIS_PASSWORD}"` to keep it
    /// out of this file. Default: the one of `url`, or none.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["pass", "auth", "requirepass"]))]
    pub password: Option<Secret>,
    /// A file that holds the password and nothing else. It is read again with each new connection,
    /// and when the server refuses the password, so that a password can be changed while the
    /// program runs.
    #[serde(default)]
    #[schemars(extend("x-path" = true, "x-aliases" = ["passfile", "secret_file"]))]
    pub password_file: Option<PathBuf>,
    /// The number of the database. Default: the one of `url`, or 0.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["database", "index"]))]
    pub db: Option<u32>,
    /// Sockets for commands with small values. They are shared by all callers, so that few are
    /// enough. One for large values and one for commands that wait come on top of it when they are
    /// needed.
    #[serde(default = "default_pool_size")]
    #[schemars(range(min = 1, max = 64))]
    #[schemars(extend("x-aliases" = ["max_connections", "connections", "pool", "poolsize"]))]
    pub pool_size: u16,
    /// The longest wait for a connection, with TLS and password.
    #[serde(default = "default_connect_timeout")]
    #[schemars(extend("x-aliases" = ["connection_timeout", "socket_connect_timeout"]))]
    pub connect_timeout: HumanDuration,
    /// The longest wait for the answer to a command. A tier has its own limits, which may be
    /// shorter.
    #[serde(default = "default_timeout")]
    #[schemars(extend("x-aliases" = ["command_timeout", "response_timeout", "socket_timeout"]))]
    pub timeout: HumanDuration,
    /// Certificates for TLS. With it the connection is encrypted whatever the scheme of `url` says.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["ssl"]))]
    pub tls: Option<TlsOptions>,
}

/// Options of a `redis-cluster` connection.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RedisClusterConfig {
    /// Some nodes of the cluster: `redis://host:port`, or `rediss://…` with TLS. The others are
    /// learned from them.
    #[schemars(extend("x-aliases" = ["urls", "hosts", "addresses", "startup_nodes", "url"]))]
    pub nodes: Vec<ServerUrl>,
    /// The user, for servers with an access control list. Default: the one of the first node, or
    /// the user `default`.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["user", "login"]))]
    pub username: Option<String>,
    /// The password. Write `"${file:/run/secrets/redis}"` or `"${env:REDIS_PASSWORD}"` to keep it
    /// out of this file. Default: the one of the first node, or none.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["pass", "auth", "requirepass"]))]
    pub password: Option<Secret>,
    /// A file that holds the password and nothing else. It is read again with each new connection,
    /// and when a server refuses the password, so that a password can be changed while the program
    /// runs.
    #[serde(default)]
    #[schemars(extend("x-path" = true, "x-aliases" = ["passfile", "secret_file"]))]
    pub password_file: Option<PathBuf>,
    /// Sockets for commands with small values, for each node. They are shared by all callers, so
    /// that few are enough. One for large values and one for commands that wait come on top of it
    /// when they are needed.
    #[serde(default = "default_pool_size")]
    #[schemars(range(min = 1, max = 64))]
    #[schemars(extend("x-aliases" = ["max_connections", "connections", "pool", "poolsize"]))]
    pub pool_size: u16,
    /// The longest wait for a connection, with TLS and password.
    #[serde(default = "default_connect_timeout")]
    #[schemars(extend("x-aliases" = ["connection_timeout", "socket_connect_timeout"]))]
    pub connect_timeout: HumanDuration,
    /// The longest wait for the answer to a command. A tier has its own limits, which may be
    /// shorter.
    #[serde(default = "default_timeout")]
    #[schemars(extend("x-aliases" = ["command_timeout", "response_timeout", "socket_timeout"]))]
    pub timeout: HumanDuration,
    /// Certificates for TLS. With it all connections are encrypted whatever the scheme of `nodes`
    /// says.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["ssl"]))]
    pub tls: Option<TlsOptions>,
}

const fn default_pool_size() -> u16 {
    1
}

const fn default_connect_timeout() -> HumanDuration {
    HumanDuration(Duration::from_millis(500))
}

const fn default_timeout() -> HumanDuration {
    HumanDuration(Duration::from_secs(1))
}

#[async_trait]
impl PluginConfig for RedisConnectionConfig {
    const KIND: &'static str = "redis";
    const SUMMARY: &'static str = "a Redis or Valkey server, or the primary that Sentinels name";
    type Plugin = RedisConnection;

    fn validate(&self, at: &KeyPath) -> Result<(), Problems> {
        check::redis(self, at)
    }

    async fn probe(self, context: &BuildContext) -> Result<Problems, Problems> {
        let at = &context.path;
        let servers = if self.url.is_some() { "url" } else { "sentinels" };
        let places = places(at, servers, self.password_file.is_some());
        let connection = self.build(context).await.map_err(|error| unbuilt(at, &error))?;
        probe::probe(&connection, &places).await
    }

    async fn build(self, context: &BuildContext) -> Result<RedisConnection> {
        Ok(RedisConnection::new(Settings::of_redis(self, context)?))
    }
}

#[async_trait]
impl PluginConfig for RedisClusterConfig {
    const KIND: &'static str = "redis-cluster";
    const SUMMARY: &'static str = "a Redis or Valkey cluster";
    type Plugin = RedisConnection;

    fn validate(&self, at: &KeyPath) -> Result<(), Problems> {
        check::cluster(self, at)
    }

    async fn probe(self, context: &BuildContext) -> Result<Problems, Problems> {
        let at = &context.path;
        let places = places(at, "nodes", self.password_file.is_some());
        let connection = self.build(context).await.map_err(|error| unbuilt(at, &error))?;
        probe::probe(&connection, &places).await
    }

    async fn build(self, context: &BuildContext) -> Result<RedisConnection> {
        Ok(RedisConnection::new(Settings::of_cluster(self, context)?))
    }
}

fn places(at: &KeyPath, servers: &str, has_file: bool) -> Places {
    Places {
        servers: at.join(servers),
        login: at.join(if has_file { "password_file" } else { "password" }),
        trust: at.join("tls").join("ca"),
    }
}

fn unbuilt(at: &KeyPath, error: &CacheError) -> Problems {
    Problem::new(at.clone(), error.message()).into()
}

/// The connection `redis`, for explicit registration.
pub const REDIS_CONNECTION: Descriptor = descriptor!(connection: RedisConnectionConfig);

/// The connection `redis-cluster`, for explicit registration.
pub const REDIS_CLUSTER_CONNECTION: Descriptor = descriptor!(connection: RedisClusterConfig);

register!(connection: RedisConnectionConfig);
register!(connection: RedisClusterConfig);
