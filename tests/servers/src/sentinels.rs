//! A primary, its replicas, and the sentinels that watch them.

use std::time::Duration;

use crate::redis::USER;
use crate::{LOOPBACK, Redis, RedisOptions, eventually};

/// A primary with replicas, watched by three sentinels under the name [`NAME`](Self::NAME).
#[derive(Debug)]
pub struct Sentinels {
    servers: Vec<Redis>,
    sentinels: Vec<Redis>,
}

/// What [`Sentinels`] are started with.
#[derive(Clone, Debug)]
#[must_use]
pub struct SentinelsOptions {
    replicas: usize,
    server: RedisOptions,
    down_after: Duration,
}

impl SentinelsOptions {
    /// Two replicas, and a primary that is given up when it is silent for a second.
    pub fn new() -> Self {
        let down_after = Duration::from_secs(1);
        Self { replicas: 2, server: RedisOptions::new(), down_after }
    }

    /// How many servers follow the primary.
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// What each server is started with, such as a password.
    pub fn server(mut self, options: RedisOptions) -> Self {
        self.server = options;
        self
    }

    /// How long a primary is silent before the sentinels give it up.
    pub fn down_after(mut self, silence: Duration) -> Self {
        self.down_after = silence;
        self
    }
}

impl Default for SentinelsOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl Sentinels {
    /// The name of the primary.
    pub const NAME: &'static str = "mymaster";

    /// Starts a primary, two replicas and three sentinels, and waits until all know each other.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(&SentinelsOptions::new())
    }

    /// Starts a primary, its replicas and three sentinels, and waits until all know each other.
    #[must_use]
    #[track_caller]
    pub fn start_with(options: &SentinelsOptions) -> Self {
        // A primary that loses its place follows another one, so it needs what a replica does.
        let login = |server: RedisOptions| {
            server.line(format!("masteruser {USER}")).line(format!("masterauth {USER}"))
        };
        let primary = Redis::start_with(&login(options.server.clone()));
        let port = primary.port();
        let replicas = (0..options.replicas)
            .map(|_| Redis::start_with(&options.server.clone().replica_of(port)));
        let servers: Vec<Redis> = std::iter::once(primary).chain(replicas).collect();
        for replica in &servers[1..] {
            eventually("a replica that follows", LIMIT, || {
                (replica.info("master_link_status") == "up").then_some(())
            });
        }
        let sentinels =
            (0..SENTINELS).map(|_| Redis::start_with(&sentinel(port, options.down_after)));
        let all = Self { servers, sentinels: sentinels.collect() };
        all.look_around_every(Duration::from_millis(100));
        for sentinel in &all.sentinels {
            eventually("sentinels that know each other", LIMIT, || all.is_known(sentinel));
        }
        // A sentinel that has heard nothing for four periods undoes a promotion, and who promotes
        // takes a second to notice that it worked.
        all.look_around_every(Duration::from_secs(1));
        all
    }

    /// The ports of the sentinels.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        self.sentinels.iter().map(Redis::port).collect()
    }

    /// The server that the sentinels call the primary.
    #[must_use]
    #[track_caller]
    pub fn primary(&self) -> &Redis {
        let port = self.primary_port();
        let found = self.servers.iter().find(|server| server.port() == port);
        found.expect("the sentinels name one of the servers")
    }

    /// All servers, the first primary first.
    #[must_use]
    pub fn servers(&self) -> &[Redis] {
        &self.servers
    }

    /// The sentinels.
    #[must_use]
    pub fn sentinels(&self) -> &[Redis] {
        &self.sentinels
    }

    /// Orders a fail-over, and waits until another server is the primary everywhere.
    #[track_caller]
    pub fn failover(&self) {
        let before = self.primary_port();
        // A sentinel refuses while it has no good replica, which it notices with a delay.
        eventually("a fail-over that begins", LIMIT, || {
            self.sentinels[0].try_cli(&["SENTINEL", "FAILOVER", Self::NAME]).ok()
        });
        self.wait_for_another(before);
    }

    /// Kills the primary, and waits until another server is the primary everywhere.
    #[track_caller]
    pub fn kill_primary(&self) {
        let before = self.primary();
        before.kill();
        self.wait_for_another(before.port());
    }

    /// Waits until all sentinels name another primary than `before` and it takes writes.
    #[track_caller]
    pub fn wait_for_another(&self, before: u16) {
        eventually("another primary", LIMIT, || {
            let named: Vec<u16> = self.sentinels.iter().map(primary_port).collect();
            named.iter().all(|port| *port != before && *port == named[0]).then_some(())
        });
        eventually("a primary that takes writes", LIMIT, || {
            (self.primary().info("role") == "master").then_some(())
        });
    }

    fn primary_port(&self) -> u16 {
        primary_port(&self.sentinels[0])
    }

    /// Sets how often the sentinels ask and tell, which is every few seconds otherwise.
    fn look_around_every(&self, period: Duration) {
        let period = period.as_millis().to_string();
        let names = ["info-period", "ping-period", "ask-period", "publish-period"];
        let words = names.iter().flat_map(|name| [*name, &*period]);
        let command: Vec<&str> = ["SENTINEL", "DEBUG"].into_iter().chain(words).collect();
        for sentinel in &self.sentinels {
            // Servers of before 7.0 have no such command, and take their time.
            sentinel.try_cli(&command).ok();
        }
    }

    /// Whether a sentinel knows all others and all replicas.
    fn is_known(&self, sentinel: &Redis) -> Option<()> {
        let about = sentinel.cli(&["SENTINEL", "MASTER", Self::NAME]).texts();
        let field = |name: &str| {
            let place = about.iter().position(|text| text == name)?;
            about.get(place + 1)?.parse::<usize>().ok()
        };
        let is_known = field("num-slaves") == Some(self.servers.len() - 1)
            && field("num-other-sentinels") == Some(SENTINELS - 1);
        is_known.then_some(())
    }
}

fn primary_port(sentinel: &Redis) -> u16 {
    let command = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", Sentinels::NAME];
    let address = sentinel.cli(&command).texts();
    let port = address.get(1).and_then(|port| port.parse().ok());
    port.unwrap_or_else(|| panic!("a sentinel names {address:?} as the primary"))
}

fn sentinel(primary: u16, down_after: Duration) -> RedisOptions {
    let name = Sentinels::NAME;
    RedisOptions::new()
        .sentinel()
        .line(format!("sentinel monitor {name} {LOOPBACK} {primary} 2"))
        .line(format!("sentinel auth-user {name} {USER}"))
        .line(format!("sentinel auth-pass {name} {USER}"))
        .line(format!("sentinel down-after-milliseconds {name} {}", down_after.as_millis()))
        .line(format!("sentinel failover-timeout {name} 5000"))
}

const SENTINELS: usize = 3;
const LIMIT: Duration = Duration::from_secs(60);
