//! [`Cluster`]: the nodes of a cluster, each with a connection of its own, and which of them has
//! which keys.
//!
//! Every node is supervised by itself, so that one that is down costs nothing but its own slots.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use larder_core::{CacheError, ErrorKind, Result, telemetry};
use redis::{Pipeline, Value};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

use super::Source;
use super::answers::has_trouble;
use super::slots::SlotMap;
use crate::config::{Address, Settings};
use crate::connection::greeting::Expect;
use crate::connection::line::{Landed, Read};
use crate::connection::link::Task;
use crate::connection::{Lane, Layout, Route, State};
use crate::error::Failure;
use crate::supervisor::{Endpoint, Status};

mod redirect;

/// How often the slots are looked up when nothing happens, and when a primary is down.
const LOOK_UP_EVERY: (Duration, Duration) = (Duration::from_secs(30), Duration::from_millis(500));

/// The least time between two look-ups.
const LOOK_UP_GAP: Duration = Duration::from_millis(100);

/// How long a node is kept that others have sent us to and that no map names.
const GUEST_STAYS: Duration = Duration::from_secs(60);

/// The nodes of a cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    settings: Arc<Settings>,
    seeds: Vec<Address>,
    nodes: RwLock<BTreeMap<Address, Arc<Endpoint>>>,
    /// Nodes that others have sent us to, and when they last did.
    guests: Mutex<BTreeMap<Address, Instant>>,
    slots: RwLock<Option<Arc<SlotMap>>>,
    looking_up: tokio::sync::Mutex<()>,
    /// Rung when the slots should be looked up.
    bell: Arc<Notify>,
    task: Mutex<Option<Task>>,
}

impl Cluster {
    pub(crate) fn new(settings: Arc<Settings>, seeds: Vec<Address>) -> Arc<Self> {
        Arc::new(Self {
            settings,
            seeds,
            nodes: RwLock::default(),
            guests: Mutex::default(),
            slots: RwLock::default(),
            looking_up: tokio::sync::Mutex::default(),
            bell: Arc::default(),
            task: Mutex::default(),
        })
    }

    /// Sends commands to the node that serves them, wherever that is by then.
    ///
    /// # Errors
    ///
    /// The kinds of [`Endpoint::send`]; [`ErrorKind::Connection`] when no node has the slot.
    pub(crate) async fn send(
        self: &Arc<Self>,
        lane: Lane,
        route: Route<'_>,
        affinity: usize,
        commands: &Pipeline,
        deadline: Instant,
    ) -> Result<Vec<Value>> {
        self.run();
        let slots = self.slots(deadline).await?;
        let address = self.address(&slots, route)?;
        let endpoint = self.node(&address);
        let answers = endpoint.send(lane, affinity, commands, deadline).await;
        let answers = answers.inspect_err(|_| self.bell.notify_one())?;
        if commands.is_transaction() || !has_trouble(&answers) {
            return Ok(answers);
        }
        let sent = redirect::Sent { lane, affinity, commands, deadline };
        self.follow_up(&sent, &address, answers).await
    }

