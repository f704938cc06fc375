//! The options of a connection in the form that connecting needs: checked, with all defaults.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use larder_core::{BuildContext, CacheError, Clock, ErrorKind, Result, Secret};

use super::check::LONGEST;
use super::url::{Parsed, ServerUrl};
use super::{Address, RedisClusterConfig, RedisConnectionConfig, TlsOptions};
use crate::connection::tally::Tally;

/// What a connection is made with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) servers: Servers,
    pub(crate) login: Login,
    pub(crate) db: u32,
    pub(crate) pool_size: usize,
    pub(crate) connect_timeout: Duration,
    pub(crate) timeout: Duration,
    /// `None` for connections in the clear.
    pub(crate) tls: Option<TlsOptions>,
    pub(crate) clock: Arc<dyn Clock>,
    /// What is counted over all its servers.
    pub(crate) tally: Arc<Tally>,
}

/// Where the servers are found.
#[derive(Clone, Debug)]
pub(crate) enum Servers {
    /// Through some nodes of the cluster.
    Cluster(Vec<Address>),
    /// Through Sentinels.
    Sentinel { sentinels: Vec<Address>, master: String, login: Login },
    /// It is this one.
    Single(Address),
}

/// How to log in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Login {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) password_file: Option<PathBuf>,
}

/// What is shown to a server.
#[derive(Clone, Default)]
pub(crate) struct Credentials {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Whether a server would see no difference.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.username == other.username
            && match (&self.password, &other.password) {
                (Some(one), Some(other)) => one.expose() == other.expose(),
                (None, None) => true,
                _ => false,
            }
    }
}

impl Login {
    /// User and password as they are at this moment: the file is read with each call.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when the file cannot be read.
    pub(crate) async fn credentials(&self) -> Result<Credentials> {
        let username = self.username.clone();
        let Some(path) = &self.password_file else {
            return Ok(Credentials { username, password: self.password.clone() });
        };
        let read = {
            let path = path.clone();
            tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await
        };
        let text = read.unwrap_or_else(|panic| Err(std::io::Error::other(panic)));
        let text = text.map_err(|error| {
            CacheError::new(ErrorKind::Config, "the file with the password cannot be read")
                .with("path", path.display())
                .caused_by(error)
                .hint("write the password, and nothing else, into this file")
        })?;
        // Editors and `echo` end a file with a line break that is no part of the password.
        let password = text.trim_end_matches(['\n', '\r']);
        let password = (!password.is_empty()).then(|| Secret::new(password));
        Ok(Credentials { username, password })
    }
}

impl Settings {
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for what [`validate`](larder_core::PluginConfig::validate) reports.
    pub(crate) fn of_redis(config: RedisConnectionConfig, context: &BuildContext) -> Result<Self> {
        let url = config.url.as_ref().map(parse).transpose()?;
        let named = config.sentinels.iter().map(parse).collect::<Result<Vec<_>>>()?;
        let is_tls = url.iter().chain(&named).any(|parsed| parsed.is_tls) || config.tls.is_some();
        let (by_url, db) = match &url {
            Some(url) => (login_of(url), url.db),
            None => (Login::default(), None),
        };
        let servers = match url {
            Some(url) if !url.is_sentinel => Servers::Single(first(url)?),
            url => {
                let by_url = url.as_ref().and_then(|url| url.master.clone());
                let master = config.master.or(by_url).ok_or_else(nowhere)?;
                let addresses = url.into_iter().chain(named).flat_map(|parsed| parsed.addresses);
                let login = Login {
                    username: config.sentinel_username,
                    password: config.sentinel_password,
                    password_file: None,
                };
                Servers::Sentinel { sentinels: addresses.collect(), master, login }
            }
        };
        Ok(Self {
            name: name_of(context),
            servers,
            login: Login {
                username: config.username.or(by_url.username),
                password: config.password.or(by_url.password),
                password_file: config.password_file,
            },
            db: config.db.or(db).unwrap_or(0),
            pool_size: usize::from(config.pool_size).max(1),
            connect_timeout: config.connect_timeout.0.min(LONGEST),
            timeout: config.timeout.0.min(LONGEST),
            tls: is_tls.then(|| config.tls.unwrap_or_default()),
            clock: Arc::clone(&context.clock),
            tally: Arc::default(),
        })
    }

    /// # Errors
    ///
    /// [`ErrorKind::Config`] for what [`validate`](larder_core::PluginConfig::validate) reports.
    pub(crate) fn of_cluster(config: RedisClusterConfig, context: &BuildContext) -> Result<Self> {
        let nodes = config.nodes.iter().map(parse).collect::<Result<Vec<_>>>()?;
        let by_url = nodes.first().map(login_of).ok_or_else(nowhere)?;
        let is_tls = nodes.iter().any(|node| node.is_tls) || config.tls.is_some();
        let addresses = nodes.into_iter().flat_map(|node| node.addresses).collect();
        Ok(Self {
            name: name_of(context),
            servers: Servers::Cluster(addresses),
            login: Login {
                username: config.username.or(by_url.username),
                password: config.password.or(by_url.password),
                password_file: config.password_file,
            },
            db: 0,
            pool_size: usize::from(config.pool_size).max(1),
            connect_timeout: config.connect_timeout.0.min(LONGEST),
            timeout: config.timeout.0.min(LONGEST),
            tls: is_tls.then(|| config.tls.unwrap_or_default()),
            clock: Arc::clone(&context.clock),
            tally: Arc::default(),
        })
    }
}

/// The name of the connection: the last part of where its options stand.
fn name_of(context: &BuildContext) -> String {
    context.path.last().unwrap_or("redis").to_owned()
}

fn login_of(url: &Parsed) -> Login {
    Login { username: url.username.clone(), password: url.password.clone(), password_file: None }
}

fn parse(url: &ServerUrl) -> Result<Parsed> {
    url.parse()
        .map_err(|refused| CacheError::new(ErrorKind::Config, refused.message).hint(refused.help))
}

fn first(url: Parsed) -> Result<Address> {
    url.addresses.into_iter().next().ok_or_else(nowhere)
}

fn nowhere() -> CacheError {
    CacheError::new(ErrorKind::Config, "there is no server to connect to")
        .hint("see `larder check`")
}
