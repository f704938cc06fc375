//! The shared tier of a simulation: a store that several nodes reach over links which fail.
//!
//! It behaves as a server that loads leases and fences, and forgets what is over. A call goes out,
//! works, and comes back; each of the three can take its time, and a link can break in between, so
//! that the caller does not know whether the work was done.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use larder::plugin::backend::{Deadlines, Lease, ScanPage, ScanRequest};
use larder::plugin::{
    Backend, BuildContext, Capabilities, Entry, PluginConfig, Timestamp, async_trait, register,
};
use larder::{CacheError, Clock, ErrorKind, ManualClock, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Notify;
use tokio::task::yield_now;

/// How a node reaches the shared tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Link {
    #[default]
    Up,
    /// Every call fails at once.
    Down,
    /// Calls that come now never arrive, and answers never come.
    BlackHole,
    /// Calls arrive and work, and their answers are lost.
    Deaf,
}

/// What is broken on purpose, to see whether the simulation notices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sabotage {
    #[default]
    None,
    /// Whoever had a lease may fill.
    FillsWithoutLease,
    /// Deletes and markers of tags are acknowledged and not done.
    LosesDeletes,
}

/// The server and the links to it.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) clock: ManualClock,
    pub(crate) sabotage: Sabotage,
    state: Mutex<State>,
    /// Told when a link changes.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    rng: fastrand::Rng,
    links: Vec<Link>,
    /// How often each node has died.
    deaths: Vec<u64>,
    /// How often a link was not up or came up, or a call had no answer.
    turns: u64,
    entries: BTreeMap<String, Entry>,
    leases: BTreeMap<String, (Timestamp, u64)>,
    /// Who was told that it has the lease of a key, and has not asked for one since.
    granted: HashSet<(Caller, String)>,
    tokens: u64,
}

static NETWORKS: LazyLock<Mutex<HashMap<u64, Arc<Network>>>> = LazyLock::new(Mutex::default);

impl Network {
    /// A network of its own for every number.
    pub(crate) fn new(number: u64, nodes: usize, seed: u64, sabotage: Sabotage) -> Arc<Self> {
        let state = State {
            rng: fastrand::Rng::with_seed(seed ^ 0x6e65_7477),
            links: vec![Link::Up; nodes],
            deaths: vec![0; nodes],
            turns: 0,
            entries: BTreeMap::new(),
            leases: BTreeMap::new(),
            granted: HashSet::new(),
            tokens: 0,
        };
        let network = Arc::new(Self {
            clock: ManualClock::new(),
            sabotage,
            state: Mutex::new(state),
            changed: Notify::new(),
        });
        NETWORKS.lock().unwrap().insert(number, Arc::clone(&network));
        network
    }

    /// Forgets a network.
    pub(crate) fn end(number: u64) {
        NETWORKS.lock().unwrap().remove(&number);
    }

    pub(crate) fn set_link(&self, node: usize, link: Link) {
        let mut state = self.state.lock().unwrap();
        state.links[node] = link;
        state.turns += 1;
        drop(state);
        self.changed.notify_waiters();
    }

    /// From now on nothing is heard of this node until it is started again.
    pub(crate) fn kill(&self, node: usize) {
        self.state.lock().unwrap().deaths[node] += 1;
    }

    /// The turn of the links while all are up; `None` while one is not.
    pub(crate) fn quiet(&self) -> Option<u64> {
        let state = self.state.lock().unwrap();
        state.links.iter().all(|link| *link == Link::Up).then_some(state.turns)
    }

    /// What the server holds of a key, as far as it is of use.
    pub(crate) fn peek(&self, key: &str) -> Option<Entry> {
        let now = self.clock.wall();
        let state = self.state.lock().unwrap();
        state.entries.get(key).filter(|entry| !entry.meta.is_dead(now)).cloned()
    }