    /// Reads at the node of this route.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub(crate) async fn read(
        self: &Arc<Self>,
        route: Route<'_>,
        affinity: usize,
        read: &Read<'_>,
        deadline: Instant,
    ) -> Result<Option<Landed>> {
        self.run();
        let slots = self.slots(deadline).await?;
        let endpoint = self.node(&self.address(&slots, route)?);
        if let Route::Replica(_) = route
            && let Some(landed) = endpoint.read_at_replica(affinity, read, deadline).await
        {
            return Ok(Some(landed));
        }
        let landed = endpoint.read(affinity, read, deadline).await;
        landed.inspect_err(|_| self.bell.notify_one())
    }

    /// The primaries.
    ///
    /// # Errors
    ///
    /// Why no node could be asked.
    pub(crate) async fn layout(self: &Arc<Self>, deadline: Instant) -> Result<Layout> {
        self.run();
        let slots = self.slots(deadline).await?;
        Ok(Layout { servers: slots.primaries().len(), mark: slots.mark() })
    }

    /// How each primary is; before they are known, how the nodes are that are asked for them.
    pub(crate) fn statuses(&self) -> Vec<Status> {
        let slots = self.known();
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        let counts = |address: &Address| {
            slots.as_ref().is_none_or(|slots| slots.primaries().contains(address))
        };
        let nodes = nodes.iter().filter(|(address, _)| counts(address));
        nodes.map(|(_, node)| node.status()).collect()
    }

    fn address(&self, slots: &SlotMap, route: Route<'_>) -> Result<Address> {
        let address = match route {
            Route::Key(key) | Route::Replica(key) => {
                let slot = super::slots::slot_of(key);
                slots.owner(slot).ok_or_else(|| {
                    self.bell.notify_one();
                    self.told("no node of the cluster serves the key").with("slot", slot)
                })?
            }
            Route::Primary(index) => slots
                .primaries()
                .get(index)
                .ok_or_else(|| self.told("the cluster has fewer primaries than before"))?,
            Route::Any => self.healthiest(slots),
        };
        Ok(address.clone())
    }

    /// Some primary, one that is well if there is any.
    fn healthiest<'a>(&self, slots: &'a SlotMap) -> &'a Address {
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        let is_well = |address: &&Address| {
            nodes.get(*address).is_some_and(|node| node.status().state == State::Healthy)
        };
        let primaries = slots.primaries();
        primaries.iter().find(is_well).unwrap_or(&primaries[0])
    }

    /// The connection to a node.
    fn node(&self, address: &Address) -> Arc<Endpoint> {
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = nodes.get(address) {
            return Arc::clone(node);
        }
        drop(nodes);
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        let node = nodes.entry(address.clone()).or_insert_with(|| {
            let (settings, bell) = (Arc::clone(&self.settings), Arc::clone(&self.bell));
            let source = Source::Fixed(address.clone());
            Arc::new(Endpoint::new(settings, source, Expect::Cluster, bell))
        });
        Arc::clone(node)
    }

    fn known(&self) -> Option<Arc<SlotMap>> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The slots as they are known; looked up when they are not known at all.
    async fn slots(&self, deadline: Instant) -> Result<Arc<SlotMap>> {
        if let Some(slots) = self.known() {
            return Ok(slots);
        }
        let looked_up = timeout_at(deadline, async {
            let _alone = self.looking_up.lock().await;
            match self.known() {
                Some(slots) => Ok(slots),
                None => self.look_up(deadline).await,
            }
        });
        let looked_up = looked_up.await;
        looked_up.unwrap_or_else(|_| Err(self.told_of(&Failure::slow("asking for the slots"))))
    }

    /// Asks one node after another for the slots: those that serve first, then all others.
    async fn look_up(&self, deadline: Instant) -> Result<Arc<SlotMap>> {
        let mut candidates = Vec::new();
        {
            let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
            candidates.extend(
                nodes.iter().map(|(address, node)| {
                    (node.status().state != State::Healthy, address.clone())
                }),
            );
        }
        candidates.sort();
        let candidates = candidates.into_iter().map(|(_, address)| address);
        let mut commands = redis::pipe();
        commands.cmd("CLUSTER").arg("SLOTS");
        let mut last = self.told("the cluster has no nodes");
        for address in candidates.chain(self.seeds.iter().cloned()) {
            let limit = deadline.min(Instant::now() + self.settings.connect_timeout);
            let answers = self.node(&address).send(Lane::Small, 0, &commands, limit).await;
            match answers.as_deref().map(|answers| answers.first()) {
                Ok(Some(answer)) => match SlotMap::read(answer, &address) {
                    Some(slots) => return Ok(self.install(slots)),
                    None => last = self.told("the node knows no slots").with("server", &address),
                },
                Ok(None) => {}
                Err(error) => last = error.clone(),
            }
        }
        Err(last)
    }

    /// Another node has sent us to this one. While a slot is on its way to a node, or that one has
    /// just got it, no map has to name it, and we are sent there with every command; so it is kept
    /// for a while.
    fn welcome(&self, address: &Address) {
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        guests.insert(address.clone(), Instant::now());
    }

    /// Takes over a map, and lets go of nodes that are not part of it.
    fn install(&self, slots: SlotMap) -> Arc<SlotMap> {
        let slots = Arc::new(slots);
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        guests.retain(|_, since| since.elapsed() < GUEST_STAYS);
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|address, _| {
            slots.primaries().contains(address) || guests.contains_key(address)
        });
        drop((guests, nodes));
        let before = {
            let mut known = self.slots.write().unwrap_or_else(PoisonError::into_inner);
            known.replace(Arc::clone(&slots))
        };
        if before.is_none_or(|before| before.primaries() != slots.primaries()) {
            tracing::debug!(
                target: telemetry::TARGET,
                connection = self.settings.name, primaries = slots.primaries().len(),
                "{}", telemetry::CONNECTION_SLOTS
            );
        }
        slots
    }

    /// Takes over what a node said about a slot, until all of them are looked up.
    fn learn(&self, slot: u16, address: &Address) {
        let mut known = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(slots) = &mut *known
            && slots.owner(slot) != Some(address)
        {
            Arc::make_mut(slots).assign(slot, address.clone());
        }
        drop(known);
        self.bell.notify_one();
    }

    /// Sees to it that the slots are looked up when they may have changed.
    fn run(self: &Arc<Self>) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_some_and(|task| !task.is_over()) {
            return;
        }
        // Without a runtime the command fails by itself, and says why.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            *task = Some(Task::new(runtime.spawn(keep_up(Arc::downgrade(self)))));
        }
    }

    fn told(&self, message: &'static str) -> CacheError {
        CacheError::new(ErrorKind::Connection, message).with("connection", &self.settings.name)
    }

    fn told_of(&self, failure: &Failure) -> CacheError {
        failure.error.clone().with("connection", &self.settings.name)
    }
}

