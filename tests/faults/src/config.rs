//! The config of a cache over Redis, as a test wants it.

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
    tier: Vec<String>,
    /// How many entries the memory in front holds, if there is one.
    memory: Option<usize>,
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
            tier: Vec::new(),
            memory: Some(10_000),
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

    /// Another line of the tier over Redis.
    pub fn tier(mut self, line: &str) -> Self {
        self.tier.push(line.to_owned());
        self
    }

    /// How many entries the memory in front holds.
    pub fn memory(mut self, capacity: usize) -> Self {
        self.memory = Some(capacity);
        self
    }

    /// Redis alone, so that every call goes to the server.
    pub fn without_memory(mut self) -> Self {
        self.memory = None;
        self
    }

    /// The name of the cache.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The config as TOML. A line that was given takes the place of the usual one of its option.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { name, kind, .. } = self;
        let usual = ["connect_timeout = \"500ms\"", "timeout = \"1s\""];
        let connection = section(&usual, &self.connection);
        let cache = section(&["ttl = \"10m\"", "allow = [\"W0401\"]"], &self.cache);
        let backend = format!("backend = {{ kind = \"redis\", connection = \"{name}\" }}");
        let tier = section(&[&backend, "timeout = \"500ms\""], &self.tier);
        let (memory, number) = match self.memory {
            Some(capacity) => {
                (format!("l1.backend = {{ kind = \"memory\", capacity = {capacity} }}\n"), 2)
            }
            None => (String::new(), 1),
        };
        format!(
            "[connections.{name}]\nkind = \"{kind}\"\n{connection}\n\
             [caches.{name}]\n{cache}\n{memory}[caches.{name}.l{number}]\n{tier}\n"
        )
    }
}

/// The lines that were given, and those of the usual ones whose options they leave out.
fn section(usual: &[&str], given: &[String]) -> String {
    let option = |line: &str| line.split('=').next().map(|name| name.trim().to_owned());
    let kept = usual.iter().copied();
    let kept = kept.filter(|line| given.iter().all(|other| option(other) != option(line)));
    let lines: Vec<&str> = kept.chain(given.iter().map(String::as_str)).collect();
    lines.join("\n")
}
