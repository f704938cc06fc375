//! One `redis-server`.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tempfile::TempDir;

use crate::process::Process;
use crate::resp::{Connection, Reply};
use crate::{Certificates, LOOPBACK, eventually, ports};

/// A `redis-server` on a free port of the loopback, with a directory of its own.
///
/// It keeps nothing on disk unless told so, and ends when it is dropped or when this process
/// ends, however that comes about. The harness has a user of its own, so that [`cli`](Self::cli)
/// works whatever becomes of the others.
///
/// # Example
///
/// ```no_run
/// let redis = larder_servers::Redis::start();
/// redis.cli(&["SET", "key", "value"]);
/// redis.kill();
/// redis.restart();
/// assert_eq!(redis.cli(&["DBSIZE"]).integer(), 0);
/// ```
#[derive(Debug)]
pub struct Redis {
    options: RedisOptions,
    port: u16,
    tls_port: Option<u16>,
    bus_port: u16,
    directory: TempDir,
    process: Mutex<Option<Process>>,
    connection: Mutex<Option<Connection>>,
}

impl Redis {
    /// Starts a server with nothing special, and waits until it answers.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(&RedisOptions::new())
    }

    /// Starts a server with options, and waits until it answers.
    #[must_use]
    #[track_caller]
    pub fn start_with(options: &RedisOptions) -> Self {
        let mut last = String::new();
        for _ in 0..PORT_RACES {
            let server = Self::prepare(options.clone());
            match server.launch() {
                Ok(()) => return server,
                // Another process took the port between the look at it and the start.
                Err(log) if log.contains("already in use") => last = log,
                Err(log) => panic!("redis-server does not start; it says:\n{log}"),
            }
        }
        panic!("redis-server found no free port in {PORT_RACES} attempts; it says:\n{last}");
    }

    fn prepare(options: RedisOptions) -> Self {
        let tls_port = options.certificates.as_ref().map(|_| ports::free());
        Self {
            port: ports::free(),
            tls_port,
            bus_port: ports::free(),
            directory: TempDir::new().expect("a temporary directory can be made"),
            process: Mutex::new(None),
            connection: Mutex::new(None),
            options,
        }
    }

    /// The port that it listens on without TLS.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port that it listens on with TLS.
    ///
    /// # Panics
    ///
    /// If it was started without certificates.
    #[must_use]
    pub fn tls_port(&self) -> u16 {
        self.tls_port.expect("the server was started with certificates")
    }

    /// The port that it talks to the rest of its cluster on.
    pub(crate) fn bus_port(&self) -> u16 {
        self.bus_port
    }

    /// Its address as a client takes it, without user and password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{LOOPBACK}:{}", self.port)
    }

    /// Its address with TLS, under the name that its certificate was made for.
    #[must_use]
    pub fn tls_url(&self) -> String {
        format!("rediss://localhost:{}", self.tls_port())
    }

    /// The directory that it runs in.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The id of its process.
    ///
    /// # Panics
    ///
    /// If it was killed.
    #[must_use]
    pub fn process_id(&self) -> i32 {
        self.process().as_ref().expect("the server was not killed").id()
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log(&self) -> String {
        self.process().as_ref().map(Process::log).unwrap_or_default()
    }

    /// Sends it a command as an operator does, and returns the reply.
    ///
    /// # Panics
    ///
    /// If the server refuses it or cannot be reached.
    #[track_caller]
    pub fn cli<A: AsRef<[u8]>>(&self, command: &[A]) -> Reply {
        match self.try_cli(command) {
            Ok(reply) => reply,
            Err(error) => panic!("the server answers `{}` with: {error}", show(command)),
        }
    }

    /// Sends it a command, and returns the reply or why there is none.
    ///
    /// # Errors
    ///
    /// What the server said, or what became of the connection, in words.
    pub fn try_cli<A: AsRef<[u8]>>(&self, command: &[A]) -> Result<Reply, String> {
        let mut connection = self.connection.lock().expect("nobody panics with the lock");
        // A connection from before may be gone; a second failure is that of the server.
        let kept = connection.take().map(|mut kept| (kept.ask(command), kept));
        let (answer, used) = match kept {
            Some((Ok(reply), kept)) => (Ok(reply), Some(kept)),
            _ => match self.connect() {
                Ok(mut fresh) => (fresh.ask(command), Some(fresh)),
                Err(error) => (Err(error), None),
            },
        };
        match answer {
            Ok(Reply::Error(message)) => {
                *connection = used;
                Err(message)
            }
            Ok(reply) => {
                *connection = used;
                Ok(reply)
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Sends it a command and does not wait for the reply, as for `DEBUG SLEEP`.
    #[track_caller]
    pub fn send<A: AsRef<[u8]>>(&self, command: &[A]) {
        let sent = self.connect().and_then(|mut connection| connection.send(command));
        sent.unwrap_or_else(|error| panic!("`{}` cannot be sent: {error}", show(command)));
    }

    /// The value of a field of `INFO`.
    ///
    /// # Panics
    ///
    /// If there is no such field.
    #[must_use]
    #[track_caller]
    pub fn info(&self, field: &str) -> String {
        let text = self.cli(&["INFO", "everything"]).text();
        let found = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        found.unwrap_or_else(|| panic!("`INFO` has no `{field}`:\n{text}")).to_owned()
    }

    /// Kills it as `kill -9` does, and waits until it is gone.
    pub fn kill(&self) {
        self.forget_connection();
        if let Some(mut process) = self.process().take() {
            process.kill();
        }
    }

    /// Starts it again on the same port and in the same directory, and waits until it answers.
    /// If it runs, it is killed first.
    #[track_caller]
    pub fn restart(&self) {
        self.kill();
        if let Err(log) = self.launch() {
            panic!("redis-server does not start again; it says:\n{log}");
        }
    }

    /// Stops it as `kill -STOP` does: its port accepts connections and nobody answers.
    pub fn stop(&self) {
        self.process().as_ref().expect("the server was not killed").stop();
    }

    /// Lets the stopped server go on.
    pub fn cont(&self) {
        self.process().as_ref().expect("the server was not killed").cont();
    }

    /// Runs the server until it answers; else returns what it said.
    fn launch(&self) -> Result<(), String> {
        let file = self.directory.path().join("redis.conf");
        // A cluster or a sentinel writes to its configuration, and wants it back.
        if !file.exists() {
            let text = self.options.render(self);
            fs::write(&file, text).expect("the directory can be written to");
        }
        let mut arguments = vec!["redis.conf".to_owned()];
        arguments.extend(self.options.is_sentinel.then(|| "--sentinel".to_owned()));
        let process = Process::start(&program(), &arguments, self.directory.path());
        *self.process() = Some(process);
        let is_up = eventually("a server that answers", START_LIMIT, || self.is_up().transpose());
        is_up.map_err(|()| self.log() + HINT)
    }

    /// Whether it answers; an error once it has ended.
    fn is_up(&self) -> Result<Option<()>, ()> {
        if self.try_cli(&["PING"]).is_ok() {
            return Ok(Some(()));
        }
        let mut process = self.process();
        let is_running = process.as_mut().is_some_and(Process::is_running);
        if is_running { Ok(None) } else { Err(()) }
    }

    fn connect(&self) -> io::Result<Connection> {
        let mut connection = Connection::open(self.port, CLI_LIMIT)?;
        if !self.options.is_sentinel {
            match connection.ask(&["AUTH", USER, USER])? {
                Reply::Error(message) => return Err(io::Error::other(message)),
                _ => return Ok(connection),
            }
        }
        Ok(connection)
    }

    fn forget_connection(&self) {
        self.connection.lock().expect("nobody panics with the lock").take();
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().expect("nobody panics with the lock")
    }
}

/// What a [`Redis`] is started with.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct RedisOptions {
    lines: Vec<String>,
    certificates: Option<CertificateFiles>,
    is_sentinel: bool,
    is_cluster: bool,
}

#[derive(Clone, Debug)]
struct CertificateFiles {
    authority: String,
    certificate: String,
    key: String,
}

impl RedisOptions {
    /// No password, no TLS, nothing on disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// A line of `redis.conf`, such as `maxclients 10`.
    pub fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// The password of the default user.
    pub fn password(self, password: &str) -> Self {
        self.line(format!("requirepass {password}"))
    }

    /// A user with its rules, such as `app on >secret ~ldr1:* +@all`.
    pub fn user(self, rules: &str) -> Self {
        self.line(format!("user {rules}"))
    }

    /// Most memory, and what becomes of what has no room, such as `10mb` and `allkeys-lru`.
    pub fn max_memory(self, size: &str, policy: &str) -> Self {
        self.line(format!("maxmemory {size}")).line(format!("maxmemory-policy {policy}"))
    }

    /// Writes go to a log that is read at a restart.
    pub fn append_only(self) -> Self {
        self.line("appendonly yes")
    }

    /// It follows the server on that port.
    pub fn replica_of(self, port: u16) -> Self {
        self.line(format!("replicaof {LOOPBACK} {port}"))
            .line(format!("masteruser {USER}"))
            .line(format!("masterauth {USER}"))
    }

    /// The command is unknown to the server.
    pub fn without_command(self, command: &str) -> Self {
        self.line(format!("rename-command {command} \"\""))
    }

    /// It also listens with TLS, as that server of the certificates.
    pub fn tls(mut self, certificates: &Certificates, server: crate::Identity) -> Self {
        let path = |name: &str| certificates.directory().join(name).display().to_string();
        self.certificates = Some(CertificateFiles {
            authority: path("ca.pem"),
            certificate: path(&format!("{}.pem", server.name())),
            key: path(&format!("{}.key", server.name())),
        });
        self.line("tls-auth-clients no")
    }

    /// It wants a certificate from its clients; to be given after [`tls`](Self::tls).
    pub fn tls_clients(self) -> Self {
        self.line("tls-auth-clients yes")
    }

    pub(crate) fn cluster(mut self) -> Self {
        self.is_cluster = true;
        self
    }

    pub(crate) fn sentinel(mut self) -> Self {
        self.is_sentinel = true;
        self
    }

    fn render(&self, server: &Redis) -> String {
        let mut text = format!("port {}\nbind {LOOPBACK}\ndir .\n", server.port);
        let mut line = |line: &str| writeln!(text, "{line}").expect("a string takes all");
        if !self.is_sentinel {
            line("save \"\"");
            line("enable-debug-command local");
            line("repl-diskless-sync-delay 0");
            line(&format!("user {USER} on >{USER} ~* &* +@all"));
        }
        if self.is_cluster {
            line("cluster-enabled yes");
            line(&format!("cluster-port {}", server.bus_port));
        }
        if let (Some(files), Some(port)) = (&self.certificates, server.tls_port) {
            line(&format!("tls-port {port}"));
            line(&format!("tls-ca-cert-file {}", files.authority));
            line(&format!("tls-cert-file {}", files.certificate));
            line(&format!("tls-key-file {}", files.key));
        }
        for given in &self.lines {
            line(given);
        }
        text
    }
}

fn program() -> String {
    env::var("LARDER_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned())
}

fn show<A: AsRef<[u8]>>(command: &[A]) -> String {
    let words = command.iter().map(|word| String::from_utf8_lossy(word.as_ref()));
    words.collect::<Vec<_>>().join(" ")
}

/// The name and password of the user of the harness.
pub(crate) const USER: &str = "harness";
const HINT: &str = "hint: if `redis-server` is missing, install it; on Debian: \
                    apt-get install redis-server";
const PORT_RACES: usize = 10;
const START_LIMIT: Duration = Duration::from_secs(30);
const CLI_LIMIT: Duration = Duration::from_secs(10);