/// Looks the slots up when the bell rings, and now and then.
async fn keep_up(cluster: Weak<Cluster>) {
    loop {
        let (bell, every) = match cluster.upgrade() {
            Some(cluster) => {
                let is_well = |status: &Status| status.state == State::Healthy;
                let is_well = cluster.statuses().iter().all(is_well);
                let every = if is_well { LOOK_UP_EVERY.0 } else { LOOK_UP_EVERY.1 };
                (Arc::clone(&cluster.bell), every)
            }
            None => return,
        };
        // Whether the bell rang or the time has come makes no difference.
        timeout(every, bell.notified()).await.ok();
        let Some(cluster) = cluster.upgrade() else {
            return;
        };
        if cluster.known().is_some() {
            let _alone = cluster.looking_up.lock().await;
            let deadline = Instant::now() + cluster.settings.timeout;
            // A cluster that cannot be asked is reported by its nodes.
            cluster.look_up(deadline).await.ok();
        }
        drop(cluster);
        tokio::time::sleep(LOOK_UP_GAP).await;
    }
}

#[cfg(test)]
mod tests {
    use larder_core::BuildContext;

    use super::*;
    use crate::config::RedisClusterConfig;

    fn map(port: u16) -> SlotMap {
        let node = Value::Array(vec![Value::BulkString("a".into()), Value::Int(port.into())]);
        let range = Value::Array(vec![Value::Int(0), Value::Int(16383), node]);
        SlotMap::read(&Value::Array(vec![range]), &Address::tcp("a", 1)).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_others_send_us_to_is_kept_although_no_map_names_it() {
        let nodes = serde_json::json!({ "nodes": ["redis://a:1"] });
        let config: RedisClusterConfig = serde_json::from_value(nodes).unwrap();
        let settings = Settings::of_cluster(config, &BuildContext::new("test")).unwrap();
        let cluster = Cluster::new(Arc::new(settings), vec![Address::tcp("a", 1)]);
        let guest = Address::tcp("guest", 2);
        let (asked, other) = (cluster.node(&guest), cluster.node(&Address::tcp("b", 3)));
        cluster.welcome(&guest);
        cluster.install(map(1));
        assert!(Arc::ptr_eq(&asked, &cluster.node(&guest)), "with its connection");
        assert_eq!(Arc::strong_count(&other), 1, "nobody needs this one any more");
        assert_eq!(cluster.statuses().len(), 0, "its state is not that of the cluster");
        tokio::time::advance(GUEST_STAYS).await;
        cluster.install(map(1));
        assert_eq!(Arc::strong_count(&asked), 1, "it does not stay for ever");
    }
}
