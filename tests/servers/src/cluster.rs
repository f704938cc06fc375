//! A Redis Cluster.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use crate::redis::USER;
use crate::{LOOPBACK, Redis, RedisOptions, eventually};

/// Primaries that share the slots, and replicas that can take their place.
#[derive(Debug)]
pub struct Cluster {
    /// The primaries of the start, then their replicas.
    nodes: Vec<Redis>,
    ids: Vec<String>,
    primaries: usize,
}

/// What a [`Cluster`] is started with.
#[derive(Clone, Debug)]
#[must_use]
pub struct ClusterOptions {
    primaries: usize,
    replicas: usize,
    node: RedisOptions,
    is_whole: bool,
}

impl ClusterOptions {
    /// That many primaries without replicas.
    pub fn new(primaries: usize) -> Self {
        Self { primaries, replicas: 0, node: RedisOptions::new(), is_whole: true }
    }

    /// How many replicas each primary has.
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// What each node is started with, such as a password.
    pub fn node(mut self, options: RedisOptions) -> Self {
        self.node = options;
        self
    }

    /// The slots that are there are served when others are not.
    pub fn partial(mut self) -> Self {
        self.is_whole = false;
        self
    }

    fn for_node(&self) -> RedisOptions {
        let whole = if self.is_whole { "yes" } else { "no" };
        self.node
            .clone()
            .cluster()
            .line(format!("cluster-node-timeout {NODE_TIMEOUT}"))
            .line(format!("cluster-require-full-coverage {whole}"))
            .line("cluster-replica-validity-factor 0")
            .line(format!("masteruser {USER}"))
            .line(format!("masterauth {USER}"))
    }
}

impl Cluster {
    /// Starts primaries, each with that many replicas, and waits until all serve.
    #[must_use]
    #[track_caller]
    pub fn start(primaries: usize, replicas: usize) -> Self {
        Self::start_with(&ClusterOptions::new(primaries).replicas(replicas))
    }

    /// Starts a cluster with options, and waits until all nodes serve.
    #[must_use]
    #[track_caller]
    pub fn start_with(options: &ClusterOptions) -> Self {
        let count = options.primaries * (options.replicas + 1);
        let nodes: Vec<Redis> =
            (0..count).map(|_| Redis::start_with(&options.for_node())).collect();
        let ids = nodes.iter().map(|node| node.cli(&["CLUSTER", "MYID"]).text()).collect();
        let cluster = Self { nodes, ids, primaries: options.primaries };
        cluster.meet();
        cluster.share_slots();
        cluster.follow();
        cluster.wait_until_whole();
        cluster
    }

    /// All nodes: the primaries of the start in the order of their slots, then their replicas,
    /// in the same order.
    #[must_use]
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// Which of the [nodes](Self::nodes) serves a slot, as far as the first that answers knows.
    #[must_use]
    #[track_caller]
    pub fn owner(&self, slot: u16) -> usize {
        let ports = self.owners();
        let (_, port) = ports.range(..=slot).next_back().expect("the slot has an owner");
        let owner = self.nodes.iter().position(|node| node.port() == *port);
        owner.expect("the owner is one of the nodes")
    }

    /// The slot of a key.
    #[must_use]
    #[track_caller]
    pub fn slot(&self, key: &str) -> u16 {
        let slot = self.any().cli(&["CLUSTER", "KEYSLOT", key]).integer();
        u16::try_from(slot).expect("slots are small")
    }

    /// Moves a slot with its keys to another node.
    #[track_caller]
    pub fn reshard(&self, slot: u16, to: usize) {
        let migration = self.begin_migration(slot, to);
        migration.move_keys();
        migration.finish();
    }