    /// How many entries there are, those of Larder itself too.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().unwrap().entries.len()
    }

    /// Whether what a node loads now is loaded under a lease that it knows of.
    pub(crate) fn has_lease(&self, node: usize, key: &str) -> bool {
        let state = self.state.lock().unwrap();
        let caller = Caller { node, life: state.deaths[node] };
        state.granted.contains(&(caller, key.to_owned()))
    }

    fn link(&self, Caller { node, life }: Caller) -> Link {
        let state = self.state.lock().unwrap();
        if state.deaths[node] == life { state.links[node] } else { Link::BlackHole }
    }

    fn draw(&self, below: u64) -> u64 {
        self.state.lock().unwrap().rng.u64(..below)
    }

    /// Lets others run, and now and then some time pass.
    async fn travel(&self) {
        for _ in 0..self.draw(3) {
            yield_now().await;
        }
        if self.draw(8) == 0 {
            let millis = 1 + self.draw(40);
            self.clock.sleep(Duration::from_millis(millis)).await;
        }
    }

    /// Waits until a link is another than this.
    async fn while_link_is(&self, caller: Caller, link: Link) {
        loop {
            let changed = self.changed.notified();
            if self.link(caller) != link {
                return;
            }
            changed.await;
        }
    }

    async fn call<R: Send>(
        &self,
        caller: Caller,
        work: impl FnOnce(&mut State, Timestamp) -> R + Send,
    ) -> Result<R> {
        let mut fate = Fate { network: self, has_answer: false };
        self.travel().await;
        if self.link(caller) == Link::BlackHole {
            self.while_link_is(caller, Link::BlackHole).await;
            return Err(broken("the call was lost"));
        }
        if self.link(caller) == Link::Down {
            return Err(broken("there is no way"));
        }
        let done = work(&mut self.state.lock().unwrap(), self.clock.wall());
        self.travel().await;
        match self.link(caller) {
            Link::Up => {
                fate.has_answer = true;
                Ok(done)
            }
            Link::Down => Err(broken("the connection ended")),
            link => {
                self.while_link_is(caller, link).await;
                Err(broken("the answer was lost"))
            }
        }
    }
}

/// Whether a call is answered. One that is not, or that nobody waits for any more, counts like a
/// link that is not up.
struct Fate<'a> {
    network: &'a Network,
    has_answer: bool,
}

impl Drop for Fate<'_> {
    fn drop(&mut self) {
        if !self.has_answer {
            self.network.state.lock().unwrap().turns += 1;
        }
    }
}

fn broken(message: &'static str) -> CacheError {
    CacheError::new(ErrorKind::Connection, message)
}

impl State {
    fn get(&mut self, key: &str, now: Timestamp) -> Option<Entry> {
        self.entries.get(key).filter(|entry| !entry.meta.is_dead(now)).cloned()
    }

    fn set(&mut self, key: &str, entry: Entry) {
        self.leases.remove(key);
        self.entries.insert(key.to_owned(), entry);
    }

    fn delete(&mut self, key: &str) -> bool {
        self.leases.remove(key);
        self.entries.remove(key).is_some()
    }

    fn holds(&self, key: &str, token: u64, now: Timestamp) -> bool {
        self.leases.get(key).is_some_and(|(end, held)| *held == token && *end > now)
    }
}

/// `kind = "test.network"`: the way of one node to the shared tier.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NetworkConfig {
    /// Which network.
    number: u64,
    /// Which node.
    node: usize,
}

#[derive(Debug)]
pub(crate) struct Way {
    network: Arc<Network>,
    caller: Caller,
}

/// A process: a node between two deaths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Caller {
    node: usize,
    life: u64,
}

#[async_trait]
impl PluginConfig for NetworkConfig {
    const KIND: &'static str = "test.network";
    const SUMMARY: &'static str = "a shared tier over a link that fails";
    const CAPABILITIES: Capabilities = Capabilities::TTL
        .union(Capabilities::SCAN)
        .union(Capabilities::TOUCH)
        .union(Capabilities::TAGS)
        .union(Capabilities::SHARED)
        .union(Capabilities::PUT_IF_NEWER)
        .union(Capabilities::LEASE)
        .union(Capabilities::LEASE_SCAN);
    type Plugin = Way;

