//! The config of a cache over Redis, as a test wants it.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A config with one connection and one cache, memory over Redis.
///
/// Waiting is short, so that tests are; the cache has a name of its own, so that tests which share
/// a process, or a server, do not meet.
#[derive(Clone, Debug)]
#[must_use]
pub struct Config {
    name: String,
    kind: &'static str,
    connection: Vec<String>,
    cache: Vec<String>,
    has_memory: bool,
}

impl Config {
    /// Over the server at a URL, also one of sentinels.
    pub fn redis(url: &str) -> Self {
        Self::new("redis", format!("url = \"{url}\""))
    }

    /// Over the cluster of which these ports of the loopback are nodes.
    pub fn cluster(ports: &[u16]) -> Self {
        let nodes = ports.iter().map(|port| format!("\"redis://127.0.0.1:{port}\""));
        let nodes = nodes.collect::<Vec<_>>().join(", ");
        Self::new("redis-cluster", format!("nodes = [{nodes}]"))
    }

    fn new(kind: &'static str, servers: String) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            name: format!("cache{}x{number}", std::process::id()),
            kind,
            connection: vec![servers],
            cache: Vec::new(),
            has_memory: true,
        }
    }

    /// Another line of the connection.
    pub fn connection(mut self, line: &str) -> Self {
        self.connection.push(line.to_owned());
        self
    }

    /// Another line of the cache.
    pub fn cache(mut self, line: &str) -> Self {
        self.cache.push(line.to_owned());
        self
    }

    /// Redis alone, so that every call goes to the server.
    pub fn without_memory(mut self) -> Self {
        self.has_memory = false;
        self
    }

    /// The name of the cache.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The config as TOML.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |line: &str| writeln!(text, "{line}").expect("a string takes all");
        line("[connections.main]");
        line(&format!("kind = \"{}\"", self.kind));
        line("connect_timeout = \"500ms\"");
        line("timeout = \"1s\"");
        self.connection.iter().for_each(|given| line(given));
        line(&format!("[caches.{}]", self.name));
        let tier = if self.has_memory { "l2" } else { "l1" };
        if self.has_memory {
            line("l1.backend = { kind = \"memory\", capacity = 10000 }");
        }
        line(&format!("{tier}.backend = {{ kind = \"redis\", connection = \"main\" }}"));
        line(&format!("{tier}.timeout = \"500ms\""));
        line("ttl = \"10m\"");
        self.cache.iter().for_each(|given| line(given));
        text
    }
}