    /// Begins to move a slot, so that the old owner answers with `ASK` for keys it does not have.
    #[track_caller]
    pub fn begin_migration(&self, slot: u16, to: usize) -> Migration<'_> {
        let from = self.owner(slot);
        let number = slot.to_string();
        self.nodes[to].cli(&["CLUSTER", "SETSLOT", &number, "IMPORTING", &self.ids[from]]);
        self.nodes[from].cli(&["CLUSTER", "SETSLOT", &number, "MIGRATING", &self.ids[to]]);
        Migration { cluster: self, slot: number, from, to }
    }

    /// Waits until all nodes that run say that all is well.
    #[track_caller]
    pub fn wait_until_whole(&self) {
        for node in &self.nodes {
            eventually("a cluster that is well", LIMIT, || {
                let info = node.try_cli(&["CLUSTER", "INFO"]).ok()?.text();
                info.contains("cluster_state:ok").then_some(())
            });
        }
    }

    fn any(&self) -> &Redis {
        let answering = self.nodes.iter().find(|node| node.try_cli(&["PING"]).is_ok());
        answering.expect("one of the nodes answers")
    }

    /// The first slot of each range, and the port of its primary.
    fn owners(&self) -> BTreeMap<u16, u16> {
        let text = self.any().cli(&["CLUSTER", "NODES"]).text();
        let mut owners = BTreeMap::new();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let mut flags = words[2].split(',');
            // One that is only suspected has `fail?` and keeps its slots.
            if flags.clone().any(|flag| flag == "fail") || !flags.any(|flag| flag == "master") {
                continue;
            }
            let port = words[1].split(['@', ':']).nth(1).and_then(|port| port.parse().ok());
            let port: u16 = port.expect("a node has a port");
            for range in words[8..].iter().filter(|word| !word.starts_with('[')) {
                let first = range.split('-').next().and_then(|slot| slot.parse().ok());
                owners.insert(first.expect("a range has a first slot"), port);
            }
        }
        owners
    }

    fn meet(&self) {
        for (index, node) in self.nodes.iter().enumerate() {
            // Equal epochs would be settled later, at the price of slots that change hands.
            node.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]);
            let (port, bus) = (node.port().to_string(), node.bus_port().to_string());
            self.nodes[0].cli(&["CLUSTER", "MEET", LOOPBACK, &port, &bus]);
        }
        for node in &self.nodes {
            eventually("nodes that know each other", LIMIT, || {
                let text = node.cli(&["CLUSTER", "NODES"]).text();
                self.ids.iter().all(|id| text.contains(id)).then_some(())
            });
        }
    }

    fn share_slots(&self) {
        for (index, node) in self.nodes[..self.primaries].iter().enumerate() {
            let slots = share(index, self.primaries);
            let (first, last) = (slots.start.to_string(), (slots.end - 1).to_string());
            node.cli(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
        }
    }

    fn follow(&self) {
        for (index, replica) in self.nodes[self.primaries..].iter().enumerate() {
            let primary = &self.ids[index % self.primaries];
            eventually("a replica that may follow", LIMIT, || {
                replica.try_cli(&["CLUSTER", "REPLICATE", primary]).ok()
            });
        }
        for replica in &self.nodes[self.primaries..] {
            eventually("a replica that follows", LIMIT, || {
                (replica.info("role") == "slave" && replica.info("master_link_status") == "up")
                    .then_some(())
            });
        }
    }
}

/// A slot on its way from one node to another.
#[derive(Debug)]
#[must_use]
pub struct Migration<'a> {
    cluster: &'a Cluster,
    slot: String,
    from: usize,
    to: usize,
}

impl Migration<'_> {
    /// Moves the keys that are in the slot.
    #[track_caller]
    pub fn move_keys(&self) {
        let nodes = &self.cluster.nodes;
        let port = nodes[self.to].port().to_string();
        loop {
            let keys = nodes[self.from].cli(&["CLUSTER", "GETKEYSINSLOT", &self.slot, "100"]);
            let keys = keys.texts();
            if keys.is_empty() {
                return;
            }
            let head = ["MIGRATE", LOOPBACK, &port, "", "0", "5000", "AUTH2", USER, USER, "KEYS"];
            let command: Vec<&str> =
                head.into_iter().chain(keys.iter().map(String::as_str)).collect();
            nodes[self.from].cli(&command);
        }
    }

    /// Gives the slot to its new owner, and tells every primary.
    #[track_caller]
    pub fn finish(self) {
        let Cluster { nodes, ids, .. } = self.cluster;
        let owner = &ids[self.to];
        // The new owner first, so that the slot is never without one.
        let others = (0..nodes.len()).filter(|index| *index != self.to);
        for index in std::iter::once(self.to).chain(others) {
            // A replica refuses, and learns it from its primary.
            nodes[index].try_cli(&["CLUSTER", "SETSLOT", &self.slot, "NODE", owner]).ok();
        }
        let slot = self.slot.parse().expect("it was a number");
        eventually("a slot that has moved", LIMIT, || {
            (self.cluster.owner(slot) == self.to).then_some(())
        });
    }
}

/// The slots of one of so many primaries.
fn share(index: usize, primaries: usize) -> Range<usize> {
    SLOTS * index / primaries..SLOTS * (index + 1) / primaries
}

const SLOTS: usize = 16_384;
const NODE_TIMEOUT: u32 = 1500;
const LIMIT: Duration = Duration::from_secs(60);