    async fn build(self, _: &BuildContext) -> Result<Way> {
        let network = NETWORKS.lock().unwrap().get(&self.number).map(Arc::clone);
        let network = network.ok_or_else(|| broken("there is no such network"))?;
        let life = network.state.lock().unwrap().deaths[self.node];
        Ok(Way { network, caller: Caller { node: self.node, life } })
    }
}

#[async_trait]
impl Backend for Way {
    fn capabilities(&self) -> Capabilities {
        NetworkConfig::CAPABILITIES
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        self.network.call(self.caller, |state, now| state.get(key, now)).await
    }

    async fn set(&self, key: &str, entry: Entry) -> Result<()> {
        let is_lost = key.starts_with('\u{1}') && self.network.sabotage == Sabotage::LosesDeletes;
        let set = |state: &mut State, _| {
            if !is_lost {
                state.set(key, entry);
            }
        };
        self.network.call(self.caller, set).await
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        let is_lost = self.network.sabotage == Sabotage::LosesDeletes;
        self.network.call(self.caller, |state, _| is_lost || state.delete(key)).await
    }

    async fn clear(&self) -> Result<()> {
        let clear = |state: &mut State, _| {
            state.entries.clear();
            state.leases.clear();
        };
        self.network.call(self.caller, clear).await
    }

    async fn touch(&self, key: &str, deadlines: Deadlines) -> Result<bool> {
        let touch = |state: &mut State, now| {
            let found = state.entries.get_mut(key).filter(|entry| !entry.meta.is_dead(now));
            found.is_some_and(|entry| {
                entry.meta.soft_deadline = deadlines.soft;
                entry.meta.hard_deadline = deadlines.hard;
                true
            })
        };
        self.network.call(self.caller, touch).await
    }

    async fn scan(&self, request: ScanRequest) -> Result<ScanPage> {
        let scan = |state: &mut State, _| {
            let keys: Vec<&String> = match request.leased {
                false => state.entries.keys().collect(),
                true => state.leases.keys().collect(),
            };
            let keys = keys.into_iter().filter(|key| key.starts_with(&request.prefix));
            ScanPage { keys: keys.cloned().collect(), next: None }
        };
        self.network.call(self.caller, scan).await
    }

    async fn put_if_newer(&self, key: &str, entry: Entry) -> Result<bool> {
        let put = |state: &mut State, now| {
            let is_newer = state.get(key, now).is_none_or(|old| old.meta.stamp < entry.meta.stamp);
            if is_newer {
                state.set(key, entry);
            }
            is_newer
        };
        self.network.call(self.caller, put).await
    }

    async fn lease(&self, key: &str, duration: Duration) -> Result<Lease> {
        let lease = |state: &mut State, now: Timestamp| {
            if let Some((end, _)) = state.leases.get(key).filter(|(end, _)| *end > now) {
                return Lease::Held { remaining: Some(end.since(now)) };
            }
            state.tokens += 1;
            let token = state.tokens;
            state.leases.insert(key.to_owned(), (now.after(duration), token));
            Lease::Granted { token }
        };
        let who = (self.caller, key.to_owned());
        self.network.state.lock().unwrap().granted.remove(&who);
        let answer = self.network.call(self.caller, lease).await;
        if let Ok(Lease::Granted { .. }) = &answer {
            self.network.state.lock().unwrap().granted.insert(who);
        }
        answer
    }

    async fn fill(&self, key: &str, entry: Entry, token: u64) -> Result<bool> {
        let is_lax = self.network.sabotage == Sabotage::FillsWithoutLease;
        let fill = |state: &mut State, now| {
            let is_held = is_lax || state.holds(key, token, now);
            if is_held {
                state.set(key, entry);
            }
            is_held
        };
        self.network.call(self.caller, fill).await
    }

    async fn release(&self, key: &str, token: u64) -> Result<bool> {
        let release = |state: &mut State, now| {
            let is_held = state.holds(key, token, now);
            if is_held {
                state.leases.remove(key);
            }
            is_held
        };
        self.network.call(self.caller, release).await
    }
}

register!(backend: NetworkConfig);
